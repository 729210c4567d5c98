"""A Customer.io that treats workspaces differently: some are refused, some wait.

    python -m tests.bench.uneven_customerio

The site id says how: `refused-…` is answered 401, `slow-…` after two seconds, all others at once.
"""

import asyncio
import base64
import json
import signal
from typing import cast

import uvloop

SLOW_S = 2.0
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
_REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"
_LENGTH = b"\r\ncontent-length:"
_BASIC = b"\r\nauthorization: basic "


class Connection(asyncio.Protocol):
    """One peer; requests with a Content-Length, one at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio.Transport by class, only by what they do.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[: head_end + 2]
        length = int(_value(head, _LENGTH) or 0)
        if len(self._buffer) < head_end + 4 + length:
            return
        self._buffer = self._buffer[head_end + 4 + length :]
        site = base64.b64decode(_value(head, _BASIC)).partition(b"-")[0]
        if site == b"slow":
            loop = asyncio.get_running_loop()
            loop.call_later(SLOW_S, self._transport.write, _OK)
        else:
            self._transport.write(_REFUSED if site == b"refused" else _OK)


def _value(head: bytes, name: bytes) -> bytes:
    """What stands behind a header's name."""
    start = head.lower().find(name)
    if start < 0:
        return b""
    start += len(name)
    return head[start : head.index(b"\r\n", start)].strip()


async def main() -> None:
    """Serves until SIGTERM."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(json.dumps({"listen": [f"{host}:{port}"]}), flush=True)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


if __name__ == "__main__":
    uvloop.run(main())
