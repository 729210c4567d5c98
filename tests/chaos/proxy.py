"""A TCP proxy in a thread of its own, which injects faults into single connections and notes each with its time."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from tests.chaos.books import Fault
from tests.listeners import close_listener

if TYPE_CHECKING:
    from concurrent.futures import Future

KINDS = (
    "delay",
    "cut",
    "cut before",
    "cut after",
    "half-open",
    "throttle",
    "corrupt before",
    "corrupt after",
)
"""Faults of one connection.

cut: both sides are closed at once. cut before: the next bytes of the client are thrown away, then cut.
cut after: the next bytes of the server are thrown away, then cut. half-open: bytes stop, and the
connection is cut later. corrupt before, corrupt after: one bit of the next bytes of the client, or of
the server, is changed, which TLS notices.
"""
_CHUNK_BYTES = 65_536
_THROTTLED_BYTES_A_SECOND = 2_000
_END_WITHIN_S = 10.0
_Call = Callable[[], Coroutine[Any, Any, Any]]


class _Cut(Exception):
    """The connection is to be cut now."""


class _Connection:
    def __init__(self, link: "Link", client: asyncio.StreamWriter, server: asyncio.StreamWriter):
        self._link = link
        self.writers = (client, server)
        host, port = server.get_extra_info("sockname")[:2]
        self.peer = f"{host}:{port}"
        self.answered = False
        self._kind = ""
        self._until = 0.0
        self._began = 0.0
        self._delay_s = 0.0
        self._corrupted = False
        self._over = asyncio.Event()

    @property
    def is_free(self) -> bool:
        """True if bytes went both ways, and no fault is in force."""
        return self.answered and not self._kind and not self._over.is_set()

    @property
    def is_faulty(self) -> bool:
        """True if a fault is in force."""
        return bool(self._kind)

    def inject(self, kind: str, duration_s: float, delay_s: float) -> None:
        """Begin a fault."""
        self._kind, self._began, self._delay_s = kind, time.time(), delay_s
        self._until = time.monotonic() + duration_s
        if kind == "cut":
            self.abort()
        elif kind == "half-open":
            asyncio.get_running_loop().call_later(duration_s, self.abort)

    def abort(self) -> None:
        """Close both sides without a word, and note the fault before anyone can see it end."""
        self.note()
        self._over.set()
        for writer in self.writers:
            writer.transport.abort()

    def close(self) -> None:
        """End the connection: in order, or cut if a fault is in force."""
        if self._kind:
            self.abort()
        self._over.set()
        for writer in self.writers:
            writer.close()
        self.note()

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass bytes on in one direction, until either side ends."""
        to_server = sink is self.writers[1]
        while chunk := await source.read(_CHUNK_BYTES):
            changed = await self._through_fault(chunk, to_server=to_server)
            sink.write(changed)
            await sink.drain()
            self.answered = self.answered or not to_server

    async def _through_fault(self, chunk: bytes, *, to_server: bool) -> bytes:
        kind = self._kind
        if not kind or self._corrupted:
            return chunk
        if kind in ("delay", "throttle") and time.monotonic() > self._until:
            self.note()
        elif kind == "delay":
            await asyncio.sleep(self._delay_s)
        elif kind == "throttle":
            await asyncio.sleep(min(len(chunk) / _THROTTLED_BYTES_A_SECOND, 2.0))
        elif kind == "half-open":
            await self._over.wait()
            raise _Cut
        elif kind == ("cut before" if to_server else "cut after"):
            raise _Cut
        elif kind == ("corrupt before" if to_server else "corrupt after") and len(chunk) > 8:
            middle = len(chunk) // 2
            self._corrupted = True
            return chunk[:middle] + bytes((chunk[middle] ^ 4,)) + chunk[middle + 1 :]
        return chunk

    def note(self) -> None:
        """Write the fault, if there is one, into the log of the link."""
        if self._kind:
            self._link.note(self._kind, self._began, self.peer)
        self._kind = ""


