"""A uvicorn protocol that can reset its connection, and that bounds a slow sender; ASGI has no means for either."""

import asyncio
import itertools
import socket
import struct

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

RESET = "ciosidecar.reset"
"""Key of the reset function in a request's scope."""
CONNECTION = "ciosidecar.connection"
"""Key of the connection in a request's scope."""
REQUEST_WITHIN_S = 10.0
"""Seconds that a client has to send a whole request, from the start of the connection or of a further request.

The time in which an earlier request of the connection has no answer is not counted: the sandbox may delay answers, and
reads nothing further meanwhile."""
_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)
_numbers = itertools.count(1)


class ResettableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a time limit for requests; itself and a reset function are in each request's scope."""

    number = 0
    """Number of the connection, from 1, among all connections of this process."""
    lost = False
    """True once the connection is closed."""
    _owes_request = True
    """True until the client has sent the whole of its next, or first, request."""
    _has_head = False
    """True if the head of that request is there."""
    _due: asyncio.TimerHandle | None = None

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        """Give the connection its number, and the client its time for the first request."""
        super().connection_made(transport)
        self.number = next(_numbers)
        self._expect_request()

    def on_message_begin(self) -> None:
        """Put the reset function and the connection into the scope of a new request."""
        super().on_message_begin()
        self.scope[RESET] = self.reset  # type: ignore[literal-required]
        self.scope[CONNECTION] = self  # type: ignore[literal-required]
        self._owes_request, self._has_head = True, False
        self._expect_request()

    def on_headers_complete(self) -> None:
        """Note that the head of the request is there."""
        super().on_headers_complete()
        self._has_head = True

    def on_message_complete(self) -> None:
        """Stop the time: the request is there."""
        super().on_message_complete()
        self._owes_request = False
        self._stop_waiting()

    def on_response_complete(self) -> None:
        """Give the client its time for a request that it began while this one was answered."""
        super().on_response_complete()
        self._expect_request()

    def _expect_request(self) -> None:
        if self._owes_request and self._due is None and not self.lost and not self._is_behind():
            self._due = self.loop.call_later(REQUEST_WITHIN_S, self.transport.abort)

    def _is_behind(self) -> bool:
        """Return whether an earlier request has no answer yet."""
        if self._has_head:
            return bool(self.pipeline)
        return self.cycle is not None and not self.cycle.response_complete

    def _stop_waiting(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers, which would keep a reset connection in memory for 75 s."""
        self._stop_waiting()
        super().connection_lost(exc)
        self.lost = True
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def shutdown(self) -> None:
        """Close the connection because the server stops.

        An idle connection is aborted: with TLS, a close would wait for the peer.
        """
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
        else:
            self.cycle.keep_alive = False

    def reset(self) -> None:
        """End the connection with RST: the peer sees "connection reset by peer"."""
        sock = self.transport.get_extra_info("socket")
        # A socket that the peer has already closed has no file descriptor any more.
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
        self.transport.abort()
