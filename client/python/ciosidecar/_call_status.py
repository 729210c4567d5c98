"""The status with which the sidecar ended a call of grpc.aio."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc
from grpc import aio

_MADE_UP = (grpc.StatusCode.INTERNAL, "Internal error from Core")
_WAIT_S = 5.0
"""The wait for a status that is sure to come, unless gRPC has a fault."""

_Value = TypeVar("_Value")


class CallStatus:
    """The sidecar's own status of a call.

    If a write meets the end of its call, grpc.aio sets a status of its own. It does so before or after it
    sets the sidecar's (https://github.com/grpc/grpc/issues/36066). Without the sidecar's, a client would
    repeat what the sidecar refuses.

    Args:
        call: A call that was just made.
    """

    def __init__(self, call: aio.Call) -> None:
        self._status: tuple[grpc.StatusCode, str] | None = None
        self._known = asyncio.Event()
        call.add_done_callback(self._note)

    def _note(self, call: aio.Call) -> None:
        """Keep the first status that gRPC did not make up. grpc.aio calls this for each status that it sets."""
        code, details = _value_now(call.code()), _value_now(call.details())
        if self._status is None and code is not None and (code, details) != _MADE_UP:
            self._status = code, details or ""
            self._known.set()

    async def in_place_of(self, failure: aio.AioRpcError) -> aio.AioRpcError | None:
        """Return the failure, with the sidecar's status if gRPC made one up; None if the sidecar's is OK."""
        if (failure.code(), failure.details()) != _MADE_UP:
            return failure
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._known.wait(), _WAIT_S)
        if self._status is None:
            return failure
        code, details = self._status
        if code == grpc.StatusCode.OK:
            return None
        return aio.AioRpcError(code, aio.Metadata(), aio.Metadata(), details)


def _value_now(coroutine: Coroutine[Any, Any, _Value]) -> _Value | None:
    """Return what a coroutine returns without waiting; None if it would wait."""
    try:
        coroutine.send(None)
    except StopIteration as returned:
        value: _Value = returned.value
        return value
    coroutine.close()
    return None
