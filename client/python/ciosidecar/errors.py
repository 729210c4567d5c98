"""What goes wrong between a caller and the sidecar. What goes wrong with an event is its Result.

SidecarError
├── Unavailable     nobody answered for as long as we were told to try
└── CallFailed      the sidecar refused the call: it would again
"""

import grpc


class SidecarError(Exception):
    """The base of everything the client raises for a call."""


class Unavailable(SidecarError):
    """No sidecar answered for as long as the client was told to try."""


class CallFailed(SidecarError):
    """The sidecar refused the call, and would again: the protocol was broken, or a limit exceeded."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        """The status of the RPC."""
        self.details = details
        """What the sidecar said of it."""


_WORTH_ANOTHER_TRY = frozenset(
    (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL)
)


def worth_another_try(code: grpc.StatusCode) -> bool:
    """Whether a stream that ended so may be opened again with some hope."""
    return code in _WORTH_ANOTHER_TRY


def call_failed(failure: grpc.RpcError) -> SidecarError:
    """The RPC's failure as one of ours."""
    code: grpc.StatusCode = failure.code()
    details = str(failure.details() or "")
    if code == grpc.StatusCode.UNAVAILABLE:
        return Unavailable(details)
    return CallFailed(code, details)
