from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import contact_pb2 as _contact_pb2
from . import message_pb2 as _message_pb2
from . import network_pb2 as _network_pb2
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

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_MESSAGE_RECEIVED: _ClassVar[EventKind]
    EVENT_KIND_MESSAGE_STATE: _ClassVar[EventKind]
    EVENT_KIND_MESSAGE_EDITED: _ClassVar[EventKind]
    EVENT_KIND_MESSAGE_RETRACTED: _ClassVar[EventKind]
    EVENT_KIND_CONTACT_REQUEST: _ClassVar[EventKind]
    EVENT_KIND_CONTACT_ADDED: _ClassVar[EventKind]
    EVENT_KIND_CONTACT_DECLINED: _ClassVar[EventKind]
    EVENT_KIND_CONTACT_REMOVED: _ClassVar[EventKind]
    EVENT_KIND_GAP: _ClassVar[EventKind]
    EVENT_KIND_MESSAGE_EXPIRED: _ClassVar[EventKind]
    EVENT_KIND_HISTORY_LOST: _ClassVar[EventKind]
    EVENT_KIND_OWN_CONFLICT: _ClassVar[EventKind]
    EVENT_KIND_CONTACT_CONFLICT: _ClassVar[EventKind]
    EVENT_KIND_MESSAGE_REACTED: _ClassVar[EventKind]
    EVENT_KIND_TYPING: _ClassVar[EventKind]
    EVENT_KIND_PRESENCE: _ClassVar[EventKind]

class DeadLetterAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEAD_LETTER_ACTION_UNSPECIFIED: _ClassVar[DeadLetterAction]
    DEAD_LETTER_ACTION_RETRY: _ClassVar[DeadLetterAction]
    DEAD_LETTER_ACTION_DROP: _ClassVar[DeadLetterAction]
START_AT_UNSPECIFIED: StartAt
START_AT_NOW: StartAt
START_AT_START: StartAt
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_MESSAGE_RECEIVED: EventKind
EVENT_KIND_MESSAGE_STATE: EventKind
EVENT_KIND_MESSAGE_EDITED: EventKind
EVENT_KIND_MESSAGE_RETRACTED: EventKind
EVENT_KIND_CONTACT_REQUEST: EventKind
EVENT_KIND_CONTACT_ADDED: EventKind
EVENT_KIND_CONTACT_DECLINED: EventKind
EVENT_KIND_CONTACT_REMOVED: EventKind
EVENT_KIND_GAP: EventKind
EVENT_KIND_MESSAGE_EXPIRED: EventKind
EVENT_KIND_HISTORY_LOST: EventKind
EVENT_KIND_OWN_CONFLICT: EventKind
EVENT_KIND_CONTACT_CONFLICT: EventKind
EVENT_KIND_MESSAGE_REACTED: EventKind
EVENT_KIND_TYPING: EventKind
EVENT_KIND_PRESENCE: EventKind
DEAD_LETTER_ACTION_UNSPECIFIED: DeadLetterAction
DEAD_LETTER_ACTION_RETRY: DeadLetterAction
DEAD_LETTER_ACTION_DROP: DeadLetterAction

