"""A real sidecar inside a test: `pip install "ciosidecar[testing]"`.

    from ciosidecar import Client
    from ciosidecar.testing import server

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

from ciosidecar_server.app import Sidecar
from ciosidecar_server.settings import Settings

_T = TypeVar("_T")


class TestServer:
    """A sidecar that listens on loopback while the block lasts."""

    __test__ = False  # pytest: the name is for the user, not for the collector

    def __init__(self, sidecar: Sidecar, address: str) -> None:
        self._sidecar = sidecar
        self.address = address
        """What a client connects to."""

    def drain(self) -> None:
        """What SIGTERM does: every stream is told, what was received is answered, then it is gone."""
        run_in_background(self._sidecar.drain())

    def stop(self) -> None:
        """Ends at once, whatever is going on."""
        run_in_background(self._sidecar.stop_at_once())


@contextmanager
def server(**settings: Any) -> Iterator[TestServer]:
    """A sidecar on a free port of loopback, in a thread beside the test.

    settings: as in `ciosidecar_server.settings.Settings`; `listen` is ("127.0.0.1:0",) if not given.
    """
    found = run_in_background(_start(settings))
    try:
        yield found
    finally:
        found.stop()


@asynccontextmanager
async def async_server(**settings: Any) -> AsyncIterator[str]:
    """The address of a sidecar on a free port of loopback, in the running event loop."""
    found = await _start(settings)
    try:
        yield found.address
    finally:
        await found._sidecar.stop_at_once()  # noqa: SLF001 - the same module


async def _start(settings: dict[str, Any]) -> TestServer:
    sidecar = Sidecar(Settings(**{"listen": ("127.0.0.1:0",)} | settings))
    (address, *_) = await sidecar.start()
    return TestServer(sidecar, address)


def run_in_background(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """The coroutine's result, from the one event loop that all servers of `server` live in."""
    return asyncio.run_coroutine_threadsafe(coroutine, _background_loop()).result()


@cache
def _background_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="ciosidecar-testing", daemon=True).start()
    return loop
