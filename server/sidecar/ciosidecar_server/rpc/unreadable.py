"""Messages that are no protobuf of their type: INVALID_ARGUMENT on every call, also of health.

Without this, gRPC ends such a call with INTERNAL and a traceback in the log.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import isasyncgenfunction
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from .errors import ProtocolError, fail
from .observer import RpcObserver

_log = logging.getLogger(__name__)


class Unreadable:
    """The type of the object that replaces a message that cannot be read."""


_UNREADABLE = Unreadable()


def reject_unreadable(message: object) -> None:
    """Raise ProtocolError if the message could not be read."""
    if message is _UNREADABLE:
        raise ProtocolError(
            "message",
            "the bytes are no protobuf message of the type that this call takes: texts must be"
            " UTF-8, and messages, a Struct's too, must not nest more than 100 levels deep",
        )


class UnreadableInterceptor(aio.ServerInterceptor):
    """An interceptor that fails calls whose messages cannot be read."""

    def __init__(self, observer: RpcObserver) -> None:
        self._observer = observer
        self._guarded: dict[str, tuple[Any, Any]] = {}
        """The handler of each method, and the one that replaces it."""

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the call's handler with a reader that never fails."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None  # gRPC's value for an unknown method
        method = handler_call_details.method
        known = self._guarded.get(method)
        if known is None or known[0] is not handler:
            known = self._guarded[method] = handler, self._guard(handler, method)
        return known[1]

    def _guard(self, handler: Any, method: str) -> Any:
        guarded: dict[str, Any] = {}
        if handler.unary_unary is not None:
            guarded["unary_unary"] = _guard(handler.unary_unary, self._observer)
        elif handler.unary_stream is not None:
            guarded["unary_stream"] = _guard(handler.unary_stream, self._observer)
        elif isasyncgenfunction(handler.stream_stream):
            guarded["stream_stream"] = _guard_stream(handler.stream_stream, self._observer)
        # Any other stream reads by itself, and calls reject_unreadable.
        guarded["request_deserializer"] = _reader(handler.request_deserializer, method)
        return handler._replace(**guarded)


def _reader(read: Callable[[bytes], Any], method: str) -> Callable[[bytes], Any]:
    def read_or_not(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            # The error's text stays out of the log: it may quote what the caller sent.
            _log.warning("%s: %d bytes that are no protobuf of its type", method, len(data))
            return _UNREADABLE

    return read_or_not


def _guard(
    call: Callable[[Any, Any], Awaitable[Any]], observer: RpcObserver
) -> Callable[[Any, Any], Awaitable[Any]]:
    async def guarded(request: Any, context: Any) -> Any:
        await _reject(request, context, observer)
        return await call(request, context)

    return guarded


def _guard_stream(
    call: Callable[[AsyncIterator[Any], Any], AsyncIterator[Any]], observer: RpcObserver
) -> Callable[[AsyncIterator[Any], Any], AsyncIterator[Any]]:
    async def readable(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            await _reject(request, context, observer)
            yield request

    async def guarded(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for response in call(readable(requests, context), context):
            yield response

    return guarded


async def _reject(request: object, context: Any, observer: RpcObserver) -> None:
    try:
        reject_unreadable(request)
    except ProtocolError as fault:
        await fail(context, fault, observer)
