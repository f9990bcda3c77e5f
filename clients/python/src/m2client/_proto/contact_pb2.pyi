from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import network_pb2 as _network_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ContactState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTACT_STATE_UNSPECIFIED: _ClassVar[ContactState]
    CONTACT_STATE_ASKED: _ClassVar[ContactState]
    CONTACT_STATE_REQUEST: _ClassVar[ContactState]
    CONTACT_STATE_CONTACT: _ClassVar[ContactState]
    CONTACT_STATE_BLOCKED: _ClassVar[ContactState]
    CONTACT_STATE_DECLINED: _ClassVar[ContactState]

class ConflictKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONFLICT_KIND_UNSPECIFIED: _ClassVar[ConflictKind]
    CONFLICT_KIND_OLDER: _ClassVar[ConflictKind]
    CONFLICT_KIND_TWICE: _ClassVar[ConflictKind]
CONTACT_STATE_UNSPECIFIED: ContactState
CONTACT_STATE_ASKED: ContactState
CONTACT_STATE_REQUEST: ContactState
CONTACT_STATE_CONTACT: ContactState
CONTACT_STATE_BLOCKED: ContactState
CONTACT_STATE_DECLINED: ContactState
CONFLICT_KIND_UNSPECIFIED: ConflictKind
CONFLICT_KIND_OLDER: ConflictKind
CONFLICT_KIND_TWICE: ConflictKind

class Contact(_message.Message):
    __slots__ = ("peer_id", "name", "state", "verified", "online", "created", "last_seen", "queued_messages", "addresses", "last_failure", "policy", "mailbox_offered", "mailbox_failure", "path", "problem", "conflict", "received_messages", "received_bytes", "quota_reached", "mailbox_tokens")
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    QUEUED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    MAILBOX_OFFERED_FIELD_NUMBER: _ClassVar[int]
    MAILBOX_FAILURE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUOTA_REACHED_FIELD_NUMBER: _ClassVar[int]
    MAILBOX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    peer_id: str
    name: str
    state: ContactState
    verified: bool
    online: bool
    created: _timestamp_pb2.Timestamp
    last_seen: _timestamp_pb2.Timestamp
    queued_messages: int
    addresses: _containers.RepeatedScalarFieldContainer[str]
    last_failure: str
    policy: ContactPolicy
    mailbox_offered: bool
    mailbox_failure: str
    path: _network_pb2.Path
    problem: str
    conflict: ConflictKind
    received_messages: int
    received_bytes: int
    quota_reached: bool
    mailbox_tokens: int
    def __init__(self, peer_id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[_Union[ContactState, str]] = ..., verified: bool = ..., online: bool = ..., created: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., last_seen: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., queued_messages: _Optional[int] = ..., addresses: _Optional[_Iterable[str]] = ..., last_failure: _Optional[str] = ..., policy: _Optional[_Union[ContactPolicy, _Mapping]] = ..., mailbox_offered: bool = ..., mailbox_failure: _Optional[str] = ..., path: _Optional[_Union[_network_pb2.Path, str]] = ..., problem: _Optional[str] = ..., conflict: _Optional[_Union[ConflictKind, str]] = ..., received_messages: _Optional[int] = ..., received_bytes: _Optional[int] = ..., quota_reached: bool = ..., mailbox_tokens: _Optional[int] = ...) -> None: ...

class ContactPolicy(_message.Message):
    __slots__ = ("mailbox_grant", "mailbox_use", "ip", "keep")
    MAILBOX_GRANT_FIELD_NUMBER: _ClassVar[int]
    MAILBOX_USE_FIELD_NUMBER: _ClassVar[int]
    IP_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    mailbox_grant: bool
    mailbox_use: bool
    ip: _network_pb2.IpMode
    keep: _duration_pb2.Duration
    def __init__(self, mailbox_grant: bool = ..., mailbox_use: bool = ..., ip: _Optional[_Union[_network_pb2.IpMode, str]] = ..., keep: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class AddContactRequest(_message.Message):
    __slots__ = ("invitation", "name")
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    invitation: str
    name: str
    def __init__(self, invitation: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class AddContactResponse(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: Contact
    def __init__(self, contact: _Optional[_Union[Contact, _Mapping]] = ...) -> None: ...

class ListContactsRequest(_message.Message):
    __slots__ = ("state", "after")
    STATE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    state: ContactState
    after: str
    def __init__(self, state: _Optional[_Union[ContactState, str]] = ..., after: _Optional[str] = ...) -> None: ...

class ListContactsResponse(_message.Message):
    __slots__ = ("contacts", "next")
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    contacts: _containers.RepeatedCompositeFieldContainer[Contact]
    next: str
    def __init__(self, contacts: _Optional[_Iterable[_Union[Contact, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class GetContactRequest(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: str
    def __init__(self, contact: _Optional[str] = ...) -> None: ...

class GetContactResponse(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: Contact
    def __init__(self, contact: _Optional[_Union[Contact, _Mapping]] = ...) -> None: ...

class RenameContactRequest(_message.Message):
    __slots__ = ("contact", "name")
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    contact: str
    name: str
    def __init__(self, contact: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class RenameContactResponse(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: Contact
    def __init__(self, contact: _Optional[_Union[Contact, _Mapping]] = ...) -> None: ...

class AcceptContactRequest(_message.Message):
    __slots__ = ("contact", "name")
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    contact: str
    name: str
    def __init__(self, contact: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class AcceptContactResponse(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: Contact
    def __init__(self, contact: _Optional[_Union[Contact, _Mapping]] = ...) -> None: ...

class DeclineContactRequest(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: str
    def __init__(self, contact: _Optional[str] = ...) -> None: ...

class DeclineContactResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BlockContactRequest(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: str
    def __init__(self, contact: _Optional[str] = ...) -> None: ...

class BlockContactResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RemoveContactRequest(_message.Message):
    __slots__ = ("contact", "history")
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    contact: str
    history: bool
    def __init__(self, contact: _Optional[str] = ..., history: bool = ...) -> None: ...

class RemoveContactResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyContactRequest(_message.Message):
    __slots__ = ("contact", "matched")
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    contact: str
    matched: bool
    def __init__(self, contact: _Optional[str] = ..., matched: bool = ...) -> None: ...

class VerifyContactResponse(_message.Message):
    __slots__ = ("code", "verified")
    CODE_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    code: str
    verified: bool
    def __init__(self, code: _Optional[str] = ..., verified: bool = ...) -> None: ...

class SetContactPolicyRequest(_message.Message):
    __slots__ = ("contact", "mailbox_grant", "mailbox_use", "ip", "keep")
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    MAILBOX_GRANT_FIELD_NUMBER: _ClassVar[int]
    MAILBOX_USE_FIELD_NUMBER: _ClassVar[int]
    IP_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    contact: str
    mailbox_grant: bool
    mailbox_use: bool
    ip: _network_pb2.IpMode
    keep: _duration_pb2.Duration
    def __init__(self, contact: _Optional[str] = ..., mailbox_grant: bool = ..., mailbox_use: bool = ..., ip: _Optional[_Union[_network_pb2.IpMode, str]] = ..., keep: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SetContactPolicyResponse(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: Contact
    def __init__(self, contact: _Optional[_Union[Contact, _Mapping]] = ...) -> None: ...
