"""A uvicorn protocol that can reset its connection; ASGI alone has no means for that."""

import itertools
import socket
import struct
from asyncio import Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

RESET = "ciosidecar.reset"
"""Key of the reset function in a request's scope."""
CONNECTION = "ciosidecar.connection"
"""Key of the connection in a request's scope."""
_numbers = itertools.count(1)
_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)


class ResettableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with itself and a reset function in the scope of each request."""

    number = 0
    """Number of the connection, from 1, among all connections of this process."""
    lost = False
    """True once the connection is closed."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Give the connection its number."""
        super().connection_made(transport)
        self.number = next(_numbers)

    def on_message_begin(self) -> None:
        """Put the reset function into the scope of a new request."""
        super().on_message_begin()
        self.scope[RESET] = self.reset  # type: ignore[literal-required]
        self.scope[CONNECTION] = self  # type: ignore[literal-required]

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the keep-alive timer, which would keep a reset connection in memory for 75 s."""
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
