"""Questions and replies."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable

import pytest

from m2client import (
    AsyncClient,
    CallTimeoutError,
    Client,
    ClosedError,
    ContactUnknownError,
    MessageReceived,
    NoDaemonError,
    NotDeliveredError,
    OwnMessageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Pair

PATIENCE = 60

Answer = Callable[[Client, MessageReceived], object]


@contextmanager
def answering(pair: Pair, answer: Answer) -> Iterator[None]:
    """Answers one message of ann at ben."""

    def run() -> None:
        with pair.ben_daemon.client() as ben, ben.events(kinds=[MessageReceived], timeout=PATIENCE) as events:
            ready.set()
            for event in events:
                assert isinstance(event, MessageReceived)
                answer(ben, event)
                return

    ready = threading.Event()
    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(PATIENCE)
    yield
    thread.join(PATIENCE)


def test_the_reply_is_the_message_that_refers_to_the_question(pair: Pair) -> None:
    def answer(ben: Client, question: MessageReceived) -> None:
        ben.send(question, "by the way")
        other = next(m for m in ben.messages("ann") if m.message_id != question.message_id)
        ben.send(question, "to another one", reply_to=other)
        ben.reply(question, "Yes!")

    with answering(pair, answer):
        reply = pair.ann.ask("ben", "Really?", timeout=PATIENCE)
    assert (reply.text, reply.peer_id) == ("Yes!", pair.ann.contact("ben").peer_id)
    assert pair.ann.message(reply.reply_to).text == "Really?"


def test_any_reply_is_the_next_message_without_a_reference(pair: Pair) -> None:
    with answering(pair, lambda ben, question: ben.send(question, "just so")):
        assert pair.ann.ask("ben", "Really?", any_reply=True, timeout=PATIENCE).text == "just so"


def test_a_question_without_a_reply_times_out_and_says_what_is_known(pair: Pair) -> None:
    with pytest.raises(CallTimeoutError, match="was delivered") as caught:
        pair.ann.ask("ben", "Anyone?", timeout=2)
    assert pair.ann.message(caught.value.metadata["message_id"]).text == "Anyone?"
    with pytest.raises(ContactUnknownError):
        pair.ann.ask("unknown", "Anyone?")


def test_a_question_that_is_given_up_has_no_reply(own_pair: Pair) -> None:
    own_pair.ben_daemon.kill()
    with pytest.raises(NotDeliveredError) as caught:
        own_pair.ann.ask("ben", "Quick!", ttl=1, timeout=PATIENCE)
    assert caught.value.reason == "EXPIRED"


def test_the_same_key_asks_once_and_gets_the_reply_that_came_meanwhile(pair: Pair) -> None:
    """As after a crash of the program that asked."""
    key, question = uuid.uuid4().hex, f"Really? {uuid.uuid4()}"
    with answering(pair, lambda ben, asked: ben.reply(asked, "Yes, earlier")):
        pair.ann.send("ben", question, key=key)
    end = time.monotonic() + PATIENCE
    while next(pair.ann.messages("ben")).text != "Yes, earlier":
        assert time.monotonic() < end
        time.sleep(0.02)
    reply = pair.ann.ask("ben", question, key=key, timeout=PATIENCE)
    assert (reply.text, reply.kind, reply.cursor) == ("Yes, earlier", "messageReceived", "")
    assert reply.sent is not None
    assert [m.text for m in pair.ben.messages("ann")].count(question) == 1


def test_a_restart_of_the_daemon_loses_no_reply(own_pair: Pair) -> None:
    pair = own_pair

    def answer(ben: Client, question: MessageReceived) -> None:
        pair.ann_daemon.kill()
        ben.reply(question, "Yes!")
        pair.ann_daemon.start()

    with answering(pair, answer):
        assert pair.ann.ask("ben", "Really?", timeout=PATIENCE).text == "Yes!"


def test_closing_the_client_ends_its_questions(pair: Pair, tmp_path: Path) -> None:
    client = pair.ann_daemon.client()
    threading.Timer(0.5, client.close).start()
    begun = time.monotonic()
    with pytest.raises(ClosedError):
        client.ask("ben", "Anyone?", timeout=PATIENCE)
    assert time.monotonic() - begun < PATIENCE / 2
    with Client(tmp_path / "absent.sock") as absent, pytest.raises(NoDaemonError):
        absent.ask("ben", "Anyone?")


def test_a_reply_goes_to_the_author_and_into_the_thread(pair: Pair) -> None:
    root = pair.ann.send("ben", "A thread", wait="delivered")
    first = pair.ben.reply(root, "First")
    pair.ben.wait_for(first)
    assert (pair.ann.message(first).reply_to, pair.ann.message(first).thread) == (root.message_id, "")
    in_thread = pair.ann.send("ben", "In the thread", thread=root, wait="delivered")
    for target in (in_thread.message_id, pair.ben.message(in_thread)):
        reply = pair.ben.message(pair.ben.reply(target, "Second"))
        assert (reply.reply_to, reply.thread) == (in_thread.message_id, root.message_id)
    for own in (root, pair.ann.message(root), root.message_id):
        with pytest.raises(OwnMessageError) as caught:
            pair.ann.reply(own, "To myself")
        assert caught.value.reason == "OWN_MESSAGE"


def test_in_asyncio(pair: Pair) -> None:
    async def main() -> None:
        async with AsyncClient(pair.ann_daemon.socket, timeout=PATIENCE) as ann:
            reply = await ann.ask("ben", "Really?")
            assert reply.text == "Yes!"
            with pytest.raises(CallTimeoutError):
                await ann.ask("ben", "Anyone?", timeout=1)
            again = await ann.ask("ben", "Really?", key=key)
            assert again.text == "Yes!"
            with pytest.raises(OwnMessageError):
                await ann.reply(again.reply_to, "To myself")
            await ann.reply(again, "Thanks", wait="delivered")
            asking = asyncio.ensure_future(ann.ask("ben", "Anyone?"))
            await asyncio.sleep(0.3)
            await ann.close()
            with pytest.raises(ClosedError):
                await asking

    key = uuid.uuid4().hex
    with answering(pair, lambda ben, question: ben.reply(question, "Yes!")):
        pair.ann.send("ben", "Really?", key=key)
    with answering(pair, lambda ben, question: ben.reply(question, "Yes!")):
        asyncio.run(main())
