"""What goes wrong between a caller and the sidecar. What goes wrong with an event is its Result.

SidecarError
├── Unavailable     nobody answered for as long as we were told to try
├── CallFailed      the call was refused, or its deadline passed
└── Closed          the stream or its client was closed by its owner
"""

import grpc


class SidecarError(Exception):
    """The base of everything the client raises for a call."""


class Unavailable(SidecarError):
    """No sidecar answered for as long as the client was told to try."""


class CallFailed(SidecarError):
    """The call was refused (the protocol was broken, a limit exceeded), or its deadline passed."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        """The status of the RPC."""
        self.details = details
        """What the sidecar said of it."""


class Closed(SidecarError):
    """The stream, or its client, was closed or cancelled by its owner."""


# INTERNAL is also what grpc.aio makes of a write that meets the end of its stream: the status that
# the sidecar gave is lost then, and another try brings it to light.
_WORTH_ANOTHER_TRY = frozenset(
    (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL)
)


def worth_another_try(code: grpc.StatusCode) -> bool:
    """Whether a stream that ended so may be opened again with some hope."""
    return code in _WORTH_ANOTHER_TRY


def call_failed(code: grpc.StatusCode, details: str) -> SidecarError:
    """The status of a failed RPC as one of our errors."""
    return (
        Unavailable(details) if code == grpc.StatusCode.UNAVAILABLE else CallFailed(code, details)
    )


def contract_broken(fault: Exception) -> CallFailed:
    """Return the failure of a call whose answer makes no sense: another try would get the same."""
    return CallFailed(grpc.StatusCode.UNKNOWN, f"the sidecar broke the contract: {fault}")


def client_fault(fault: BaseException) -> SidecarError:
    """Return the failure of a stream whose own code raised."""
    return SidecarError(f"internal error in the client: {fault!r}")