class Link:
    """One listening address, and where its connections lead."""

    def __init__(self, name: str, upstream: tuple[str, int]) -> None:
        self.name = name
        self.upstream: tuple[str, int] | None = upstream
        """None: new connections are refused."""
        self.port = 0
        self.faults: list[Fault] = []
        self.injected: Counter[str] = Counter()
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, kind: str, start: float, peer: str) -> None:
        """Note a fault that ends now."""
        self.faults.append(Fault(kind, self.name, start, time.time(), peer))

    def inject(self, kind: str, dice: random.Random) -> bool:
        """Inject a fault into one connection. Return False if there is none that is free."""
        free = [connection for connection in self._connections if connection.is_free]
        if not free:
            return False
        self.injected[kind] += 1
        dice.choice(free).inject(kind, dice.uniform(1, 8), dice.uniform(0.05, 1.0))
        return True

    def cut_faulty(self) -> None:
        """Cut the connections that a fault is in force on."""
        for connection in list(self._connections):
            if connection.is_faulty:
                connection.abort()

    def cut_all(self) -> None:
        """Cut every connection."""
        for connection in list(self._connections):
            connection.note()
            self.note("cut", time.time(), connection.peer)
            connection.abort()

    async def accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Serve one connection until both of its sides are closed, or closed at once by `cancel`."""
        writers = [client]
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.upstream is not None:
                server_reader, server = await asyncio.open_connection(*self.upstream)
                writers.append(server)
                await self._serve(_Connection(self, client, server), reader, server_reader)
                await _closed(writers)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for writer in writers:
                writer.transport.abort()
            await _closed(writers)
            self._tasks.discard(task)

    def cancel(self) -> None:
        """Close every connection at once, also one that leads nowhere yet."""
        for task in self._tasks:
            task.cancel()

    async def _serve(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        server_reader: asyncio.StreamReader,
    ) -> None:
        client, server = connection.writers
        self._connections.add(connection)
        pumps = [
            asyncio.ensure_future(connection.pump(reader, server)),
            asyncio.ensure_future(connection.pump(server_reader, client)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            connection.close()
            self._connections.discard(connection)


async def _closed(writers: list[asyncio.StreamWriter]) -> None:
    """Wait until the connections are closed, in order or not."""
    for writer in writers:
        with suppress(OSError):
            await writer.wait_closed()


class Proxy:
    """The proxy's thread, with any number of links."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._servers: list[asyncio.Server] = []
        self.links: dict[str, Link] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.run(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def link(self, name: str, upstream: tuple[str, int]) -> Link:
        """Open a link on a free port."""
        link = Link(name, upstream)

        async def listen() -> None:
            server = await asyncio.start_server(link.accept, "127.0.0.1", 0)
            self._servers.append(server)
            link.port = server.sockets[0].getsockname()[1]

        self.run(listen)
        self.links[name] = link
        return link

    def inject(self, name: str, kind: str, dice: random.Random) -> bool:
        """Inject a fault into one connection of a link."""

        async def act() -> bool:
            return self.links[name].inject(kind, dice)

        injected: bool = self.run(act)
        return injected

    def calm(self) -> None:
        """Cut the connections that a fault holds, so that no fault is in force any more."""

        async def act() -> None:
            for link in self.links.values():
                link.cut_faulty()

        self.run(act)

    def run(self, call: _Call) -> Any:
        """Run a coroutine in the proxy's thread, and return its result."""
        done: Future[Any] = asyncio.run_coroutine_threadsafe(call(), self._loop)
        return done.result(30)

    async def _end(self) -> None:
        for server in self._servers:
            await close_listener(server)
        for link in self.links.values():
            link.cut_all()
            link.cancel()
        until = time.monotonic() + _END_WITHIN_S
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(tasks)} tasks of the proxy do not end")
            await asyncio.wait(tasks, timeout=0.1)
