"""What a stream selects: kinds, contacts, heartbeat, presence. Parts of a conversation."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from daemons import Daemon, befriend

from m2client import (
    AsyncClient,
    CaughtUp,
    Client,
    ContactUnknownError,
    EventsDropped,
    KindLike,
    MessageEdited,
    MessageReacted,
    MessageReceived,
    PresenceNotice,
    Start,
    TypingNotice,
)

if TYPE_CHECKING:
    from conftest import Pair

PATIENCE = 60


def lag(client: Client, name: str) -> int:
    (found,) = [one for one in client.event_clients() if one.name == name]
    return found.lag


def test_kinds_and_the_fields_of_events(pair: Pair, name: str) -> None:
    kinds: list[KindLike] = [MessageEdited, "messageReacted", TypingNotice]
    with pair.ben.events(name, kinds=kinds, timeout=PATIENCE) as events:
        root = pair.ann.send("ben", "root")
        sent = pair.ann.send("ben", "before", thread=root, reply_to=root, wait="delivered")
        assert pair.ann.typing("ben")
        typing = next(events)
        assert isinstance(typing, TypingNotice)
        assert (typing.contact_name, typing.active) == ("ann", True)
        pair.ann.edit(sent, "after")
        pair.ann.react(sent, "👍")
        edited, reacted = next(events), next(events)
    assert isinstance(edited, MessageEdited)
    assert (edited.text, edited.contact_name) == ("after", "ann")
    assert edited.thread == edited.reply_to == root.message_id
    assert isinstance(reacted, MessageReacted)
    assert reacted.text == "👍"


def test_contacts(own_pair: Pair, name: str) -> None:
    pair = own_pair
    with Daemon("carol") as carol, carol.client() as at_carol:
        befriend(pair.ben_daemon, carol, ("ben", "carol"))
        carols = pair.ben.contact("carol")
        with pair.ben.events(name, contacts=[carols], timeout=PATIENCE) as events:
            pair.ann.send("ben", "from ann", wait="delivered")
            at_carol.send("ben", "from carol")
            event = next(events)
            assert isinstance(event, MessageReceived)
            assert (event.text, event.contact_name) == ("from carol", "carol")
        with pytest.raises(ContactUnknownError):
            next(pair.ben.events(contacts=["unknown"]))


@pytest.mark.parametrize("wrong", ["rubbish", "unspecified", "", EventsDropped, CaughtUp, "MESSAGE_RECEIVED"])
def test_kinds_that_can_not_be_chosen(pair: Pair, wrong: str) -> None:
    with pytest.raises(ValueError, match="no kind of events"):
        pair.ben.events(kinds=[wrong])
    with pytest.raises(ValueError, match="must be a list"):
        pair.ben.events(kinds="messageReceived")
    with pytest.raises(ValueError, match="must be a list"):
        pair.ben.work("x", contacts="ann")


def test_events_that_are_left_out_count_as_acknowledged(pair: Pair, name: str) -> None:
    with pair.ben.events(name, kinds=[MessageReacted], timeout=PATIENCE):
        pair.ann.send("ben", "left out", wait="delivered")
    assert lag(pair.ben, name) == 1
    list(pair.ben.events(name, kinds=[MessageReacted], timeout=1))
    assert lag(pair.ben, name) == 0


def test_events_that_are_left_out_do_not_cover_an_unfinished_one(pair: Pair, name: str) -> None:
    """The daemon says that the stream is caught up while the body of the loop runs, which then raises."""
    with pair.ben.events(name, kinds=[MessageReceived], timeout=PATIENCE) as events:
        pair.ann.send("ben", "unfinished", wait="delivered")
        next(events)
        time.sleep(0.5)
    assert lag(pair.ben, name) == 1
    with pair.ben.events(name, timeout=PATIENCE) as events:
        assert next(events).text == "unfinished"  # type: ignore[attr-defined]


def test_a_heartbeat_says_that_the_stream_is_caught_up(pair: Pair, name: str) -> None:
    with pair.ben.events(name, kinds=[MessageReceived], heartbeat=1, timeout=PATIENCE) as events:
        first = next(events)
        assert isinstance(first, CaughtUp)
        pair.ann.send("ben", "between", wait="delivered")
        received = next(e for e in events if not isinstance(e, CaughtUp))
        assert isinstance(received, MessageReceived)
        last = next(events)
        assert isinstance(last, CaughtUp)
        assert last.kind == "caughtUp"
        assert last.cursor == received.cursor
        next(events)
        assert lag(pair.ben, name) == 0


def test_presence_comes_first_for_each_contact_and_then_on_change(own_pair: Pair) -> None:
    pair = own_pair
    pair.ann.send("ben", "hello", wait="delivered")
    with pair.ann.events(presence=True, kinds=[PresenceNotice], timeout=PATIENCE) as events:
        online = next(events)
        assert isinstance(online, PresenceNotice)
        assert (online.contact_name, online.online, online.path.name) == ("ben", True, "DIRECT")
        pair.ben_daemon.stop()
        offline = next(events)
        assert isinstance(offline, PresenceNotice)
        assert (offline.online, offline.path.name) == (False, "NONE")


def test_history_forwards_and_by_time(pair: Pair) -> None:
    run = uuid.uuid4().hex
    sent = [pair.ann.send("ben", f"{run} {number}") for number in range(5)]
    stored = [pair.ann.message(one) for one in sent]
    middle = stored[2]

    def texts(**options: object) -> list[str]:
        found = pair.ann.messages("ben", page_size=2, **options)  # type: ignore[arg-type]
        return [m.text.split()[1] for m in found if m.text.startswith(run)]

    assert texts() == ["4", "3", "2", "1", "0"]
    assert texts(forward=True) == ["0", "1", "2", "3", "4"]
    assert texts(after=middle.cursor) == ["4", "3"]
    assert texts(after=middle.cursor, forward=True) == ["3", "4"]
    assert texts(before=middle.cursor) == ["1", "0"]
    assert texts(before=middle.cursor, forward=True) == ["0", "1"]
    assert texts(before=stored[4].cursor, after=stored[0].cursor, forward=True) == ["1", "2", "3"]
    assert middle.stored is not None
    assert set(texts(since=middle.stored)) >= {"2", "3", "4"}
    assert texts(until=middle.stored - timedelta(hours=1)) == []
    assert texts(since=datetime.now(timezone.utc) + timedelta(hours=1)) == []
    local = middle.stored.astimezone(timezone(timedelta(hours=5)))
    assert texts(since=local) == texts(since=middle.stored)
    with pytest.raises(ValueError, match="no time zone"):
        texts(since=datetime(2026, 1, 1))  # noqa: DTZ001


def test_search_in_one_conversation(own_pair: Pair) -> None:
    pair = own_pair
    with Daemon("carol") as carol, carol.client() as at_carol:
        befriend(pair.ben_daemon, carol, ("ben", "carol"))
        pair.ann.send("ben", "needle of ann", wait="delivered")
        at_carol.send("ben", "needle of carol", wait="delivered")
        assert {m.text for m in pair.ben.search("needle")} == {"needle of ann", "needle of carol"}
        assert [m.text for m in pair.ben.search("needle", contact="carol")] == ["needle of carol"]
        with pytest.raises(ContactUnknownError):
            list(pair.ben.search("needle", contact="unknown"))


def test_in_asyncio(pair: Pair, name: str) -> None:
    async def main() -> None:
        options = {"kinds": ["messageReceived"], "heartbeat": 1, "presence": True, "timeout": PATIENCE}
        ann, ben = (AsyncClient(daemon.socket) for daemon in (pair.ann_daemon, pair.ben_daemon))
        async with ann, ben, ben.events(name, start=Start.NOW, **options) as events:  # type: ignore[arg-type]
            sent = await ann.send("ben", text, wait="delivered")
            kinds = set()
            async for event in events:
                kinds.add(type(event))
                if kinds >= {CaughtUp, MessageReceived, PresenceNotice}:
                    break
            assert [m.text async for m in ben.messages("ann", since=sent_at, forward=True)][-1:] == [text]
            assert [m.message_id async for m in ben.search(text, contact="ann")] == [sent.message_id]

    text = f"{uuid.uuid4()}"
    newest = next(pair.ben.messages("ann"))
    sent_at = newest.stored
    asyncio.run(main())
