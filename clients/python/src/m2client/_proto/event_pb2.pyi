from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import contact_pb2 as _contact_pb2
from . import message_pb2 as _message_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StartAt(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    START_AT_UNSPECIFIED: _ClassVar[StartAt]
    START_AT_NOW: _ClassVar[StartAt]
    START_AT_START: _ClassVar[StartAt]
START_AT_UNSPECIFIED: StartAt
START_AT_NOW: StartAt
START_AT_START: StartAt

class SubscribeRequest(_message.Message):
    __slots__ = ("client", "start_at", "after", "notices")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    START_AT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    client: str
    start_at: StartAt
    after: str
    notices: bool
    def __init__(self, client: _Optional[str] = ..., start_at: _Optional[_Union[StartAt, str]] = ..., after: _Optional[str] = ..., notices: bool = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("event", "notice")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    event: Event
    notice: Notice
    def __init__(self, event: _Optional[_Union[Event, _Mapping]] = ..., notice: _Optional[_Union[Notice, _Mapping]] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("peer_id", "time", "typing")
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TYPING_FIELD_NUMBER: _ClassVar[int]
    peer_id: str
    time: _timestamp_pb2.Timestamp
    typing: Typing
    def __init__(self, peer_id: _Optional[str] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., typing: _Optional[_Union[Typing, _Mapping]] = ...) -> None: ...

class Typing(_message.Message):
    __slots__ = ("active",)
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    active: bool
    def __init__(self, active: bool = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("cursor", "time", "message_received", "message_state", "message_edited", "message_retracted", "contact_request", "contact_added", "contact_declined", "contact_removed", "gap", "events_dropped", "message_expired", "history_lost", "own_conflict", "contact_conflict", "message_reacted")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_EDITED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_RETRACTED_FIELD_NUMBER: _ClassVar[int]
    CONTACT_REQUEST_FIELD_NUMBER: _ClassVar[int]
    CONTACT_ADDED_FIELD_NUMBER: _ClassVar[int]
    CONTACT_DECLINED_FIELD_NUMBER: _ClassVar[int]
    CONTACT_REMOVED_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    EVENTS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    HISTORY_LOST_FIELD_NUMBER: _ClassVar[int]
    OWN_CONFLICT_FIELD_NUMBER: _ClassVar[int]
    CONTACT_CONFLICT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_REACTED_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    time: _timestamp_pb2.Timestamp
    message_received: MessageReceived
    message_state: MessageStateChanged
    message_edited: MessageEdited
    message_retracted: MessageRetracted
    contact_request: ContactRequested
    contact_added: ContactAdded
    contact_declined: ContactDeclined
    contact_removed: ContactRemoved
    gap: Gap
    events_dropped: EventsDropped
    message_expired: MessageExpired
    history_lost: HistoryLost
    own_conflict: StateConflict
    contact_conflict: StateConflict
    message_reacted: MessageReacted
    def __init__(self, cursor: _Optional[str] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., message_received: _Optional[_Union[MessageReceived, _Mapping]] = ..., message_state: _Optional[_Union[MessageStateChanged, _Mapping]] = ..., message_edited: _Optional[_Union[MessageEdited, _Mapping]] = ..., message_retracted: _Optional[_Union[MessageRetracted, _Mapping]] = ..., contact_request: _Optional[_Union[ContactRequested, _Mapping]] = ..., contact_added: _Optional[_Union[ContactAdded, _Mapping]] = ..., contact_declined: _Optional[_Union[ContactDeclined, _Mapping]] = ..., contact_removed: _Optional[_Union[ContactRemoved, _Mapping]] = ..., gap: _Optional[_Union[Gap, _Mapping]] = ..., events_dropped: _Optional[_Union[EventsDropped, _Mapping]] = ..., message_expired: _Optional[_Union[MessageExpired, _Mapping]] = ..., history_lost: _Optional[_Union[HistoryLost, _Mapping]] = ..., own_conflict: _Optional[_Union[StateConflict, _Mapping]] = ..., contact_conflict: _Optional[_Union[StateConflict, _Mapping]] = ..., message_reacted: _Optional[_Union[MessageReacted, _Mapping]] = ...) -> None: ...

class MessageReceived(_message.Message):
    __slots__ = ("message_id", "peer_id", "text", "data", "media_type", "sent", "reply_to", "thread")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    THREAD_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    peer_id: str
    text: str
    data: bytes
    media_type: str
    sent: _timestamp_pb2.Timestamp
    reply_to: str
    thread: str
    def __init__(self, message_id: _Optional[str] = ..., peer_id: _Optional[str] = ..., text: _Optional[str] = ..., data: _Optional[bytes] = ..., media_type: _Optional[str] = ..., sent: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., reply_to: _Optional[str] = ..., thread: _Optional[str] = ...) -> None: ...

class MessageStateChanged(_message.Message):
    __slots__ = ("message_id", "peer_id", "state", "failure")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    peer_id: str
    state: _message_pb2.MessageState
    failure: str
    def __init__(self, message_id: _Optional[str] = ..., peer_id: _Optional[str] = ..., state: _Optional[_Union[_message_pb2.MessageState, str]] = ..., failure: _Optional[str] = ...) -> None: ...

class MessageEdited(_message.Message):
    __slots__ = ("message_id", "peer_id", "text", "data", "media_type")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    peer_id: str
    text: str
    data: bytes
    media_type: str
    def __init__(self, message_id: _Optional[str] = ..., peer_id: _Optional[str] = ..., text: _Optional[str] = ..., data: _Optional[bytes] = ..., media_type: _Optional[str] = ...) -> None: ...

class MessageRetracted(_message.Message):
    __slots__ = ("message_id", "peer_id")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    peer_id: str
    def __init__(self, message_id: _Optional[str] = ..., peer_id: _Optional[str] = ...) -> None: ...

class MessageReacted(_message.Message):
    __slots__ = ("message_id", "peer_id", "text")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    peer_id: str
    text: str
    def __init__(self, message_id: _Optional[str] = ..., peer_id: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class MessageExpired(_message.Message):
    __slots__ = ("message_id", "peer_id")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    peer_id: str
    def __init__(self, message_id: _Optional[str] = ..., peer_id: _Optional[str] = ...) -> None: ...

class ContactRequested(_message.Message):
    __slots__ = ("peer_id", "suggested_name")
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_NAME_FIELD_NUMBER: _ClassVar[int]
    peer_id: str
    suggested_name: str
    def __init__(self, peer_id: _Optional[str] = ..., suggested_name: _Optional[str] = ...) -> None: ...

class ContactAdded(_message.Message):
    __slots__ = ("peer_id", "name")
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    peer_id: str
    name: str
    def __init__(self, peer_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ContactDeclined(_message.Message):
    __slots__ = ("peer_id",)
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    peer_id: str
    def __init__(self, peer_id: _Optional[str] = ...) -> None: ...

class ContactRemoved(_message.Message):
    __slots__ = ("peer_id",)
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    peer_id: str
    def __init__(self, peer_id: _Optional[str] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("peer_id", "missing")
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    peer_id: str
    missing: int
    def __init__(self, peer_id: _Optional[str] = ..., missing: _Optional[int] = ...) -> None: ...

class HistoryLost(_message.Message):
    __slots__ = ("peer_id", "missing")
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    peer_id: str
    missing: int
    def __init__(self, peer_id: _Optional[str] = ..., missing: _Optional[int] = ...) -> None: ...

class StateConflict(_message.Message):
    __slots__ = ("peer_id", "kind")
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    peer_id: str
    kind: _contact_pb2.ConflictKind
    def __init__(self, peer_id: _Optional[str] = ..., kind: _Optional[_Union[_contact_pb2.ConflictKind, str]] = ...) -> None: ...

class EventsDropped(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class AcknowledgeEventsRequest(_message.Message):
    __slots__ = ("client", "cursor")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    client: str
    cursor: str
    def __init__(self, client: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class AcknowledgeEventsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EventClient(_message.Message):
    __slots__ = ("name", "cursor", "lag", "last_seen", "connected", "acknowledged")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    lag: int
    last_seen: _timestamp_pb2.Timestamp
    connected: bool
    acknowledged: bool
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ..., lag: _Optional[int] = ..., last_seen: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., connected: bool = ..., acknowledged: bool = ...) -> None: ...

class ListClientsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListClientsResponse(_message.Message):
    __slots__ = ("clients",)
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    clients: _containers.RepeatedCompositeFieldContainer[EventClient]
    def __init__(self, clients: _Optional[_Iterable[_Union[EventClient, _Mapping]]] = ...) -> None: ...

class RemoveClientRequest(_message.Message):
    __slots__ = ("client",)
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    client: str
    def __init__(self, client: _Optional[str] = ...) -> None: ...

class RemoveClientResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
