from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class GetRelayStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRelayStatusResponse(_message.Message):
    __slots__ = ("serving", "sessions", "max_sessions", "lines", "max_lines", "splices", "max_splices", "extended", "bytes", "dropped", "refused")
    class RefusedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SERVING_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    MAX_LINES_FIELD_NUMBER: _ClassVar[int]
    SPLICES_FIELD_NUMBER: _ClassVar[int]
    MAX_SPLICES_FIELD_NUMBER: _ClassVar[int]
    EXTENDED_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    serving: bool
    sessions: int
    max_sessions: int
    lines: int
    max_lines: int
    splices: int
    max_splices: int
    extended: int
    bytes: int
    dropped: int
    refused: _containers.ScalarMap[str, int]
    def __init__(self, serving: bool = ..., sessions: _Optional[int] = ..., max_sessions: _Optional[int] = ..., lines: _Optional[int] = ..., max_lines: _Optional[int] = ..., splices: _Optional[int] = ..., max_splices: _Optional[int] = ..., extended: _Optional[int] = ..., bytes: _Optional[int] = ..., dropped: _Optional[int] = ..., refused: _Optional[_Mapping[str, int]] = ...) -> None: ...
