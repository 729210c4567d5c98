"""Raw bytes in place of an HTTP response: the transport gives a response or a reason, and nothing else.

An input is what a server writes after the head of a request, before it closes the connection.
"""

import asyncio
from functools import cache

from ciosidecar_server.delivery.http_transport import HttpTransport
from ciosidecar_server.delivery.transport import MAX_RESPONSE_BYTES, NoResponse, Response

_WITHIN_S = 20.0
"""After this, an exchange hangs: no limit of its own ends it. A machine with other work keeps it waiting for seconds."""


class _Server:
    """A server that writes the same bytes on each connection, and a transport that asks it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._answer = b""
        self._url = self._loop.run_until_complete(self._start())

    async def _start(self) -> str:
        listener = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)
        host, port = listener.sockets[0].getsockname()
        self._transport = HttpTransport(connect_timeout_s=_WITHIN_S, max_connections=4)
        return f"http://{host}:{port}"

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n{}")
            writer.write(self._answer)
            writer.write_eof()
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def exchange(self, answer: bytes) -> Response | NoResponse:
        """Send a request that is answered with the bytes."""
        self._answer = answer
        return self._loop.run_until_complete(self._exchange())

    async def _exchange(self) -> Response | NoResponse:
        url = f"{self._url}/api/v1/x"
        try:
            return await self._transport.send("POST", url, {}, b"{}", timeout_s=_WITHIN_S)
        except NoResponse as failure:
            return failure


@cache
def _server() -> _Server:
    return _Server()


def try_exchange(data: bytes) -> None:
    """Read what a server answers. What is over is not waited for, and no status is out of HTTP's reach."""
    response = _server().exchange(data)
    if isinstance(response, NoResponse):
        assert response.text.isprintable()
        assert not response.timed_out
        return
    assert 0 <= response.status <= 999
    assert len(response.body) <= MAX_RESPONSE_BYTES
    assert all(name == name.lower() for name in response.headers)
