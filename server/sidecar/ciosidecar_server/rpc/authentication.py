"""Bearer tokens of callers: every call needs a valid one, except those of the health service."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
from grpc import aio
from grpc_health.v1 import health

_EXEMPT = f"/{health.SERVICE_NAME}/"
_SCHEME = "bearer "
_SUMMARY_S = 60.0
_HOW = (
    "send the metadata `authorization: Bearer TOKEN`, with a token of the sidecar's --auth-token-file"
    " (--token-file in the commands, the option token in the clients)"
)
MISSING = f"this sidecar needs a bearer token, and the call has none: {_HOW}"
WRONG = f"the bearer token of the call is not valid at this sidecar: {_HOW}"

_log = logging.getLogger(__name__)


class TokenInterceptor(aio.ServerInterceptor):
    """An interceptor that fails calls without a valid token, with UNAUTHENTICATED.

    The token is checked once, when the call begins. A stream goes on after its token was taken out of the file.
    """

    def __init__(self, accept: Callable[[bytes], bool]) -> None:
        """Check tokens with a function.

        Args:
            accept: Returns True if a token is valid. It takes the same time for every token.
        """
        self._accept = accept
        self._log = RefusalLog()

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the call's own handler, or one that fails the call."""
        if (handler_call_details.method or "").startswith(_EXEMPT):
            return await continuation(handler_call_details)
        presented = _tokens(handler_call_details.invocation_metadata or ())
        if any([self._accept(token) for token in presented]):  # noqa: C419 - all are checked, so that time tells nothing
            return await continuation(handler_call_details)
        return self._refuse(WRONG if presented else MISSING)

    def _refuse(self, message: str) -> Any:
        async def refuse(_requests: Any, context: aio.ServicerContext[Any, Any]) -> NoReturn:
            self._log.refused(context.peer())
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, message)
            raise AssertionError  # abort raises

        # On the wire, any call is a stream. This kind of handler does not wait for a message.
        return grpc.stream_stream_rpc_method_handler(refuse)


class RefusalLog:
    """A line in the log for the first refused call, then at most one a minute."""

    def __init__(self) -> None:
        self._refused = 0
        self._say_at = 0.0

    def refused(self, peer: str) -> None:
        """Count a refused call, and log it if it is time to."""
        self._refused += 1
        now = time.monotonic()
        if now >= self._say_at:
            _log.warning(
                "calls without a valid bearer token, refused since the last such line: %d; the latest"
                " came from %s",
                self._refused,
                peer,
            )
            self._refused, self._say_at = 0, now + _SUMMARY_S


def _tokens(metadata: Any) -> list[bytes]:
    """Return the tokens among the metadata of a call."""
    values = [value for key, value in metadata if key.lower() == "authorization"]
    texts = [value.decode("latin-1") if isinstance(value, bytes) else value for value in values]
    tokens = [text[len(_SCHEME) :].strip() for text in texts if _has_scheme(text)]
    return [token.encode("utf-8", "surrogateescape") for token in tokens if token]


def _has_scheme(text: str) -> bool:
    return text[: len(_SCHEME)].lower() == _SCHEME
