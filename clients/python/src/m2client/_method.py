"""The description of a method of the API, for both clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message as RawMessage

Request = TypeVar("Request", bound=RawMessage)
Response = TypeVar("Response", bound=RawMessage)


@dataclass(frozen=True)
class Method(Generic[Request, Response]):
    """A method: its path and the types of its request and response."""

    path: str
    request: type[Request]
    response: type[Response]


class UnaryMethod(Method[Request, Response]):
    """A method with one request and one response."""


class StreamMethod(Method[Request, Response]):
    """A method with one request and a stream of responses."""


class BidiMethod(Method[Request, Response]):
    """A method with a stream of requests and a stream of responses."""
