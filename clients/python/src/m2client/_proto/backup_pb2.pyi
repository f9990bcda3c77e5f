from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BackupOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKUP_OUTCOME_UNSPECIFIED: _ClassVar[BackupOutcome]
    BACKUP_OUTCOME_KEPT: _ClassVar[BackupOutcome]
    BACKUP_OUTCOME_REHEARSED: _ClassVar[BackupOutcome]
    BACKUP_OUTCOME_FAILED: _ClassVar[BackupOutcome]

class BackupProtection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKUP_PROTECTION_UNSPECIFIED: _ClassVar[BackupProtection]
    BACKUP_PROTECTION_PASSPHRASE: _ClassVar[BackupProtection]
    BACKUP_PROTECTION_IDENTITY: _ClassVar[BackupProtection]
BACKUP_OUTCOME_UNSPECIFIED: BackupOutcome
BACKUP_OUTCOME_KEPT: BackupOutcome
BACKUP_OUTCOME_REHEARSED: BackupOutcome
BACKUP_OUTCOME_FAILED: BackupOutcome
BACKUP_PROTECTION_UNSPECIFIED: BackupProtection
BACKUP_PROTECTION_PASSPHRASE: BackupProtection
BACKUP_PROTECTION_IDENTITY: BackupProtection

class CreateBackupRequest(_message.Message):
    __slots__ = ("protection", "passphrase")
    PROTECTION_FIELD_NUMBER: _ClassVar[int]
    PASSPHRASE_FIELD_NUMBER: _ClassVar[int]
    protection: BackupProtection
    passphrase: str
    def __init__(self, protection: _Optional[_Union[BackupProtection, str]] = ..., passphrase: _Optional[str] = ...) -> None: ...

class CreateBackupResponse(_message.Message):
    __slots__ = ("progress", "chunk", "backup")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    progress: BackupProgress
    chunk: bytes
    backup: Backup
    def __init__(self, progress: _Optional[_Union[BackupProgress, _Mapping]] = ..., chunk: _Optional[bytes] = ..., backup: _Optional[_Union[Backup, _Mapping]] = ...) -> None: ...

class BackupProgress(_message.Message):
    __slots__ = ("copied_bytes", "total_bytes")
    COPIED_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    copied_bytes: int
    total_bytes: int
    def __init__(self, copied_bytes: _Optional[int] = ..., total_bytes: _Optional[int] = ...) -> None: ...

class Backup(_message.Message):
    __slots__ = ("created", "peer_id", "circle", "contacts", "messages", "file_bytes", "sha256", "protection")
    CREATED_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    CIRCLE_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    FILE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    PROTECTION_FIELD_NUMBER: _ClassVar[int]
    created: _timestamp_pb2.Timestamp
    peer_id: str
    circle: str
    contacts: int
    messages: int
    file_bytes: int
    sha256: bytes
    protection: BackupProtection
    def __init__(self, created: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., peer_id: _Optional[str] = ..., circle: _Optional[str] = ..., contacts: _Optional[int] = ..., messages: _Optional[int] = ..., file_bytes: _Optional[int] = ..., sha256: _Optional[bytes] = ..., protection: _Optional[_Union[BackupProtection, str]] = ...) -> None: ...

class ReportBackupRequest(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: BackupOutcome
    def __init__(self, outcome: _Optional[_Union[BackupOutcome, str]] = ...) -> None: ...

class ReportBackupResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
