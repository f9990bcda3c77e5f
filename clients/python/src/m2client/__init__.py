"""A typed client of the M2 messenger daemon.

`Client` is synchronous, `AsyncClient` is for asyncio; both have the same methods.

    from m2client import Client, MessageReceived

    with Client() as m2:
        for event in m2.events("bot"):
            if isinstance(event, MessageReceived):
                m2.send(event, f"You wrote: {event.text}", key=event.message_id)
"""

from . import (
    _fork,  # noqa: F401 (before the first import of grpc)
    errors,
)
from ._aio_client import AsyncClient
from ._aio_stream import AsyncEventStream
from ._calls import ContactLike, HasMessageId, HasPeerId, MessageLike, TimeSpan, WaitFor
from ._client import Client
from ._enums import (
    ConflictKind,
    ContactState,
    DaemonState,
    Direction,
    IpMode,
    MessageState,
    Path,
    Start,
)
from ._events import (
    ContactAdded,
    ContactConflict,
    ContactDeclined,
    ContactRemoved,
    ContactRequested,
    Event,
    EventsDropped,
    Gap,
    HistoryLost,
    MessageEdited,
    MessageExpired,
    MessageReacted,
    MessageReceived,
    MessageRetracted,
    MessageStateChanged,
    Notice,
    OwnConflict,
    TypingNotice,
    UnknownEvent,
    UnknownNotice,
)
from ._model import (
    Contact,
    ContactPolicy,
    EventClient,
    Identity,
    Invitation,
    Message,
    Reaction,
    Sent,
    Status,
    Verification,
)
from ._stream import EventStream
from .errors import *  # noqa: F403

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "AsyncEventStream",
    "Client",
    "ConflictKind",
    "Contact",
    "ContactAdded",
    "ContactConflict",
    "ContactDeclined",
    "ContactLike",
    "ContactPolicy",
    "ContactRemoved",
    "ContactRequested",
    "ContactState",
    "DaemonState",
    "Direction",
    "Event",
    "EventClient",
    "EventStream",
    "EventsDropped",
    "Gap",
    "HasMessageId",
    "HasPeerId",
    "HistoryLost",
    "Identity",
    "Invitation",
    "IpMode",
    "Message",
    "MessageEdited",
    "MessageExpired",
    "MessageLike",
    "MessageReacted",
    "MessageReceived",
    "MessageRetracted",
    "MessageState",
    "MessageStateChanged",
    "Notice",
    "OwnConflict",
    "Path",
    "Reaction",
    "Sent",
    "Start",
    "Status",
    "TimeSpan",
    "TypingNotice",
    "UnknownEvent",
    "UnknownNotice",
    "Verification",
    "WaitFor",
    "__version__",
    "errors",
]
__all__ += errors.__all__
