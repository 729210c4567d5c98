"""Servers on loopback that do to a client what a test says."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

Script = Callable[["Connection"], Awaitable[None]]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Peer:
    """A server and what it has seen so far."""

    def __init__(self) -> None:
        self.scheme = "http"
        self.host = ""
        self.connections = 0
        self.requests: list[Any] = []
        """As bytes, head and body, or as header lists in HTTP/2."""
        self._open = 0
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        """Scheme and address."""
        return f"{self.scheme}://{self.host}"

    async def all_closed(self) -> None:
        """Returns when no connection is left, of one or more."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.connections and not self._open)

    async def count(self, change: int) -> None:
        """One more open connection, or one less."""
        async with self._changed:
            self._open += change
            self._changed.notify_all()


class Connection:
    """One of a peer's connections, from its own end."""

    def __init__(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.peer = peer
        self.reader = reader
        self.writer = writer
        self.number = peer.connections
        """Counted from 1."""

    async def request(self) -> bytes:
        """The next request, head and body; b"" when there is no more."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        found = head + await self.reader.readexactly(length)
        self.peer.requests.append(found)
        return found

    async def answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        """A whole answer."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"HTTP/1.1 {status} Status\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    async def closed(self) -> None:
        """Returns when the client has closed it, whatever it sends until then."""
        with suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass

    def end(self, *, reset: bool) -> None:
        """Closes it: as one does, or with a reset."""
        if reset:
            self.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
            )
            self.writer.transport.abort()
        self.writer.close()


@asynccontextmanager
async def peer(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """A server that follows the script on each connection, and closes it at its end."""
    found = Peer()
    tasks = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        found.connections += 1
        await found.count(1)
        try:
            # asyncio's streams log a cancelled task as a fault of theirs.
            with suppress(asyncio.CancelledError):
                await script(Connection(found, reader, writer))
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
            await found.count(-1)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    found.scheme = "https" if tls else "http"
    host, port = server.sockets[0].getsockname()
    found.host = f"{host}:{port}"
    try:
        yield found
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def tunnel() -> AsyncIterator[Peer]:
    """A proxy that connects to where CONNECT says, and passes on whatever comes."""

    async def script(connection: Connection) -> None:
        request = await connection.request()
        host, port = request.split()[1].decode().rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        connection.writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(
            _pass_on(connection.reader, writer), _pass_on(reader, connection.writer)
        )

    async with peer(script) as found:
        yield found


@asynccontextmanager
async def http2_peer(tls: ssl.SSLContext) -> AsyncIterator[Peer]:
    """A server that speaks HTTP/2 only, and answers 200 with `{}`."""
    tls.set_alpn_protocols(["h2"])

    async def script(connection: Connection) -> None:
        state = H2Connection(H2Configuration(client_side=False))
        state.initiate_connection()
        connection.writer.write(state.data_to_send())
        while data := await connection.reader.read(65_536):
            for event in state.receive_data(data):
                if isinstance(event, RequestReceived):
                    connection.peer.requests.append(event.headers)
                elif isinstance(event, DataReceived):
                    length = event.flow_controlled_length
                    state.acknowledge_received_data(length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    state.send_headers(event.stream_id, [(":status", "200")])
                    state.send_data(event.stream_id, b"{}", end_stream=True)
            connection.writer.write(state.data_to_send())

    async with peer(script, tls) as found:
        yield found
