from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DaemonState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DAEMON_STATE_UNSPECIFIED: _ClassVar[DaemonState]
    DAEMON_STATE_LOCKED: _ClassVar[DaemonState]
    DAEMON_STATE_READY: _ClassVar[DaemonState]
    DAEMON_STATE_STOPPING: _ClassVar[DaemonState]
DAEMON_STATE_UNSPECIFIED: DaemonState
DAEMON_STATE_LOCKED: DaemonState
DAEMON_STATE_READY: DaemonState
DAEMON_STATE_STOPPING: DaemonState

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("state", "version", "peer_id", "circle", "listen_addresses", "sessions", "contacts", "queued_messages", "warnings", "crypto_provider", "session_keys_ready", "session_keys_wanted", "refused", "mailbox_server", "counts", "started")
    class RefusedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    CIRCLE_FIELD_NUMBER: _ClassVar[int]
    LISTEN_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    CRYPTO_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SESSION_KEYS_READY_FIELD_NUMBER: _ClassVar[int]
    SESSION_KEYS_WANTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    MAILBOX_SERVER_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    state: DaemonState
    version: str
    peer_id: str
    circle: str
    listen_addresses: _containers.RepeatedScalarFieldContainer[str]
    sessions: int
    contacts: int
    queued_messages: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    crypto_provider: str
    session_keys_ready: int
    session_keys_wanted: int
    refused: _containers.ScalarMap[str, int]
    mailbox_server: MailboxServer
    counts: _containers.ScalarMap[str, int]
    started: _timestamp_pb2.Timestamp
    def __init__(self, state: _Optional[_Union[DaemonState, str]] = ..., version: _Optional[str] = ..., peer_id: _Optional[str] = ..., circle: _Optional[str] = ..., listen_addresses: _Optional[_Iterable[str]] = ..., sessions: _Optional[int] = ..., contacts: _Optional[int] = ..., queued_messages: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., crypto_provider: _Optional[str] = ..., session_keys_ready: _Optional[int] = ..., session_keys_wanted: _Optional[int] = ..., refused: _Optional[_Mapping[str, int]] = ..., mailbox_server: _Optional[_Union[MailboxServer, _Mapping]] = ..., counts: _Optional[_Mapping[str, int]] = ..., started: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class MailboxServer(_message.Message):
    __slots__ = ("available", "boxes", "letters", "bytes", "deposited")
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    BOXES_FIELD_NUMBER: _ClassVar[int]
    LETTERS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DEPOSITED_FIELD_NUMBER: _ClassVar[int]
    available: bool
    boxes: int
    letters: int
    bytes: int
    deposited: int
    def __init__(self, available: bool = ..., boxes: _Optional[int] = ..., letters: _Optional[int] = ..., bytes: _Optional[int] = ..., deposited: _Optional[int] = ...) -> None: ...

class GetDiagnosticsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetDiagnosticsResponse(_message.Message):
    __slots__ = ("version", "platform", "state", "started", "settings", "contacts", "sessions", "queued_messages", "warnings", "refused", "counts", "log")
    class RefusedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    version: str
    platform: str
    state: DaemonState
    started: _timestamp_pb2.Timestamp
    settings: _containers.RepeatedScalarFieldContainer[str]
    contacts: int
    sessions: int
    queued_messages: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    refused: _containers.ScalarMap[str, int]
    counts: _containers.ScalarMap[str, int]
    log: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version: _Optional[str] = ..., platform: _Optional[str] = ..., state: _Optional[_Union[DaemonState, str]] = ..., started: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., settings: _Optional[_Iterable[str]] = ..., contacts: _Optional[int] = ..., sessions: _Optional[int] = ..., queued_messages: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., refused: _Optional[_Mapping[str, int]] = ..., counts: _Optional[_Mapping[str, int]] = ..., log: _Optional[_Iterable[str]] = ...) -> None: ...

class UnlockRequest(_message.Message):
    __slots__ = ("passphrase",)
    PASSPHRASE_FIELD_NUMBER: _ClassVar[int]
    passphrase: str
    def __init__(self, passphrase: _Optional[str] = ...) -> None: ...

class UnlockResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
