from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MailboxState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MAILBOX_STATE_UNSPECIFIED: _ClassVar[MailboxState]
    MAILBOX_STATE_ASKED: _ClassVar[MailboxState]
    MAILBOX_STATE_OPEN: _ClassVar[MailboxState]
    MAILBOX_STATE_REFUSED: _ClassVar[MailboxState]
    MAILBOX_STATE_LEAVING: _ClassVar[MailboxState]
MAILBOX_STATE_UNSPECIFIED: MailboxState
MAILBOX_STATE_ASKED: MailboxState
MAILBOX_STATE_OPEN: MailboxState
MAILBOX_STATE_REFUSED: MailboxState
MAILBOX_STATE_LEAVING: MailboxState

class Mailbox(_message.Message):
    __slots__ = ("provider_id", "state", "online", "addresses", "created", "letters_taken", "last_failure", "key_known")
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    LETTERS_TAKEN_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_FIELD_NUMBER: _ClassVar[int]
    KEY_KNOWN_FIELD_NUMBER: _ClassVar[int]
    provider_id: str
    state: MailboxState
    online: bool
    addresses: _containers.RepeatedScalarFieldContainer[str]
    created: _timestamp_pb2.Timestamp
    letters_taken: int
    last_failure: str
    key_known: bool
    def __init__(self, provider_id: _Optional[str] = ..., state: _Optional[_Union[MailboxState, str]] = ..., online: bool = ..., addresses: _Optional[_Iterable[str]] = ..., created: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., letters_taken: _Optional[int] = ..., last_failure: _Optional[str] = ..., key_known: bool = ...) -> None: ...

class RegisterMailboxRequest(_message.Message):
    __slots__ = ("invitation",)
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    invitation: str
    def __init__(self, invitation: _Optional[str] = ...) -> None: ...

class RegisterMailboxResponse(_message.Message):
    __slots__ = ("mailbox",)
    MAILBOX_FIELD_NUMBER: _ClassVar[int]
    mailbox: Mailbox
    def __init__(self, mailbox: _Optional[_Union[Mailbox, _Mapping]] = ...) -> None: ...

class ListMailboxesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListMailboxesResponse(_message.Message):
    __slots__ = ("mailboxes",)
    MAILBOXES_FIELD_NUMBER: _ClassVar[int]
    mailboxes: _containers.RepeatedCompositeFieldContainer[Mailbox]
    def __init__(self, mailboxes: _Optional[_Iterable[_Union[Mailbox, _Mapping]]] = ...) -> None: ...

class RemoveMailboxRequest(_message.Message):
    __slots__ = ("provider",)
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    provider: str
    def __init__(self, provider: _Optional[str] = ...) -> None: ...

class RemoveMailboxResponse(_message.Message):
    __slots__ = ("forgotten",)
    FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    forgotten: bool
    def __init__(self, forgotten: bool = ...) -> None: ...

class RekeyMailboxRequest(_message.Message):
    __slots__ = ("provider",)
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    provider: str
    def __init__(self, provider: _Optional[str] = ...) -> None: ...

class RekeyMailboxResponse(_message.Message):
    __slots__ = ("mailbox",)
    MAILBOX_FIELD_NUMBER: _ClassVar[int]
    mailbox: Mailbox
    def __init__(self, mailbox: _Optional[_Union[Mailbox, _Mapping]] = ...) -> None: ...

class CollectMailboxesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CollectMailboxesResponse(_message.Message):
    __slots__ = ("mailboxes",)
    MAILBOXES_FIELD_NUMBER: _ClassVar[int]
    mailboxes: _containers.RepeatedCompositeFieldContainer[Mailbox]
    def __init__(self, mailboxes: _Optional[_Iterable[_Union[Mailbox, _Mapping]]] = ...) -> None: ...
