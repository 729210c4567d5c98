"""The null server: it reads requests as cheaply as possible and answers 200 `{}`.

    .venv/bin/python -m tests.bench.null_customerio [--port 0] [--delay-ms 0] [--uneven]

HTTP/1.1 with keep-alive; bodies by Content-Length only, and not looked at. GET /count answers how many other
requests there were. It prints a line with its address, and serves until it is ended. The tests' fake (tests/fake_customerio.py) parses and
remembers each request, which would cost more than the client that is measured.

With `--uneven` each workspace is in the kind of trouble that its site id names: `refused-…` is answered 401, `throttled-…`
429, `throttledfor-…` the same with Retry-After, `failing-…` 503, `unreadable-…` a 207 of HTML, `slow-…` after two
seconds, `hanging-…` never, all others at once.
"""

import argparse
import asyncio
import base64
import json
import re
import signal
from collections.abc import Callable
from typing import cast

import uvloop

OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    b"Connection: keep-alive\r\n\r\n{}"
)
_UNKNOWN_LENGTH = b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
SLOW_S = 2.0
_TROUBLES = {
    b"refused": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}",
    b"throttled": b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}",
    b"throttledfor": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 2\r\n\r\n{}",
    b"failing": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}",
    b"unreadable": b"HTTP/1.1 207 Multi-Status\r\nContent-Length: 6\r\n\r\n<html>",
}
_BASIC = re.compile(rb"\r\nauthorization: basic (\S+)", re.IGNORECASE)
_CONTENT_LENGTH = b"\r\ncontent-length:"


class NullCustomerio:
    """State that all connections share."""

    def __init__(self, delay_s: float = 0) -> None:
        self.delay_s = delay_s
        self.requests = 0


class NullConnection(asyncio.Protocol):
    """Protocol that finds the end of each request and answers it."""

    def __init__(self, server: NullCustomerio) -> None:
        self._server = server
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio.Transport by class, only by what they do.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        while (head_end := data.find(b"\r\n\r\n")) >= 0:
            length = _content_length(data[: head_end + 2])
            if length is None:
                self._transport.write(_UNKNOWN_LENGTH)
                self._transport.close()
                return
            request_end = head_end + 4 + length
            if len(data) < request_end:
                return
            self.answer(data[: head_end + 2])
            self._buffer = data = data[request_end:]

    def answer(self, head: bytes) -> None:
        """Answer a request.

        Args:
            head: The request's head up to its last line break.
        """
        if head.startswith(b"GET /count "):
            body = b"%d" % self._server.requests
            self.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            return
        self._server.requests += 1
        self.write(OK, self._server.delay_s)

    def write(self, answer: bytes, delay_s: float = 0) -> None:
        """Write an answer, now or later."""
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._transport.write, answer)
        else:
            self._transport.write(answer)


class UnevenConnection(NullConnection):
    """Protocol whose answers depend on the site id of the caller."""

    def answer(self, head: bytes) -> None:
        """Answer as the site id says."""
        credentials = _BASIC.search(head)
        site = base64.b64decode(credentials[1]) if credentials else b""
        kind = site.partition(b"-")[0]
        if kind != b"hanging":
            self.write(_TROUBLES.get(kind, OK), SLOW_S if kind == b"slow" else 0)


def _content_length(head: bytes) -> int | None:
    """Return the length of a request's body; None if the head does not state it."""
    start = head.lower().find(_CONTENT_LENGTH)
    if start < 0:
        return None if head.startswith((b"PUT ", b"POST ")) else 0
    start += len(_CONTENT_LENGTH)
    return int(head[start : head.index(b"\r\n", start)])


async def serve(connection: Callable[[], asyncio.Protocol], port: int = 0) -> None:
    """Print the address, and serve on loopback until SIGTERM."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", port)
    host, port = server.sockets[0].getsockname()
    print(json.dumps({"listen": [f"{host}:{port}"]}), flush=True)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


def main() -> None:
    """Read the options and serve."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--delay-ms", type=float, default=0, help="from a request to its answer")
    options.add_argument("--uneven", action="store_true", help="answer by the site id")
    chosen = options.parse_args()
    everyone = NullCustomerio(chosen.delay_ms / 1000)
    kind = UnevenConnection if chosen.uneven else NullConnection
    uvloop.run(serve(lambda: kind(everyone), chosen.port))


if __name__ == "__main__":
    main()
