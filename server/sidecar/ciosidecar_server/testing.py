"""Real sidecars for tests: `pip install ciosidecar-server`.

    from ciosidecar import Client
    from ciosidecar_server.testing import server

    def test_my_router():
        with server() as sidecar, Client(sidecar.address) as client:
            ...

If the test itself runs in asyncio, `async_server` starts the sidecar in the test's own event loop:
grpc.aio supports one loop in a process.
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
from .settings_validation import check_settings

_T = TypeVar("_T")


class AsyncTestServer:
    """A sidecar on loopback in the test's own event loop."""

    def __init__(self, sidecar: Sidecar, addresses: list[str], admin: str | None) -> None:
        self._sidecar = sidecar
        self.addresses = addresses
        """All addresses that the sidecar listens on."""
        self.admin = admin
        """host:port of the admin port, or None."""

    @property
    def address(self) -> str:
        """Return the first address, for a client to connect to."""
        return self.addresses[0]

    async def drain(self) -> None:
        """Stop as on SIGTERM: tell every stream, answer what was received, then end."""
        await self._sidecar.drain()

    async def stop(self) -> None:
        """Stop at once and end every call."""
        await self._sidecar.stop_at_once()


class TestServer:
    """A sidecar on loopback in a thread of the test's process."""

    __test__ = False  # pytest would collect a class with this name

    def __init__(self, inner: AsyncTestServer) -> None:
        self._inner = inner
        self.addresses = inner.addresses
        """All addresses that the sidecar listens on."""
        self.admin = inner.admin
        """host:port of the admin port, or None."""

    @property
    def address(self) -> str:
        """Return the first address, for a client to connect to."""
        return self.addresses[0]

    def drain(self) -> None:
        """Stop as on SIGTERM: tell every stream, answer what was received, then end."""
        run_in_background(self._inner.drain())

    def stop(self) -> None:
        """Stop at once and end every call."""
        run_in_background(self._inner.stop())


@contextmanager
def server(**settings: Any) -> Iterator[TestServer]:
    """Start a sidecar on a free port of loopback, in a thread, and stop it at the end of the block.

    Args:
        settings: Fields of `ciosidecar_server.settings.Settings`. `listen` defaults to
            ("127.0.0.1:0",), `admin_listen` to "none".

    Raises:
        InvalidSettings: A value cannot work.
        CannotListen: An address cannot be used.
    """
    running = TestServer(run_in_background(_start(settings)))
    try:
        yield running
    finally:
        running.stop()


@asynccontextmanager
async def async_server(**settings: Any) -> AsyncIterator[AsyncTestServer]:
    """Start a sidecar like `server`, but in the running event loop."""
    running = await _start(settings)
    try:
        yield running
    finally:
        await running.stop()


async def _start(settings: dict[str, Any]) -> AsyncTestServer:
    # grpc.aio shuts down with its last server or channel. A late poll then prints a traceback on
    # stderr. This extra user keeps grpc.aio alive as long as the process.
    aio.init_grpc_aio()
    defaults = {"listen": ("127.0.0.1:0",), "admin_listen": "none"}
    checked = Settings(**defaults | settings)
    check_settings(checked)
    sidecar = Sidecar(checked)
    addresses = await sidecar.start()
    try:
        return AsyncTestServer(sidecar, addresses, await sidecar.start_admin())
    except BaseException:
        await sidecar.stop_at_once()
        raise


def run_in_background(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine in the event loop of all servers of `server`, and return its result."""
    return asyncio.run_coroutine_threadsafe(coroutine, _background_loop()).result()


@cache
def _background_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="ciosidecar-testing", daemon=True).start()
    return loop
