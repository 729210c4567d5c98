"""Memory and CPU of one sidecar process, for `resources` in deploy/kubernetes: `make scale`."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from ciosidecar import v1
from google.protobuf.duration_pb2 import Duration
from grpc import aio
from rich.console import Console
from rich.table import Table

from tests.bench.delivery import NullCustomerio, orders
from tests.bench.events import events
from tests.bench.load import OPTIONS
from tests.bench.server_process import ServerProcess
from tests.processes import Server, server

DURATION_S = 10.0
# All streams are full once the sidecar has read nothing for so long.
_FULL_AFTER_S = 5.0
_LISTEN = ("--listen", "127.0.0.1:0", "--log-level", "error")
# As deploy/kubernetes has it; and no request may fail meanwhile, because its events would be answered.
_FULL = ("--max-outstanding-bytes", "16777216", "--request-timeout-s", "300")
# The null server never answers a workspace of this name.
_HANGING = b'{"siteID": "hanging-1", "apiKey": "key"}'
_CONFIG = b'{"siteID": "site", "apiKey": "key", "apiVersion": "%b"}'
_LARGE = b'{"type":"track","userId":"user-%d","event":"Order Completed","properties":{"text":"%b"}}'
_MIB = 1 << 20


@dataclass(frozen=True)
class Use:
    """What one case used."""

    case: str
    memory_mib: float
    cores: float
    events_per_s: float


class Process:
    """A server process, looked at from outside."""

    def __init__(self, running: Server) -> None:
        self.address = running.addresses[0]
        self._proc = Path(f"/proc/{running.process.pid}")

    def cpu_s(self) -> float:
        """Return the CPU time of all threads so far."""
        return (
            sum(int(path.read_text().split()[0]) for path in self._proc.glob("task/*/schedstat"))
            / 1e9
        )

    def peak_mib(self) -> float:
        """Return the most resident memory so far."""
        (line,) = (
            line for line in (self._proc / "status").read_text().splitlines() if "VmHWM" in line
        )
        return int(line.split()[1]) / 1024


@asynccontextmanager
async def stream(address: str, config: bytes, *, delivery: bool) -> AsyncIterator[Any]:
    """Open a stream with one destination."""
    async with aio.insecure_channel(address, options=OPTIONS) as channel:
        call: Any = v1.SidecarServiceStub(channel).TransformStream()
        opening = v1.TransformStreamRequest()
        opening.open.destinations.add(reference_id=1, config_json=config)
        opening.open.max_receive_bytes = 64 * _MIB
        if delivery:
            opening.open.delivery.SetInParent()
        await call.write(opening)
        await call.read()
        yield call
        call.cancel()


def messages(found: Sequence[bytes], size: int) -> list[v1.TransformStreamRequest]:
    """Return the events in batches of a size."""
    return [
        v1.TransformStreamRequest(
            batch=v1.Batch(
                batch_id=first,
                destination=1,
                items=[v1.BatchItem(json=event) for event in found[first : first + size]],
                timeout=Duration(seconds=300),
            )
        )
        for first in range(0, len(found), size)
    ]


async def answered(
    address: str, config: bytes, found: Sequence[bytes], *, delivery: bool, rate: float | None
) -> int:
    """Send batches of 100 for a while, a few at a time, and return the number of events answered."""
    free = asyncio.Semaphore(8)
    batches = messages(found, 100)
    sent = done = 0
    async with stream(address, config, delivery=delivery) as call:

        async def send() -> None:
            nonlocal sent
            start = time.perf_counter()
            while (now := time.perf_counter() - start) < DURATION_S:
                if rate is not None:
                    await asyncio.sleep(max(0.0, sent * 100 / rate - now))
                await free.acquire()
                message = batches[sent % len(batches)]
                message.batch.batch_id = sent + 1
                await call.write(message)
                sent += 1

        sending = asyncio.ensure_future(send())
        while not sending.done() or done < sent:
            response = await call.read()
            if response.results.batch_complete:
                done += 1
                free.release()
    return done * 100


async def unanswered(running: Server, found: Sequence[bytes], streams: int) -> int:
    """Send more over each stream than the sidecar reads, until all are full. Return the events held."""
    async with AsyncExitStack() as stack:
        address = running.addresses[0]
        sending = []
        for _ in range(streams):
            call = await stack.enter_async_context(stream(address, _HANGING, delivery=True))
            sending.append(asyncio.ensure_future(_write_all(call, found)))
        held = -1
        while (now := await asyncio.to_thread(_held, running.admin)) == 0 or now > held:
            held = now
            await asyncio.sleep(_FULL_AFTER_S)
    await asyncio.gather(*sending, return_exceptions=True)
    return held


async def _write_all(call: Any, found: Sequence[bytes]) -> None:
    for message in messages(found, 100):
        await call.write(message)


def _held(admin: str) -> int:
    """Return the number of events that wait or are in flight."""
    with build_opener(ProxyHandler({})).open(f"{admin}/api/state", timeout=30) as response:
        rows = json.load(response)["destinations"]
    return sum(row["waiting"] + row["in_flight"] for row in rows)


@contextmanager
def hanging() -> Iterator[str]:
    """Run a null server that never answers the workspace of _HANGING."""
    with ServerProcess("-m", "tests.bench.null_customerio", "--uneven") as null:
        yield f"http://{null.address}"


async def use(
    case: str, url: str, streams: int, run: Callable[[str], Awaitable[int]], *flags: str
) -> Use:
    """Run so many streams against a new process."""
    with server(*_LISTEN, "--customerio-url", url, *flags) as running:
        process = Process(running)
        cpu_s, start = process.cpu_s(), time.perf_counter()
        done = sum(await asyncio.gather(*(run(process.address) for _ in range(streams))))
        took_s = time.perf_counter() - start
        return Use(case, process.peak_mib(), (process.cpu_s() - cpu_s) / took_s, done / took_s)


async def full(url: str, streams: int, found: Sequence[bytes], what: str) -> Use:
    """Fill so many streams of a new process."""
    with server(*_LISTEN, "--customerio-url", url, *_FULL) as running:
        held = await unanswered(running, found, streams)
        case = f"{streams} full of {what}: {held:,} events"
        return Use(case, Process(running).peak_mib(), 0, 0)


async def measure() -> AsyncIterator[Use]:
    """Measure each case with a process of its own."""
    mix = [event for _, event in events(10_000)]
    large = [_LARGE % (number, b"y" * 60_000) for number in range(2_000)]

    async def idle(_address: str) -> int:
        await asyncio.sleep(DURATION_S)
        return 0

    def transforming(address: str) -> Awaitable[int]:
        return answered(address, _CONFIG % b"v1", mix, delivery=False, rate=None)

    def delivering(api_version: bytes, rate: float | None) -> Callable[[str], Awaitable[int]]:
        return lambda address: answered(
            address, _CONFIG % api_version, orders(10_000), delivery=True, rate=rate
        )

    with NullCustomerio() as null:
        yield await use("idle", null.url, 1, idle)
        for streams in (1, 8):
            yield await use(f"transform, {streams} stream(s)", null.url, streams, transforming)
        for rate in (125, 800):
            yield await use(f"deliver v1, {rate} events/s", null.url, 1, delivering(b"v1", rate))
        yield await use("deliver v2, as fast as it goes", null.url, 1, delivering(b"v2", None))
    with hanging() as url:
        for streams in (1, 8):
            yield await full(url, streams, mix * 2, "usual events")
            yield await full(url, streams, large, "events of 60 kB")


def main() -> None:
    """Print the table."""
    table = Table("case", "most memory, MiB", "cores", "events/s", "CPU, µs an event")

    async def fill() -> None:
        async for found in measure():
            table.add_row(
                found.case,
                f"{found.memory_mib:.0f}",
                f"{found.cores:.2f}" if found.cores else "",
                f"{found.events_per_s:,.0f}" if found.events_per_s else "",
                f"{found.cores / found.events_per_s * 1e6:.0f}" if found.events_per_s else "",
            )

    asyncio.run(fill())
    Console(width=100).print(table)
