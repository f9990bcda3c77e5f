from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Line(_message.Message):
    __slots__ = ("relay_id", "entry", "online", "addresses", "created", "open", "last_failure")
    RELAY_ID_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_FIELD_NUMBER: _ClassVar[int]
    relay_id: str
    entry: bool
    online: bool
    addresses: _containers.RepeatedScalarFieldContainer[str]
    created: _timestamp_pb2.Timestamp
    open: int
    last_failure: str
    def __init__(self, relay_id: _Optional[str] = ..., entry: bool = ..., online: bool = ..., addresses: _Optional[_Iterable[str]] = ..., created: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., open: _Optional[int] = ..., last_failure: _Optional[str] = ...) -> None: ...

class AddLineRequest(_message.Message):
    __slots__ = ("invitation", "entry")
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    invitation: str
    entry: bool
    def __init__(self, invitation: _Optional[str] = ..., entry: bool = ...) -> None: ...

class AddLineResponse(_message.Message):
    __slots__ = ("line",)
    LINE_FIELD_NUMBER: _ClassVar[int]
    line: Line
    def __init__(self, line: _Optional[_Union[Line, _Mapping]] = ...) -> None: ...

class ListLinesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLinesResponse(_message.Message):
    __slots__ = ("lines",)
    LINES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[Line]
    def __init__(self, lines: _Optional[_Iterable[_Union[Line, _Mapping]]] = ...) -> None: ...

class RemoveLineRequest(_message.Message):
    __slots__ = ("relay",)
    RELAY_FIELD_NUMBER: _ClassVar[int]
    relay: str
    def __init__(self, relay: _Optional[str] = ...) -> None: ...

class RemoveLineResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