class SubscribeRequest(_message.Message):
    __slots__ = ("client", "start_at", "after", "notices", "kinds", "contacts", "heartbeat", "presence", "shared", "lease", "max_open", "max_deliveries")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    START_AT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    MAX_OPEN_FIELD_NUMBER: _ClassVar[int]
    MAX_DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    client: str
    start_at: StartAt
    after: str
    notices: bool
    kinds: _containers.RepeatedScalarFieldContainer[EventKind]
    contacts: _containers.RepeatedScalarFieldContainer[str]
    heartbeat: _duration_pb2.Duration
    presence: bool
    shared: bool
    lease: _duration_pb2.Duration
    max_open: int
    max_deliveries: int
    def __init__(self, client: _Optional[str] = ..., start_at: _Optional[_Union[StartAt, str]] = ..., after: _Optional[str] = ..., notices: bool = ..., kinds: _Optional[_Iterable[_Union[EventKind, str]]] = ..., contacts: _Optional[_Iterable[str]] = ..., heartbeat: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., presence: bool = ..., shared: bool = ..., lease: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., max_open: _Optional[int] = ..., max_deliveries: _Optional[int] = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("event", "notice", "caught_up", "delivery")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    event: Event
    notice: Notice
    caught_up: CaughtUp
    delivery: Delivery
    def __init__(self, event: _Optional[_Union[Event, _Mapping]] = ..., notice: _Optional[_Union[Notice, _Mapping]] = ..., caught_up: _Optional[_Union[CaughtUp, _Mapping]] = ..., delivery: _Optional[_Union[Delivery, _Mapping]] = ...) -> None: ...

class Delivery(_message.Message):
    __slots__ = ("number", "until")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    number: int
    until: _timestamp_pb2.Timestamp
    def __init__(self, number: _Optional[int] = ..., until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CaughtUp(_message.Message):
    __slots__ = ("cursor",)
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    def __init__(self, cursor: _Optional[str] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("peer_id", "time", "typing", "presence", "contact_name")
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TYPING_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_FIELD_NUMBER: _ClassVar[int]
    CONTACT_NAME_FIELD_NUMBER: _ClassVar[int]
    peer_id: str
    time: _timestamp_pb2.Timestamp
    typing: Typing
    presence: Presence
    contact_name: str
    def __init__(self, peer_id: _Optional[str] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., typing: _Optional[_Union[Typing, _Mapping]] = ..., presence: _Optional[_Union[Presence, _Mapping]] = ..., contact_name: _Optional[str] = ...) -> None: ...

class Presence(_message.Message):
    __slots__ = ("online", "path")
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    online: bool
    path: _network_pb2.Path
    def __init__(self, online: bool = ..., path: _Optional[_Union[_network_pb2.Path, str]] = ...) -> None: ...

class Typing(_message.Message):
    __slots__ = ("active",)
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    active: bool
    def __init__(self, active: bool = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("cursor", "time", "message_received", "message_state", "message_edited", "message_retracted", "contact_request", "contact_added", "contact_declined", "contact_removed", "gap", "events_dropped", "message_expired", "history_lost", "own_conflict", "contact_conflict", "message_reacted", "contact_name")
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
    CONTACT_NAME_FIELD_NUMBER: _ClassVar[int]
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
    contact_name: str
    def __init__(self, cursor: _Optional[str] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., message_received: _Optional[_Union[MessageReceived, _Mapping]] = ..., message_state: _Optional[_Union[MessageStateChanged, _Mapping]] = ..., message_edited: _Optional[_Union[MessageEdited, _Mapping]] = ..., message_retracted: _Optional[_Union[MessageRetracted, _Mapping]] = ..., contact_request: _Optional[_Union[ContactRequested, _Mapping]] = ..., contact_added: _Optional[_Union[ContactAdded, _Mapping]] = ..., contact_declined: _Optional[_Union[ContactDeclined, _Mapping]] = ..., contact_removed: _Optional[_Union[ContactRemoved, _Mapping]] = ..., gap: _Optional[_Union[Gap, _Mapping]] = ..., events_dropped: _Optional[_Union[EventsDropped, _Mapping]] = ..., message_expired: _Optional[_Union[MessageExpired, _Mapping]] = ..., history_lost: _Optional[_Union[HistoryLost, _Mapping]] = ..., own_conflict: _Optional[_Union[StateConflict, _Mapping]] = ..., contact_conflict: _Optional[_Union[StateConflict, _Mapping]] = ..., message_reacted: _Optional[_Union[MessageReacted, _Mapping]] = ..., contact_name: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("message_id", "peer_id", "text", "data", "media_type", "reply_to", "thread")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    THREAD_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    peer_id: str
    text: str
    data: bytes
    media_type: str
    reply_to: str
    thread: str
    def __init__(self, message_id: _Optional[str] = ..., peer_id: _Optional[str] = ..., text: _Optional[str] = ..., data: _Optional[bytes] = ..., media_type: _Optional[str] = ..., reply_to: _Optional[str] = ..., thread: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("name", "cursor", "lag", "last_seen", "connected", "acknowledged", "shared", "workers", "leased", "dead_letters", "failure", "failing_since")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    FAILING_SINCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    lag: int
    last_seen: _timestamp_pb2.Timestamp
    connected: bool
    acknowledged: bool
    shared: bool
    workers: int
    leased: int
    dead_letters: int
    failure: str
    failing_since: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ..., lag: _Optional[int] = ..., last_seen: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., connected: bool = ..., acknowledged: bool = ..., shared: bool = ..., workers: _Optional[int] = ..., leased: _Optional[int] = ..., dead_letters: _Optional[int] = ..., failure: _Optional[str] = ..., failing_since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

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

class NackEventRequest(_message.Message):
    __slots__ = ("client", "cursor", "delivery", "delay", "reason")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    client: str
    cursor: str
    delivery: int
    delay: _duration_pb2.Duration
    reason: str
    def __init__(self, client: _Optional[str] = ..., cursor: _Optional[str] = ..., delivery: _Optional[int] = ..., delay: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class NackEventResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("client", "limit", "after")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    client: str
    limit: int
    after: str
    def __init__(self, client: _Optional[str] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class ListDeadLettersResponse(_message.Message):
    __slots__ = ("letters", "next")
    LETTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    letters: _containers.RepeatedCompositeFieldContainer[DeadLetter]
    next: str
    def __init__(self, letters: _Optional[_Iterable[_Union[DeadLetter, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("cursor", "event", "deliveries", "since", "reason")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    event: Event
    deliveries: int
    since: _timestamp_pb2.Timestamp
    reason: str
    def __init__(self, cursor: _Optional[str] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., deliveries: _Optional[int] = ..., since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class SettleDeadLettersRequest(_message.Message):
    __slots__ = ("client", "cursors", "action")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    CURSORS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    client: str
    cursors: _containers.RepeatedScalarFieldContainer[str]
    action: DeadLetterAction
    def __init__(self, client: _Optional[str] = ..., cursors: _Optional[_Iterable[str]] = ..., action: _Optional[_Union[DeadLetterAction, str]] = ...) -> None: ...

class SettleDeadLettersResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class ReportClientRequest(_message.Message):
    __slots__ = ("client", "failure")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    client: str
    failure: str
    def __init__(self, client: _Optional[str] = ..., failure: _Optional[str] = ...) -> None: ...

class ReportClientResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
