"""A real sidecar inside a test: `pip install ciosidecar-server`.

    from ciosidecar import Client
    from ciosidecar_server.testing import server

    def test_my_router():
        with server() as sidecar, Client(sidecar.address) as client:
            ...

Where the test itself runs in asyncio, `async_server` starts it in the test's own event loop: grpc.aio
wants one loop in a process.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Any, TypeVar

from grpc import aio

from .app import Sidecar
from .settings import Settings

_T = TypeVar("_T")


class AsyncTestServer:
    """A sidecar that listens on loopback while the block lasts, in the test's own event loop."""

    def __init__(self, sidecar: Sidecar, addresses: list[str]) -> None:
        self._sidecar = sidecar
        self.addresses = addresses
        """Everything it listens on."""

    @property
    def address(self) -> str:
        """What a client connects to: the first of its addresses."""
        return self.addresses[0]

    async def drain(self) -> None:
        """What SIGTERM does: every stream is told, what was received is answered, then it is gone."""
        await self._sidecar.drain()

    async def stop(self) -> None:
        """Ends at once, whatever is going on."""
        await self._sidecar.stop_at_once()


class TestServer:
    """A sidecar that listens on loopback while the block lasts, in a thread beside the test."""

    __test__ = False  # pytest: the name is for the user, not for the collector

    def __init__(self, inner: AsyncTestServer) -> None:
        self._inner = inner
        self.addresses = inner.addresses
        """Everything it listens on."""

    @property
    def address(self) -> str:
        """What a client connects to: the first of its addresses."""
        return self.addresses[0]

    def drain(self) -> None:
        """What SIGTERM does: every stream is told, what was received is answered, then it is gone."""
        run_in_background(self._inner.drain())

    def stop(self) -> None:
        """Ends at once, whatever is going on."""
        run_in_background(self._inner.stop())


@contextmanager
def server(**settings: Any) -> Iterator[TestServer]:
    """A sidecar on a free port of loopback, in a thread beside the test.

    settings: as in `ciosidecar_server.settings.Settings`; `listen` is ("127.0.0.1:0",) if not given.
    """
    found = TestServer(run_in_background(_start(settings)))
    try:
        yield found
    finally:
        found.stop()


@asynccontextmanager
async def async_server(**settings: Any) -> AsyncIterator[AsyncTestServer]:
    """The same in the running event loop."""
    found = await _start(settings)
    try:
        yield found
    finally:
        await found.stop()


async def _start(settings: dict[str, Any]) -> AsyncTestServer:
    # grpc.aio ends with its last server or channel, and may then still be asked to poll what it has
    # closed: a traceback on stderr. One more user of it lasts as long as the process.
    aio.init_grpc_aio()
    sidecar = Sidecar(Settings(**{"listen": ("127.0.0.1:0",)} | settings))
    return AsyncTestServer(sidecar, await sidecar.start())


def run_in_background(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """The coroutine's result, from the one event loop that all servers of `server` live in."""
    return asyncio.run_coroutine_threadsafe(coroutine, _background_loop()).result()


@cache
def _background_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="ciosidecar-testing", daemon=True).start()
    return loop
