"""The calls of the client for asyncio about the daemon, its contacts and its access tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _access_calls as access
from . import _calls as calls
from ._aio_connection import AsyncConnection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from . import _model as model
    from ._access_calls import ScopeLike
    from ._calls import ContactLike, TimeSpan
    from ._enums import ContactState


class AsyncOwnerCalls(AsyncConnection):
    """The calls about the daemon, its contacts and its access tokens."""

    # The daemon.

    async def status(self, *, timeout: float | None = None) -> model.Status:
        """Returns the daemon's state, counters and warnings. Works while the daemon is locked."""
        return await self._run(calls.status(), timeout)

    async def unlock(self, passphrase: str, *, timeout: float | None = None) -> None:
        """Unlocks the identity of a locked daemon. Returns once the daemon is ready."""
        await self._run(calls.unlock(passphrase), timeout)

    async def identity(self, *, timeout: float | None = None) -> model.Identity:
        """Returns this daemon's peer id and certificate."""
        return await self._run(calls.identity(), timeout)

    # Invitations and contacts.

    async def invite(
        self,
        name: str = "",
        *,
        valid_for: TimeSpan | None = None,
        reusable: bool = False,
        timeout: float | None = None,
    ) -> model.Invitation:
        """Creates an invitation, whose `uri` goes to the other party over a trusted channel.

        `name` is the local name of the contact that uses it. It is valid for 24 hours by default.
        """
        return await self._run(calls.invite(name, valid_for, reusable=reusable), timeout)

    async def invitations(self, *, timeout: float | None = None) -> list[model.Invitation]:
        """Returns the open invitations, oldest first."""
        return await self._run(calls.invitations(), timeout)

    async def revoke_invitation(
        self, invitation: str | model.Invitation, *, timeout: float | None = None
    ) -> None:
        """Revokes an invitation. Peers that became contacts through it stay contacts."""
        await self._run(calls.revoke_invitation(invitation), timeout)

    async def add(self, invitation: str, name: str = "", *, timeout: float | None = None) -> model.Contact:
        """Accepts an invitation and asks its author to become a contact.

        Returns once the request is stored. A `ContactAdded` event follows when the peer accepts.
        """
        return await self._run(calls.add(invitation, name), timeout)

    async def contacts(
        self, state: ContactState | None = None, *, timeout: float | None = None
    ) -> list[model.Contact]:
        """Returns the contacts, sorted by name; only those in `state` if it is given."""
        found: list[model.Contact] = []
        after = ""
        while True:
            page = await self._run(calls.contacts(state, after), timeout)
            found += page.items
            after = page.next
            if not after:
                return found

    async def contact(self, contact: ContactLike, *, timeout: float | None = None) -> model.Contact:
        """Returns one contact with its reachability."""
        return await self._run(calls.contact(contact), timeout)

    async def rename(self, contact: ContactLike, name: str, *, timeout: float | None = None) -> model.Contact:
        """Changes the local name of a contact."""
        return await self._run(calls.rename(contact, name), timeout)

    async def accept(
        self, contact: ContactLike, name: str = "", *, timeout: float | None = None
    ) -> model.Contact:
        """Accepts a peer's request to become a contact."""
        return await self._run(calls.accept(contact, name), timeout)

    async def decline(self, contact: ContactLike, *, timeout: float | None = None) -> None:
        """Declines a peer's request. The peer is notified and may ask again."""
        await self._run(calls.decline(contact), timeout)

    async def block(self, contact: ContactLike, *, timeout: float | None = None) -> None:
        """Blocks a peer, whether or not it is a contact."""
        await self._run(calls.block(contact), timeout)

    async def remove(
        self, contact: ContactLike, *, history: bool = False, timeout: float | None = None
    ) -> None:
        """Removes a contact and its outbox; with `history` also its messages."""
        await self._run(calls.remove(contact, history=history), timeout)

    async def verify(
        self,
        contact: ContactLike,
        *,
        matched: bool | None = None,
        timeout: float | None = None,
    ) -> model.Verification:
        """Returns the verification code, and stores whether it matched if `matched` is given."""
        return await self._run(calls.verify(contact, matched=matched), timeout)

    # Access tokens.

    async def create_token(
        self,
        name: str,
        scopes: Iterable[ScopeLike],
        *,
        contacts: Iterable[ContactLike] = (),
        valid_for: TimeSpan | None = None,
        timeout: float | None = None,
    ) -> model.NewToken:
        """Creates an access token. Its text, `token`, is not stored and not shown again.

        `scopes` are `Scope`s or their names in lower case. With `contacts`, the token reaches only
        these. It has no end unless `valid_for` is given.
        """
        return await self._run(access.create_token(name, scopes, contacts, valid_for), timeout)

    async def tokens(self, *, timeout: float | None = None) -> list[model.Token]:
        """Returns the access tokens, sorted by name, without their texts."""
        return await self._run(access.tokens(), timeout)

    async def revoke_token(self, token: str | model.Token, *, timeout: float | None = None) -> None:
        """Deletes an access token, which is given by its name. Its open streams end at once."""
        await self._run(access.revoke_token(token), timeout)

    async def token_uses(
        self, token: str | model.Token = "", *, limit: int = 100, timeout: float | None = None
    ) -> list[model.TokenUse]:
        """Returns what a token, or each of them, was used for in the last 90 days; the newest hour first."""
        return await self._run(access.token_uses(token, limit), timeout)
