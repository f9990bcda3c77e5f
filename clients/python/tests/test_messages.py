"""Messages between two daemons, with the synchronous client."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from m2client import (
    CallTimeoutError,
    ContactState,
    DaemonState,
    Direction,
    KeyReusedError,
    MessageReceived,
    MessageState,
    MessageTooLargeError,
    MessageUnknownError,
    NotAuthorError,
    NotDeliveredError,
    Start,
    TypingNotice,
)

if TYPE_CHECKING:
    from conftest import Pair

LIMIT = 48 * 1024


def test_a_text_is_delivered_and_listed(pair: Pair) -> None:
    text = f"Hello {uuid.uuid4()}: ünïcode ✓"
    sent = pair.ann.send("ben", text, wait="delivered")
    assert sent.state in (MessageState.DELIVERED, MessageState.READ)
    newest = next(pair.ben.messages("ann"))
    assert newest.message_id == sent.message_id
    assert newest.content == newest.text == text
    assert newest.is_text
    assert newest.media_type == "text/plain;charset=utf-8"
    assert newest.direction is Direction.RECEIVED
    assert newest.sent is not None
    assert newest.sent.tzinfo is not None
    assert newest.raw.message_id == sent.message_id
    assert pair.ann.message(sent).state >= MessageState.DELIVERED


def test_bytes_keep_their_media_type_up_to_the_limit(pair: Pair) -> None:
    data = bytes(range(256)) * (LIMIT // 256)
    assert len(data) == LIMIT
    sent = pair.ann.send("ben", data, "image/png", wait="delivered")
    got = pair.ben.message(sent.message_id)
    assert got.content == got.data == data
    assert got.media_type == "image/png"
    assert not got.is_text


@pytest.mark.parametrize("size", [LIMIT + 1, 1024 * 1024 - 1, 1024 * 1024, 5_000_000])
def test_larger_content_is_refused_with_its_reason(pair: Pair, size: int) -> None:
    for content in ("x" * size, b"x" * size):
        with pytest.raises(MessageTooLargeError) as caught:
            pair.ann.send("ben", content, "" if isinstance(content, str) else "image/png")
        assert caught.value.reason == "MESSAGE_TOO_LARGE"


def test_a_key_makes_sending_idempotent(pair: Pair) -> None:
    key = uuid.uuid4().hex
    first = pair.ann.send("ben", "once", key=key)
    again = pair.ann.send("ben", "once", key=key, wait="delivered")
    assert again.message_id == first.message_id
    with pytest.raises(KeyReusedError):
        pair.ann.send("ben", "something else", key=key)


def test_replies_threads_reactions_edits_and_retractions(pair: Pair) -> None:
    question = pair.ann.send("ben", "A question", wait="delivered")
    answer = pair.ben.send(
        pair.ben.message(question),
        "An answer",
        reply_to=question,
        thread=question,
        wait="delivered",
    )
    got = pair.ann.message(answer)
    assert got.reply_to == got.thread == question.message_id
    pair.ann.react(answer, "👍")
    assert [one.text for one in pair.ann.message(answer).reactions] == ["👍"]
    pair.ann.edit(question, "A better question")
    edited = pair.ann.message(question)
    assert (edited.text, edited.edited) == ("A better question", True)
    pair.ann.mark_read(answer)
    pair.ann.retract(question)
    assert pair.ann.message(question).retracted
    with pytest.raises(NotAuthorError):
        pair.ann.retract(answer)


def test_a_time_to_live_can_be_a_number_or_a_timedelta(pair: Pair) -> None:
    for ttl in (3600, timedelta(hours=1)):
        message = pair.ann.message(pair.ann.send("ben", "soon gone", ttl=ttl))
        assert message.expires is not None
        assert message.sent is not None
        assert message.expires - message.sent == timedelta(hours=1)


def test_pages_are_fetched_as_they_are_needed(pair: Pair) -> None:
    word = f"w{uuid.uuid4().hex}"
    sent = [pair.ann.send("ben", f"{word} {number}").message_id for number in range(7)]
    listed = pair.ann.messages("ben", page_size=2)
    assert [next(listed).message_id for _ in range(7)] == sent[::-1]
    found = [message.message_id for message in pair.ann.search(word, page_size=3)]
    assert found == sent[::-1]


def test_unknown_messages_have_their_reason(pair: Pair) -> None:
    for identifier in ("0" * 32, "malformed"):
        with pytest.raises(MessageUnknownError):
            pair.ann.message(identifier)


def test_waiting_is_possible_for_states_that_come(pair: Pair) -> None:
    sent = pair.ann.send("ben", "wait for me")
    assert pair.ann.wait_for(sent).state >= MessageState.DELIVERED
    assert pair.ann.wait_for(sent, "sent").state >= MessageState.SENT
    with pytest.raises(ValueError, match="not for READ"):
        pair.ann.wait_for(sent, MessageState.READ)


def test_waiting_ends_with_the_timeout(own_pair: Pair) -> None:
    own_pair.ben_daemon.kill()
    with pytest.raises(CallTimeoutError, match="not delivered yet") as caught:
        own_pair.ann.send("ben", "Is ben at home?", wait="delivered", timeout=0.5)
    assert own_pair.ann.message(caught.value.metadata["message_id"]).text == "Is ben at home?"
    assert own_pair.ann.contact("ben").queued_messages == 1


def test_waiting_continues_after_a_restart_of_the_daemon(own_pair: Pair) -> None:
    pair = own_pair
    pair.ben_daemon.stop()
    sent = pair.ann.send("ben", "Wait for both of us")
    results = []
    waiter = threading.Thread(target=lambda: results.append(pair.ann.wait_for(sent)))
    waiter.start()
    pair.ann_daemon.restart()
    pair.ben_daemon.start()
    waiter.join()
    assert [result.state for result in results] == [MessageState.DELIVERED]


def test_waiting_for_an_expired_or_retracted_message_fails(own_pair: Pair) -> None:
    own_pair.ben_daemon.kill()
    expires = own_pair.ann.send("ben", "soon gone", ttl=1)
    with pytest.raises(NotDeliveredError) as caught:
        own_pair.ann.wait_for(expires)
    assert (caught.value.reason, caught.value.message_id) == ("EXPIRED", expires.message_id)
    assert caught.value.state is MessageState.EXPIRED


def test_typing_is_a_notice(pair: Pair, name: str) -> None:
    with pair.ben.events(name, notices=True, start=Start.NOW, timeout=60) as events:
        pair.ann.send("ben", "first", wait="delivered")
        assert isinstance(next(events), MessageReceived)
        assert pair.ann.typing("ben")
        for event in events:
            if isinstance(event, TypingNotice):
                assert event.active
                assert event.peer_id == pair.ann.identity().peer_id
                assert event.cursor == ""
                return
    pytest.fail("no notice")


def test_the_daemon_and_its_contacts(pair: Pair) -> None:
    status = pair.ann.status()
    assert status.state is DaemonState.READY
    assert status.contacts == 1
    assert status.peer_id == pair.ann.identity().peer_id
    assert status.started is not None
    (ben,) = pair.ann.contacts(ContactState.CONTACT)
    assert (ben.name, ben.state) == ("ben", ContactState.CONTACT)
    assert ben.peer_id == pair.ben.identity().peer_id
    assert pair.ann.contact(ben).peer_id == pair.ann.contact(ben.peer_id[:12]).peer_id
    assert pair.ann.contacts(ContactState.BLOCKED) == []
    code = pair.ann.verify("ben").code
    assert code == pair.ben.verify("ann").code
    assert sum(character.isdigit() for character in code) == 60
    assert not pair.ann.verify("ben").verified
    assert pair.ann.verify("ben", matched=True).verified
    assert pair.ann.rename("ben", "benjamin").name == "benjamin"
    assert pair.ann.rename("benjamin", "ben").name == "ben"


def test_invitations(pair: Pair) -> None:
    invitation = pair.ann.invite("carol", valid_for=timedelta(hours=2), reusable=True)
    assert invitation.uri.startswith("m2://")
    assert invitation.uri not in repr(invitation)
    (listed,) = [one for one in pair.ann.invitations() if one.invitation_id == invitation.invitation_id]
    assert (listed.contact_name, listed.reusable, listed.uri) == ("carol", True, "")
    pair.ann.revoke_invitation(invitation)
    assert invitation.invitation_id not in [one.invitation_id for one in pair.ann.invitations()]
