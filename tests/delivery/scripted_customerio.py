"""A Customer.io that answers as a test tells it to, and remembers what it was asked, in which order and at once."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

WITHIN_S = 20


class Reply(NamedTuple):
    """An answer."""

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

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        """By lower-case names."""
        self.body = body
        self.beside: list[Received] = []
        """Those that were unanswered when it came."""
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    @property
    def person(self) -> str:
        """Whom its path names; "" for a path that names nobody."""
        segments = self.path.split("/")
        return segments[4] if segments[2:4] == ["v1", "customers"] else ""

    @property
    def name(self) -> str:
        """The event's name; what is done with the person where it is no event."""
        found = json.loads(self.body) if self.body else {}
        return str(found.get("name", self.method))

    @property
    def items(self) -> list[Any]:
        """The operations of a batch."""
        return list(json.loads(self.body)["batch"])

    def release(self, answer: Reply | Raw = OK) -> None:
        """Answers a request that is held."""
        self._answer.set_result(answer)

    async def answered(self, answer: Answer) -> Reply | Raw:
        """What to answer, once that is known."""
        if not isinstance(answer, Hold):
            self._answer.set_result(answer)
        found = await self._answer
        assert not isinstance(found, Hold)
        return found


class ScriptedCustomerio:
    """The server. `rule` says what a request is answered; by default all is taken."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Received] = []
        """In order of arrival."""
        self.rule: Callable[[Received], Answer] = lambda _request: OK
        self.most_at_once = 0
        self._unanswered: list[Received] = []
        self._changed = asyncio.Condition()

    def answers(self, *answers: Answer, then: Answer = OK) -> None:
        """The first requests from now on are answered so, in order of arrival, and all later ones with `then`."""
        left = list(answers)
        self.rule = lambda _request: left.pop(0) if left else then

    async def arrived(self, number: int) -> list[Received]:
        """All requests so far, once there are so many."""
        async with asyncio.timeout(WITHIN_S), self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= number)
        return list(self.requests)

    @property
    def names(self) -> list[str]:
        """The names of the events that came, in order."""
        return [one.name for one in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request by request."""
        while (request := await _read(reader)) is not None:
            request.beside = list(self._unanswered)
            self._unanswered.append(request)
            self.most_at_once = max(self.most_at_once, len(self._unanswered))
            async with self._changed:
                self.requests.append(request)
                self._changed.notify_all()
            try:
                answer = await request.answered(self.rule(request))
            finally:
                self._unanswered.remove(request)
            if isinstance(answer, Raw):
                writer.write(answer.data)
                return
            lines = "".join(f"{name}: {text}\r\n" for name, text in answer.headers.items())
            head = (
                f"HTTP/1.1 {answer.status} -\r\nContent-Length: {len(answer.body)}\r\n{lines}\r\n"
            )
            writer.write(head.encode() + answer.body)
            await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, _, text = line.partition(":")
        headers[name.lower()] = text.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, path, headers, body)


@asynccontextmanager
async def scripted_customerio() -> AsyncIterator[ScriptedCustomerio]:
    """A server on a free port of loopback while the block lasts."""
    found = ScriptedCustomerio()
    tasks = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        # asyncio's streams log a cancelled task as a fault of theirs.
        with suppress(asyncio.CancelledError, ConnectionError):
            await found.serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    found.url = f"http://{host}:{port}"
    try:
        yield found
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
