"""What a server process holds and has used, by /proc, and how long others wait meanwhile."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ciosidecar import v1
from grpc import aio

from tests.conftest import UNLIMITED
from tests.processes import Server

MB = 1_000_000
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_EVERY_S = 0.02


def memory_bytes(running: Server) -> int:
    """Return the resident memory of a process."""
    return int(_proc(running, "statm").split()[1]) * _PAGE_BYTES


async def until_below(running: Server, limit: int) -> None:
    """Wait until a server holds less memory than a limit."""
    async with asyncio.timeout(30):
        while memory_bytes(running) > limit:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(_EVERY_S)


def cpu_s(running: Server) -> float:
    """Return the CPU time of a process, user and system."""
    fields = _proc(running, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def descriptors(running: Server) -> int:
    """Open descriptors."""
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


def _proc(running: Server, name: str) -> str:
    return Path(f"/proc/{running.process.pid}/{name}").read_text()


@asynccontextmanager
async def stub_of(running: Server, name: str = "") -> AsyncIterator[Any]:
    """Yield a stub with a connection of its own. name: distinguishes it from others."""
    options = [*UNLIMITED, ("a.channel", name or str(time.monotonic_ns()))]
    async with aio.insecure_channel(running.addresses[0], options=options) as channel:
        yield v1.SidecarServiceStub(channel)


class Others:
    """Another caller's waits, and the most memory that was seen, while something else goes on."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []
        self.peak_bytes = 0

    @property
    def p99_s(self) -> float:
        """Return the wait that one call in a hundred exceeds."""
        return sorted(self.waits_s)[int(len(self.waits_s) * 0.99)]


@asynccontextmanager
async def others_of(running: Server) -> AsyncIterator[Others]:
    """Let another process call the server all the while. Its waits are known at the end of the block."""
    others = Others()
    calling = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.resources.others", running.addresses[0]),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    assert calling.stdin is not None
    assert calling.stdout is not None
    watching = asyncio.create_task(_watch(running, others))
    try:
        assert await calling.stdout.readline() == b"ready\n"
        yield others
        # Once more, with everything in place or just gone.
        await asyncio.sleep(_EVERY_S)
        calling.stdin.close()
        others.waits_s = json.loads(await calling.stdout.readline())
        assert await calling.wait() == 0
    finally:
        watching.cancel()
        if calling.returncode is None:
            calling.kill()
            await calling.wait()


async def _watch(running: Server, others: Others) -> None:
    while True:
        others.peak_bytes = max(others.peak_bytes, memory_bytes(running))
        await asyncio.sleep(_EVERY_S)
