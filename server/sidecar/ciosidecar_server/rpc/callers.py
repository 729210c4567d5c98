"""The call that a batch comes in, as an observer sees it."""

from typing import Any

from .observer import Caller

_TRACE_HEADERS = ("traceparent", "tracestate")


def stream_caller(session_id: str, context: Any) -> Caller:
    """Return the caller of a stream that has not opened yet."""
    return Caller(session_id, "", delivery=False, trace_headers=_trace_headers(context))


def unary_caller(context: Any, *, delivery: bool) -> Caller:
    """Return the caller of a unary call."""
    return Caller("", "", delivery, _trace_headers(context))


def _trace_headers(context: Any) -> dict[str, str]:
    """Return the W3C trace context in the metadata of a call."""
    return {
        key: value
        for key, value in context.invocation_metadata() or ()
        if key in _TRACE_HEADERS and isinstance(value, str)
    }
