"""A sandbox for tests: a real server on a real socket, in a thread of this process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvloop

from .server import Sandbox, SandboxServer, bind
from .settings import SandboxSettings

START_WITHIN_S = 10


class Running:
    """A running sandbox. Read its state only while it processes no request: a thread owns it."""

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self.url = url
        self.workspace = sandbox.workspace
        self.faults = sandbox.faults


@contextmanager
def running_sandbox(**settings: Any) -> Iterator[Running]:
    """Start a sandbox on a free port of loopback and stop it at the end of the block.

    Args:
        settings: Fields of SandboxSettings.

    Raises:
        CannotStart: The sandbox cannot start with these settings.
    """
    sandbox_settings = SandboxSettings(**{"listen": "127.0.0.1:0", **settings})
    sandbox = Sandbox(sandbox_settings)
    server = SandboxServer(sandbox, bind(sandbox_settings))
    started = threading.Event()
    stopping: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        stopping.append((asyncio.get_running_loop(), stop))
        await server.run_until(stop, started.set)

    thread = threading.Thread(target=uvloop.run, args=(serve(),), name="sandbox", daemon=True)
    thread.start()
    if not started.wait(START_WITHIN_S):
        raise RuntimeError("the sandbox did not start")
    try:
        yield Running(sandbox, server.url)
    finally:
        loop, stop = stopping[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_WITHIN_S)
