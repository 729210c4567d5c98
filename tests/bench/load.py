"""A server in its own process and the load on it from this process, each on its own core."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ciosidecar import AsyncClient, Client, v1
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from .events import CONFIG

SERVER_CORE, LOAD_CORE = 0, 1
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass(frozen=True)
class Figures:
    """Result of one run."""

    events: int
    wall_s: float
    server_cpu_s: float

    @property
    def events_per_s(self) -> float:
        return self.events / self.wall_s

    @property
    def server_cpu_us_per_event(self) -> float:
        return self.server_cpu_s / self.events * 1e6


class ServerProcess:
    """A server process that prints a ready line, on its own core."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if len(os.sched_getaffinity(0)) > 1:
            os.sched_setaffinity(self._process.pid, {SERVER_CORE})
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self.address: str = json.loads(self._process.stdout.readline())["listen"][0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=20)

    def cpu_s(self) -> float:
        """Return the CPU time of all threads so far, in nanoseconds unlike utime and stime."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def memory_bytes(self) -> int:
        """Return the resident memory."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def batches(events: Sequence[bytes], size: int) -> list[v1.Batch]:
    """Return the events in batches of a size."""
    return [
        v1.Batch(
            batch_id=start // size,
            destination=1,
            items=[v1.BatchItem(json=event) for event in events[start : start + size]],
        )
        for start in range(0, len(events), size)
    ]


