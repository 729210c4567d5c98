"""A connection that can be reset, as no ASGI application can by itself."""

import socket
import struct

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

RESET = "ciosidecar.reset"
"""The key of a request's scope under which the reset is."""
_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)


class ResettableProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a reset in the scope of each request."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope[RESET] = self.reset  # type: ignore[literal-required]

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection. The timer of one that was reset would keep it in memory for 75 s."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def shutdown(self) -> None:
        """The server stops. An idle connection ends at once: TLS would wait for a goodbye."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
        else:
            self.cycle.keep_alive = False

    def reset(self) -> None:
        """Ends the connection with RST: the peer sees "connection reset by peer"."""
        found = self.transport.get_extra_info("socket")
        # One that the peer has closed already has no number any more.
        if found is not None and found.fileno() >= 0:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
        self.transport.abort()
