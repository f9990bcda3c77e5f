"""Access tokens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from m2client import AsyncClient, Client, NotAllowedError, TokenInvalidError
from m2client.proto import access_pb2, methods

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Pair


def created(owner: Client, name: str) -> str:
    """Creates a token that may send to ben. Returns its text."""
    request = access_pb2.CreateTokenRequest(
        name=name, scopes=[access_pb2.ACCESS_SCOPE_SEND], contacts=["ben"]
    )
    return owner.call(methods.AccessService.CreateToken, request).token


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


@pytest.mark.parametrize("wrong", ["", "abc", "m2t_a b", "m2t_a\nm2t_b", "m2t_é"])
def test_another_text_is_no_token(wrong: str) -> None:
    with pytest.raises(ValueError, match="access token"):
        Client("/nowhere", token=wrong)
