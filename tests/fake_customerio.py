"""A Customer.io on loopback that does to a client what a test says, and remembers what it was sent.

`fake_customerio()` answers each request by its `rule`: with a reply, with raw bytes, later, or never. With a `script` the
test decides what happens on a connection, byte by byte: redirects, resets, halves of answers, another protocol.
With `tls` it is an https server. `nobody()` is an address at which no server listens.
"""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple

from tests.listeners import close_listener

WITHIN_S = 20
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Reply(NamedTuple):
    """A whole answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody adds to it


class Raw(NamedTuple):
    """Bytes in place of an answer, after which the connection is closed; none: it is only closed."""

    data: bytes = b""


class Hold:
    """No answer until the test gives one with `Received.release`."""


Answer = Reply | Raw | Hold
OK = Reply()
HOLD = Hold()
GONE = Raw()


class Received:
    """One request."""

    def __init__(
        self, method: str, path: str, headers: dict[str, str], body: bytes, raw: bytes = b""
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        """By lower-case names."""
        self.body = body
        self.raw = raw
        """Head and body as they came; b"" where they came as HTTP/2."""
        self.beside: list[Received] = []
        """Those that were unanswered when it came, where a rule answers them."""
        self._answer: asyncio.Future[Reply | Raw] = asyncio.get_running_loop().create_future()

    @property
    def person(self) -> str:
        """The identifier in its path; "" for a path that has none."""
        segments = self.path.split("/")
        return segments[4] if segments[2:4] == ["v1", "customers"] else ""

    @property
    def name(self) -> str:
        """The event's name; the method where it is no event."""
        content = json.loads(self.body) if self.body else {}
        return str(content.get("name", self.method))

    @property
    def items(self) -> list[Any]:
        """The operations of a batch."""
        return list(json.loads(self.body)["batch"])

    def release(self, answer: Reply | Raw = OK) -> None:
        """Answer a request that is held."""
        self._answer.set_result(answer)

    async def answered(self, answer: Answer) -> Reply | Raw:
        """Return the answer once it is known."""
        return await self._answer if isinstance(answer, Hold) else answer


class Connection:
    """One of the server's connections, from its own end."""

    def __init__(
        self, server: "FakeCustomerio", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.number = server.connections
        """Counted from 1."""

    async def request(self) -> Received | None:
        """Return the next request; None when there is no more."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {}
        for line in lines:
            name, _, text = line.partition(":")
            headers[name.lower()] = text.strip()
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        request = Received(method, path, headers, body, head + body)
        await self.server.took(request)
        return request

    async def answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        """Write a whole answer."""
        lines = "".join(f"{name}: {text}\r\n" for name, text in (headers or {}).items())
        head = f"HTTP/1.1 {status} Status\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    async def closed(self) -> None:
        """Wait until the client has closed it, whatever it sends until then."""
        with suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass

    def end(self, *, reset: bool) -> None:
        """Close it, as usual or with a reset."""
        if reset:
            self.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
            )
            self.writer.transport.abort()
        self.writer.close()


Script = Callable[[Connection], Awaitable[None]]


class FakeCustomerio:
    """The server. `rule` says how a request is answered; by default with 200."""

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.host = ""
        """Address and port."""
        self.connections = 0
        """So far."""
        self.requests: list[Received] = []
        """In order of arrival."""
        self.rule: Callable[[Received], Answer] = lambda _request: OK
        self.most_at_once = 0
        self._open = 0
        self._peers: set[Any] = set()
        self._unanswered: list[Received] = []
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        """Scheme and address."""
        return f"{self.scheme}://{self.host}"

    @property
    def names(self) -> list[str]:
        """The names of the events that came, in order."""
        return [request.name for request in self.requests]

    @property
    def unanswered(self) -> list[Received]:
        """The requests without an answer, where a rule answers them."""
        return list(self._unanswered)

    def answers(self, *answers: Answer, then: Answer = OK) -> None:
        """Answer the next requests so, in order of arrival, and all later ones with `then`."""
        left = list(answers)
        self.rule = lambda _request: left.pop(0) if left else then

    async def arrived(self, number: int) -> list[Received]:
        """Return all requests so far, once there are so many."""
        async with asyncio.timeout(WITHIN_S), self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= number)
        return list(self.requests)

    async def all_closed(self) -> None:
        """Wait until no connection is left, of one or more."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.connections and not self._open)

    async def all_read(self) -> None:
        """Wait until each connection that was opened so far is closed, also one that is not accepted yet. Not with TLS.

        Once a client has ended, it has nothing on its way any more then.
        """
        host, _, port = self.host.rpartition(":")
        _, last = await asyncio.open_connection(host, int(port))
        # Connections are accepted in the order in which they were opened.
        own = last.get_extra_info("sockname")
        async with asyncio.timeout(WITHIN_S), self._changed:
            await self._changed.wait_for(lambda: own in self._peers)
        last.close()
        async with asyncio.timeout(WITHIN_S):
            await self.all_closed()

    async def took(self, request: Received) -> None:
        """Remember a request."""
        request.beside = list(self._unanswered)
        self.requests.append(request)
        self._unanswered.append(request)
        self.most_at_once = max(self.most_at_once, len(self._unanswered))
        async with self._changed:
            self._changed.notify_all()

    async def opened(self, change: int) -> None:
        """Count one more open connection, or one less."""
        async with self._changed:
            self._open += change
            self._changed.notify_all()

    async def answer_by_rule(self, connection: Connection) -> None:
        """Answer request by request, until the client or the rule ends the connection."""
        while (request := await connection.request()) is not None:
            try:
                answer = await request.answered(self.rule(request))
            finally:
                self._unanswered.remove(request)
            if isinstance(answer, Raw):
                connection.writer.write(answer.data)
                return
            await connection.answer(*answer)


@asynccontextmanager
async def fake_customerio(
    script: Script | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[FakeCustomerio]:
    """Run a server on a free port of loopback while the block lasts.

    script: what happens on each connection, which is closed at its end. tls: the server's side of it.
    """
    server = FakeCustomerio("https" if tls else "http")
    play = script or server.answer_by_rule
    tasks = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        server._peers.add(writer.get_extra_info("peername"))
        await server.opened(1)
        try:
            # asyncio's streams log a cancelled task as a fault of theirs.
            with suppress(asyncio.CancelledError, ConnectionError):
                await play(Connection(server, reader, writer))
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
            await server.opened(-1)
            tasks.discard(task)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    host, port = listener.sockets[0].getsockname()
    server.host = f"{host}:{port}"
    try:
        yield server
    finally:
        await close_listener(listener)
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def nobody() -> Iterator[str]:
    """An address of loopback, with its port, at which no server listens while the block lasts."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*bound.getsockname())
