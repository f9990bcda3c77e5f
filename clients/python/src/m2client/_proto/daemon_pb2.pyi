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

class ConditionArea(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONDITION_AREA_UNSPECIFIED: _ClassVar[ConditionArea]
    CONDITION_AREA_DAEMON: _ClassVar[ConditionArea]
    CONDITION_AREA_CLOCK: _ClassVar[ConditionArea]
    CONDITION_AREA_DISK: _ClassVar[ConditionArea]
    CONDITION_AREA_PERMISSIONS: _ClassVar[ConditionArea]
    CONDITION_AREA_KEY: _ClassVar[ConditionArea]
    CONDITION_AREA_STORE: _ClassVar[ConditionArea]
    CONDITION_AREA_BACKUP: _ClassVar[ConditionArea]
    CONDITION_AREA_PEERS: _ClassVar[ConditionArea]
    CONDITION_AREA_RELAYS: _ClassVar[ConditionArea]
    CONDITION_AREA_MAILBOXES: _ClassVar[ConditionArea]
    CONDITION_AREA_EVENTS: _ClassVar[ConditionArea]

class ConditionSeverity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONDITION_SEVERITY_UNSPECIFIED: _ClassVar[ConditionSeverity]
    CONDITION_SEVERITY_WARNING: _ClassVar[ConditionSeverity]
    CONDITION_SEVERITY_PROBLEM: _ClassVar[ConditionSeverity]
DAEMON_STATE_UNSPECIFIED: DaemonState
DAEMON_STATE_LOCKED: DaemonState
DAEMON_STATE_READY: DaemonState
DAEMON_STATE_STOPPING: DaemonState
CONDITION_AREA_UNSPECIFIED: ConditionArea
CONDITION_AREA_DAEMON: ConditionArea
CONDITION_AREA_CLOCK: ConditionArea
CONDITION_AREA_DISK: ConditionArea
CONDITION_AREA_PERMISSIONS: ConditionArea
CONDITION_AREA_KEY: ConditionArea
CONDITION_AREA_STORE: ConditionArea
CONDITION_AREA_BACKUP: ConditionArea
CONDITION_AREA_PEERS: ConditionArea
CONDITION_AREA_RELAYS: ConditionArea
CONDITION_AREA_MAILBOXES: ConditionArea
CONDITION_AREA_EVENTS: ConditionArea
CONDITION_SEVERITY_UNSPECIFIED: ConditionSeverity
CONDITION_SEVERITY_WARNING: ConditionSeverity
CONDITION_SEVERITY_PROBLEM: ConditionSeverity

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("state", "version", "peer_id", "circle", "listen_addresses", "sessions", "contacts", "queued_messages", "warnings", "crypto_provider", "session_keys_ready", "session_keys_wanted", "refused", "mailbox_server", "counts", "started", "conditions", "storage", "clock", "backup")
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
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    STORAGE_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
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
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    storage: StorageStatus
    clock: ClockStatus
    backup: BackupStatus
    def __init__(self, state: _Optional[_Union[DaemonState, str]] = ..., version: _Optional[str] = ..., peer_id: _Optional[str] = ..., circle: _Optional[str] = ..., listen_addresses: _Optional[_Iterable[str]] = ..., sessions: _Optional[int] = ..., contacts: _Optional[int] = ..., queued_messages: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., crypto_provider: _Optional[str] = ..., session_keys_ready: _Optional[int] = ..., session_keys_wanted: _Optional[int] = ..., refused: _Optional[_Mapping[str, int]] = ..., mailbox_server: _Optional[_Union[MailboxServer, _Mapping]] = ..., counts: _Optional[_Mapping[str, int]] = ..., started: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., conditions: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., storage: _Optional[_Union[StorageStatus, _Mapping]] = ..., clock: _Optional[_Union[ClockStatus, _Mapping]] = ..., backup: _Optional[_Union[BackupStatus, _Mapping]] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("area", "severity", "text", "remedy")
    AREA_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    area: ConditionArea
    severity: ConditionSeverity
    text: str
    remedy: str
    def __init__(self, area: _Optional[_Union[ConditionArea, str]] = ..., severity: _Optional[_Union[ConditionSeverity, str]] = ..., text: _Optional[str] = ..., remedy: _Optional[str] = ...) -> None: ...

class StorageStatus(_message.Message):
    __slots__ = ("free_bytes", "store_bytes")
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    STORE_BYTES_FIELD_NUMBER: _ClassVar[int]
    free_bytes: int
    store_bytes: int
    def __init__(self, free_bytes: _Optional[int] = ..., store_bytes: _Optional[int] = ...) -> None: ...

class ClockStatus(_message.Message):
    __slots__ = ("compared", "ahead_ms", "steps")
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    AHEAD_MS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    compared: int
    ahead_ms: int
    steps: int
    def __init__(self, compared: _Optional[int] = ..., ahead_ms: _Optional[int] = ..., steps: _Optional[int] = ...) -> None: ...

class BackupStatus(_message.Message):
    __slots__ = ("made", "rehearsed", "failed")
    MADE_FIELD_NUMBER: _ClassVar[int]
    REHEARSED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    made: _timestamp_pb2.Timestamp
    rehearsed: _timestamp_pb2.Timestamp
    failed: _timestamp_pb2.Timestamp
    def __init__(self, made: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., rehearsed: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., failed: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

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
