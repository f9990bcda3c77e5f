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
from ._access_calls import ScopeLike
from ._aio_client import AsyncClient
from ._aio_stream import AsyncEventStream, AsyncWorkStream
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
    Scope,
    Start,
)
from ._events import (
    CaughtUp,
    ContactAdded,
    ContactConflict,
    ContactDeclined,
    ContactRemoved,
    ContactRequested,
    Event,
    EventsDropped,
    Gap,
    HistoryLost,
    KindLike,
    MessageEdited,
    MessageExpired,
    MessageReacted,
    MessageReceived,
    MessageRetracted,
    MessageStateChanged,
    Notice,
    OwnConflict,
    PresenceNotice,
    TypingNotice,
    UnknownEvent,
    UnknownNotice,
)
from ._jobs import DeadLetter, Job
from ._model import (
    Contact,
    ContactPolicy,
    EventClient,
    Identity,
    Invitation,
    Message,
    NewToken,
    Reaction,
    Sent,
    Status,
    Token,
    TokenContact,
    TokenUse,
    Verification,
)
from ._stream import EventStream, WorkStream
from ._window import Draft, SendResult
from .errors import *  # noqa: F403

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "AsyncEventStream",
    "AsyncWorkStream",
    "CaughtUp",
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
    "DeadLetter",
    "Direction",
    "Draft",
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
    "Job",
    "KindLike",
    "Message",
    "MessageEdited",
    "MessageExpired",
    "MessageLike",
    "MessageReacted",
    "MessageReceived",
    "MessageRetracted",
    "MessageState",
    "MessageStateChanged",
    "NewToken",
    "Notice",
    "OwnConflict",
    "Path",
    "PresenceNotice",
    "Reaction",
    "Scope",
    "ScopeLike",
    "SendResult",
    "Sent",
    "Start",
    "Status",
    "TimeSpan",
    "Token",
    "TokenContact",
    "TokenUse",
    "TypingNotice",
    "UnknownEvent",
    "UnknownNotice",
    "Verification",
    "WaitFor",
    "WorkStream",
    "__version__",
    "errors",
]
__all__ += errors.__all__
