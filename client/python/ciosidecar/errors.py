"""Errors of calls and streams. An event's own error is in its Result.

SidecarError
├── Unavailable     no sidecar answered within the time limit
├── CallFailed      the call was refused, or its deadline passed
└── Closed          the caller closed the stream or its client
"""

import grpc


class SidecarError(Exception):
    """The base class of all errors of calls and streams."""


class Unavailable(SidecarError):
    """No sidecar answered, within the time limits for connecting."""


class CallFailed(SidecarError):
    """The sidecar refused the call, for example because a limit was exceeded, or its deadline passed."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        """The status code of the RPC."""
        self.details = details
        """The sidecar's message."""


class Closed(SidecarError):
    """The caller closed or cancelled the stream, or closed its client."""


# gRPC reports INTERNAL if a connection is reset in mid-stream. If the sidecar itself has a fault, the
# reconnect backoff gives up, because the stream makes no progress.
_RETRYABLE_CODES = frozenset(
    (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL)
)


_GIVE_ONE = " (the client sent no token: give it token or token_file)"
_COMPARE_IT = " (the sidecar does not accept the client's token: compare it with the sidecar's --auth-token-file)"


def is_retryable(code: grpc.StatusCode, details: str) -> bool:
    """Return true if a stream that ended with this status may be opened again."""
    return code in _RETRYABLE_CODES or _is_connection_lost(code, details)


def _is_connection_lost(code: grpc.StatusCode, details: str) -> bool:
    """Return true for the status that gRPC makes up if a connection breaks in the middle of a record of TLS."""
    return code == grpc.StatusCode.UNKNOWN and details.startswith("Stream removed")


def call_failed(code: grpc.StatusCode, details: str, *, token_given: bool = False) -> SidecarError:
    """Return the error for the status of a failed RPC.

    Args:
        code: The status code.
        details: The status message.
        token_given: True if the call had a bearer token.
    """
    if code == grpc.StatusCode.UNAVAILABLE or _is_connection_lost(code, details):
        return Unavailable(details)
    if code == grpc.StatusCode.UNAUTHENTICATED:
        details += _COMPARE_IT if token_given else _GIVE_ONE
    return CallFailed(code, details)


def contract_broken(fault: Exception) -> CallFailed:
    """Return the error for a response that violates the contract. A retry would get the same."""
    return CallFailed(grpc.StatusCode.UNKNOWN, f"the sidecar broke the contract: {fault}")


def client_fault(fault: BaseException) -> SidecarError:
    """Return the error for a fault of the client itself."""
    return SidecarError(f"internal error in the client: {fault!r}")