async def stream(
    server: ServerProcess,
    events: Sequence[bytes],
    size: int,
    rounds: int,
    config: bytes = CONFIG,
) -> Figures:
    """Send all events over one stream, with a few messages unanswered."""
    messages = [v1.TransformStreamRequest(batch=batch) for batch in batches(events, size)]
    async with aio.insecure_channel(server.address, options=OPTIONS) as channel:
        call = v1.SidecarServiceStub(channel).TransformStream()
        opening = v1.OpenStream(
            destinations=[v1.Destination(reference_id=1, config_json=config)],
            max_receive_bytes=1 << 26,
        )
        await call.write(v1.TransformStreamRequest(open=opening))
        await call.read()
        free_places = asyncio.Semaphore(max(4, 64 // size))

        async def send() -> None:
            for _ in range(rounds):
                for message in messages:
                    await free_places.acquire()
                    await call.write(message)

        cpu, start = server.cpu_s(), time.perf_counter()
        sending = asyncio.ensure_future(send())
        left = len(messages) * rounds
        while left:
            response: Any = await call.read()
            if response.results.batch_complete:
                left -= 1
                free_places.release()
        await sending
        figures = Figures(len(events) * rounds, time.perf_counter() - start, server.cpu_s() - cpu)
        await call.done_writing()
        return figures


async def one_at_a_time(server: ServerProcess, events: Sequence[bytes], callers: int) -> Figures:
    """Run callers that each wait for the answer of one event before the next."""
    waiting = iter([v1.TransformStreamRequest(batch=batch) for batch in batches(events, 1)])

    async def caller(stub: Any) -> None:
        call = stub.TransformStream()
        opening = v1.OpenStream(destinations=[v1.Destination(reference_id=1, config_json=CONFIG)])
        await call.write(v1.TransformStreamRequest(open=opening))
        await call.read()
        for message in waiting:
            await call.write(message)
            await call.read()
        await call.done_writing()

    async with aio.insecure_channel(server.address, options=OPTIONS) as channel:
        stub = v1.SidecarServiceStub(channel)
        cpu, start = server.cpu_s(), time.perf_counter()
        await asyncio.gather(*(caller(stub) for _ in range(callers)))
        return Figures(len(events), time.perf_counter() - start, server.cpu_s() - cpu)


async def async_client(server: ServerProcess, events: Sequence[bytes]) -> Figures:
    """Run one producer that sends events one by one with the asynchronous client."""
    async with AsyncClient(server.address) as client, client.stream(CONFIG) as stream:
        cpu, start = server.cpu_s(), time.perf_counter()
        answered = sum([1 async for _ in stream.map(events)])
        return Figures(answered, time.perf_counter() - start, server.cpu_s() - cpu)


def sync_client(server: ServerProcess, events: Sequence[bytes]) -> Figures:
    """Run one producer that sends events one by one with the synchronous client."""
    with Client(server.address) as client, client.stream(CONFIG) as stream:
        cpu, start = server.cpu_s(), time.perf_counter()
        answered = sum(1 for _ in stream.map(events))
        return Figures(answered, time.perf_counter() - start, server.cpu_s() - cpu)


async def beside_full_load(
    server: ServerProcess, events: Sequence[bytes], samples: int, kind: str
) -> dict[str, list[float]]:
    """Measure the seconds of a health check and a small batch while others send huge batches.

    kind: "many" for batches of 10,000 events, "large" for batches of events of a megabyte.
    Also how much of a core the server used meanwhile.
    """
    small = v1.TransformRequest(
        destinations=[v1.Destination(reference_id=1, config_json=CONFIG)],
        batch=batches(events[:10], 10)[0],
    )
    found: dict[str, list[float]] = {"health": [], "small_batch": [], "server_load": []}
    command = (sys.executable, "-m", "tests.bench.flood", server.address, kind)
    flood = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert flood.stdout is not None
    await flood.stdout.readline()
    try:
        async with aio.insecure_channel(server.address, options=OPTIONS) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            stub: Any = v1.SidecarServiceStub(channel)
            cpu, began = server.cpu_s(), time.perf_counter()
            for _ in range(samples):
                start = time.perf_counter()
                await health.Check(health_pb2.HealthCheckRequest())
                found["health"].append(time.perf_counter() - start)
                start = time.perf_counter()
                await stub.Transform(small)
                found["small_batch"].append(time.perf_counter() - start)
            found["server_load"] = [(server.cpu_s() - cpu) / (time.perf_counter() - began)]
    finally:
        flood.kill()
        await flood.wait()
    return found


async def small_batches(
    server: ServerProcess, events: Sequence[bytes], samples: int
) -> list[float]:
    """Measure the seconds of batches of ten events, one after another."""
    small = v1.TransformRequest(
        destinations=[v1.Destination(reference_id=1, config_json=CONFIG)],
        batch=batches(events[:10], 10)[0],
    )
    found = []
    async with aio.insecure_channel(server.address, options=OPTIONS) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        for _ in range(samples):
            start = time.perf_counter()
            await stub.Transform(small)
            found.append(time.perf_counter() - start)
    return found


async def beside_bad_peers(
    server: ServerProcess, events: Sequence[bytes], samples: int
) -> tuple[list[float], list[float]]:
    """The same alone, then beside a thousand idle streams, callers that never read, and half-said hellos."""
    alone = await small_batches(server, events, samples)
    opening = v1.TransformStreamRequest(
        open=v1.OpenStream(destinations=[v1.Destination(reference_id=1, config_json=CONFIG)])
    )
    hundred = v1.TransformStreamRequest(batch=batches(events[:100], 100)[0])
    host, _, port = server.address.rpartition(":")
    hellos = [await asyncio.open_connection(host, int(port)) for _ in range(50)]
    for _, writer in hellos:
        writer.write(b"PRI * HT")
    async with (
        aio.insecure_channel(server.address, options=OPTIONS) as idle,
        aio.insecure_channel(server.address, options=OPTIONS) as deaf,
    ):
        calls = [v1.SidecarServiceStub(idle).TransformStream() for _ in range(1000)]
        for call in calls:
            await call.write(opening)
            await call.read()
        for _ in range(5):
            call = v1.SidecarServiceStub(deaf).TransformStream()
            calls.append(call)
            await call.write(opening)
            with contextlib.suppress(TimeoutError):
                while True:
                    await asyncio.wait_for(call.write(hundred), 0.5)
        beside = await small_batches(server, events, samples)
        for call in calls:
            call.cancel()
    for _, writer in hellos:
        writer.close()
    return alone, beside


async def unary(server: ServerProcess, events: Sequence[bytes], size: int, rounds: int) -> Figures:
    """All events by unary calls, so many a message, a few calls at once."""
    destination = v1.Destination(reference_id=1, config_json=CONFIG)
    requests = [
        v1.TransformRequest(destinations=[destination], batch=batch)
        for batch in batches(events, size)
    ] * rounds
    async with aio.insecure_channel(server.address, options=OPTIONS) as channel:
        stub = v1.SidecarServiceStub(channel)
        waiting = iter(requests)

        async def caller() -> None:
            for request in waiting:
                await stub.Transform(request)

        cpu, start = server.cpu_s(), time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(4)))
        return Figures(len(events) * rounds, time.perf_counter() - start, server.cpu_s() - cpu)
