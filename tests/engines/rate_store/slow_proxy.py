"""A TCP proxy that passes answers on later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class SlowProxy:
    """A proxy in front of a Redis. `delay_s` holds for each piece of an answer, and may be changed."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.delay_s = 0.0

    @property
    def url(self) -> str:
        """Return the URL of the Redis behind it."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass everything on until one side closes."""
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to)
        ways = (
            asyncio.ensure_future(self._pass(reader, to_writer, slow=False)),
            asyncio.ensure_future(self._pass(to_reader, writer, slow=True)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, to_writer):
                end.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if slow:
                    await asyncio.sleep(self.delay_s)
                writer.write(data)


@asynccontextmanager
async def slow_proxy(port: int) -> AsyncIterator[SlowProxy]:
    """Run a proxy in front of a port of loopback while the block lasts."""
    proxy = SlowProxy(port)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError, ConnectionError):
            await proxy.connected(reader, writer)
        tasks.discard(task)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
