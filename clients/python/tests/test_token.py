"""Access tokens."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from m2client import (
    AsyncClient,
    Client,
    ContactUnknownError,
    NameTakenError,
    NotAllowedError,
    Scope,
    TokenInvalidError,
    TokenUnknownError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Pair


def created(owner: Client, name: str) -> str:
    """Creates a token that may send to ben. Returns its text."""
    return owner.create_token(name, ["send"], contacts=["ben"]).token


def test_a_client_may_do_what_its_token_says(pair: Pair, name: str) -> None:
    token = created(pair.ann, name)
    with Client(pair.ann_daemon.socket, token=token) as client:
        client.send("ben", f"by token {name}")
        with pytest.raises(NotAllowedError):
            client.status()
    with Client(pair.ann_daemon.socket, token=token[:-1] + "g") as client, pytest.raises(TokenInvalidError):
        client.send("ben", "no")

    async def in_asyncio() -> None:
        async with AsyncClient(pair.ann_daemon.socket, token=token) as client:
            await client.send("ben", f"by token {name} in asyncio")
            with pytest.raises(NotAllowedError):
                await client.status()

    asyncio.run(in_asyncio())


def test_the_environment_names_a_token(
    pair: Pair, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = created(pair.ann, name)
    path = tmp_path / "token"
    path.write_text(token + "\n")
    monkeypatch.setenv("M2_TOKEN", "m2t_wrong")
    monkeypatch.setenv("M2_TOKEN_FILE", str(path))
    with Client(pair.ann_daemon.socket) as client, pytest.raises(NotAllowedError):
        client.status()
    monkeypatch.setenv("M2_TOKEN_FILE", "")
    with Client(pair.ann_daemon.socket) as client, pytest.raises(TokenInvalidError):
        client.status()


def test_tokens_are_created_listed_and_revoked(pair: Pair, name: str) -> None:
    new = pair.ann.create_token(
        name, [Scope.SEND, "events"], contacts=[pair.ann.contact("ben")], valid_for=timedelta(hours=1)
    )
    assert new.token.startswith("m2t_")
    assert new.token not in repr(new)
    (listed,) = [one for one in pair.ann.tokens() if one.name == name]
    assert listed == new.info
    assert set(listed.scopes) == {Scope.SEND, Scope.EVENTS}
    assert listed.limited
    assert [one.name for one in listed.contacts] == ["ben"]
    assert listed.created is not None
    assert listed.expires is not None
    assert listed.expires - listed.created == timedelta(hours=1)
    with pytest.raises(NameTakenError):
        pair.ann.create_token(name, ["send"])
    with pytest.raises(ContactUnknownError):
        pair.ann.create_token(f"{name}-2", ["send"], contacts=["unknown"])
    for wrong in ("everything", "unspecified"):
        with pytest.raises(ValueError, match="no scope"):
            pair.ann.create_token(f"{name}-2", [wrong])
    pair.ann.revoke_token(listed)
    assert name not in [one.name for one in pair.ann.tokens()]
    with pytest.raises(TokenUnknownError):
        pair.ann.revoke_token(name)


def test_uses_of_a_token_are_listed(pair: Pair, name: str) -> None:
    with Client(pair.ann_daemon.socket, token=created(pair.ann, name)) as client:
        client.send("ben", "one")
        client.send("ben", "two")
        with pytest.raises(NotAllowedError):
            client.status()
    uses = {one.call: one for one in pair.ann.token_uses(name)}
    sent = uses["MessageService/SendMessage"]
    assert (sent.permitted, sent.refused) == (2, 0)
    assert sent.peer_id == pair.ann.contact("ben").peer_id
    assert sent.last is not None
    assert uses["DaemonService/GetStatus"].refused == 1


def test_a_stream_ends_with_its_reason_when_the_token_is_revoked(pair: Pair, name: str) -> None:
    """It does not try again, although it would while the daemon is absent."""
    token = pair.ben.create_token(name, ["events"]).token
    with Client(pair.ben_daemon.socket, token=token) as client, client.events(name, timeout=60) as events:
        pair.ann.send("ben", "one")
        next(events)
        pair.ben.revoke_token(name)
        with pytest.raises(TokenInvalidError):
            next(events)

    async def in_asyncio(owner: AsyncClient) -> None:
        new = await owner.create_token(name, [Scope.EVENTS])
        client = AsyncClient(pair.ben_daemon.socket, token=new.token)
        async with client, client.work(f"{name}-work", timeout=60) as jobs:
            await owner.revoke_token(new.info)
            with pytest.raises(TokenInvalidError):
                await jobs.__anext__()
        assert name not in [one.name for one in await owner.tokens()]
        assert [one.call for one in await owner.token_uses(name, limit=1)]

    async def main() -> None:
        async with AsyncClient(pair.ben_daemon.socket) as owner:
            await in_asyncio(owner)

    asyncio.run(main())


@pytest.mark.parametrize("wrong", ["", "abc", "m2t_a b", "m2t_a\nm2t_b", "m2t_é"])
def test_another_text_is_no_token(wrong: str) -> None:
    with pytest.raises(ValueError, match="access token"):
        Client("/nowhere", token=wrong)
