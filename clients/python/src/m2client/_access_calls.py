"""The calls about access tokens, as in `_calls`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union, cast

from . import _model as model
from ._calls import Call, duration, nothing, peer
from ._enums import Scope
from ._proto import access_pb2, methods

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._calls import ContactLike, TimeSpan

# A scope, or its name in lower case, such as "send".
ScopeLike = Union[Scope, str]


def create_token(
    name: str,
    scopes: Iterable[ScopeLike],
    contacts: Iterable[ContactLike],
    valid_for: TimeSpan | None,
) -> Call[model.NewToken]:
    """Describes CreateToken."""
    request = access_pb2.CreateTokenRequest(
        name=name,
        scopes=[cast("access_pb2.AccessScope", scope(one)) for one in scopes],
        contacts=[peer(one) for one in contacts],
        valid_for=duration(valid_for),
    )
    return Call(methods.AccessService.CreateToken, request, _new_token)


def tokens() -> Call[list[model.Token]]:
    """Describes ListTokens."""
    return Call(
        methods.AccessService.ListTokens,
        access_pb2.ListTokensRequest(),
        lambda response: [model.token(one) for one in response.tokens],
    )


def revoke_token(token: str | model.Token) -> Call[None]:
    """Describes RevokeToken."""
    request = access_pb2.RevokeTokenRequest(name=_name(token))
    return Call(methods.AccessService.RevokeToken, request, nothing)


def token_uses(token: str | model.Token, limit: int) -> Call[list[model.TokenUse]]:
    """Describes ListTokenUses."""
    request = access_pb2.ListTokenUsesRequest(name=_name(token), limit=limit)
    return Call(
        methods.AccessService.ListTokenUses,
        request,
        lambda response: [model.token_use(one) for one in response.uses],
    )


def scope(scope: ScopeLike) -> Scope:
    """Returns a scope that is given by its name or as it is.

    Raises `ValueError` for another name.
    """
    if isinstance(scope, Scope):
        return scope
    found = Scope.__members__.get(scope.upper())
    if found is None or found is Scope.UNSPECIFIED:
        known = ", ".join(name.lower() for name in Scope.__members__ if name != "UNSPECIFIED")
        raise ValueError(f"{scope!r} is no scope. There are {known}.")
    return found


def _name(token: str | model.Token) -> str:
    return token if isinstance(token, str) else token.name


def _new_token(response: Any) -> model.NewToken:
    return model.NewToken(response.token, model.token(response.info))
