"""The conversion of gRPC's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status as RpcStatus

from . import _reasons, _socket
from ._errors import CallTimeoutError, ConnectionLostError, DaemonUnavailableError, M2Error

if TYPE_CHECKING:
    from collections.abc import Sequence

DOMAIN = "m2.api.v1"
_DETAILS = "grpc-status-details-bin"

# Parts of the texts with which gRPC reports that the peer reset a stream or a connection.
_RESETS = ("RST_STREAM", "GOAWAY", "Stream removed", "Socket closed")

# The failures after which the same call can succeed later, without any action of the caller.
TEMPORARY = (DaemonUnavailableError, _reasons.LockedError)


def from_rpc(error: grpc.RpcError, places: Sequence[str]) -> M2Error:
    """Returns the error for a failed call to the daemon at one of `places`."""
    code, details = error.code(), error.details() or ""
    info = _info(error.trailing_metadata() or ())
    if info is not None:
        kind = _reasons.BY_REASON.get(info.reason, M2Error)
        return kind(details, reason=info.reason, code=code.name, metadata=info.metadata)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return CallTimeoutError("The daemon did not answer in time.", code=code.name)
    is_reset = any(text in details for text in _RESETS)
    if code is grpc.StatusCode.UNAVAILABLE or is_reset:
        return _socket.problem(places) or lost(code.name)
    return M2Error(details or code.name, reason=code.name, code=code.name)


def lost(code: str = "") -> ConnectionLostError:
    """Returns the error for a connection or stream that ended early."""
    return ConnectionLostError("The connection to the daemon was lost. Try again.", code=code)


def _info(metadata: Any) -> ErrorInfo | None:
    """Returns the daemon's reason, or `None` if the error is not one of its API."""
    packed = [value for key, value in metadata if key == _DETAILS]
    for value in packed:
        for detail in RpcStatus.FromString(value).details:
            info = ErrorInfo()
            if detail.Unpack(info) and info.domain == DOMAIN:
                return info
    return None
