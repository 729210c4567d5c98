"""The load on a server, from this process."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ciosidecar import AsyncClient, Client, v1
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from .events import CONFIG
from .server_process import ServerProcess

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


class Measured:
    """The wall time and the server's CPU time since this object was made."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._cpu_s, self._start = server.cpu_s(), time.perf_counter()

    def figures(self, events: int) -> Figures:
        """Return the figures of so many events, up to now."""
        wall_s = time.perf_counter() - self._start
        return Figures(events, wall_s, self._server.cpu_s() - self._cpu_s)


async def stream(
    server: ServerProcess,
    events: Sequence[bytes],
    size: int,
    rounds: int,
    config: bytes = CONFIG,
) -> Figures:
    """Send all events over one stream, with a few messages unanswered.

    Raises:
        RuntimeError: Not every event was transformed.
    """
    messages = [v1.TransformStreamRequest(batch=batch) for batch in batches(events, size)] * rounds
    declared = [v1.Destination(reference_id=1, config_json=config)]
    async with aio.insecure_channel(server.address, options=OPTIONS) as channel:
        return await exchange(
            server, channel, declared, messages, len(events) * rounds, max(4, 64 // size)
        )


async def opened(stub: Any, destinations: Sequence[v1.Destination]) -> Any:
    """Return a stream with its destinations declared, which takes large messages."""
    call = stub.TransformStream()
    opening = v1.OpenStream(destinations=destinations, max_receive_bytes=1 << 26)
    await call.write(v1.TransformStreamRequest(open=opening))
    await call.read()
    return call


async def exchange(
    server: ServerProcess,
    channel: aio.Channel,
    destinations: Sequence[v1.Destination],
    messages: Sequence[v1.TransformStreamRequest],
    events: int,
    unanswered: int = 4,
) -> Figures:
    """Send messages over one stream, so many of them unanswered at most, and read all results.

    Raises:
        RuntimeError: Not every event was transformed.
    """
    call = await opened(v1.SidecarServiceStub(channel), destinations)
    free_places = asyncio.Semaphore(unanswered)

    async def send() -> None:
        for message in messages:
            await free_places.acquire()
            await call.write(message)

    measured = Measured(server)
    sending = asyncio.ensure_future(send())
    left = len(messages)
    transformed = 0
    while left:
        response: Any = await call.read()
        transformed += sum(status == 200 for status in response.results.statuses)
        if response.results.batch_complete:
            left -= 1
            free_places.release()
    await sending
    figures = measured.figures(events)
    await call.done_writing()
    require_all(transformed, figures)
    return figures


def require_all(transformed: int, figures: Figures) -> None:
    """Raise RuntimeError unless as many events were transformed as were sent."""
    if transformed != figures.events:
        raise RuntimeError(f"{transformed} of {figures.events} events were transformed")


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
    flood = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C at the terminal reaches the bench alone
    )
    try:
        assert flood.stdout is not None
        await flood.stdout.readline()
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
    """Measure the same alone, then beside a thousand idle streams, callers that never read, and half-said hellos."""
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


async def unary(
    server: ServerProcess,
    events: Sequence[bytes],
    size: int,
    rounds: int,
    config: bytes = CONFIG,
) -> Figures:
    """Send all events by unary calls of a size, with four calls at once.

    Raises:
        RuntimeError: Not every event was transformed.
    """
    destination = v1.Destination(reference_id=1, config_json=config)
    requests = [
        v1.TransformRequest(destinations=[destination], batch=batch)
        for batch in batches(events, size)
    ] * rounds
    async with aio.insecure_channel(server.address, options=OPTIONS) as channel:
        stub = v1.SidecarServiceStub(channel)
        waiting = iter(requests)
        transformed = 0

        async def caller() -> None:
            nonlocal transformed
            for request in waiting:
                response: Any = await stub.Transform(request)
                transformed += sum(status == 200 for status in response.results.statuses)

        cpu, start = server.cpu_s(), time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(4)))
        figures = Figures(len(events) * rounds, time.perf_counter() - start, server.cpu_s() - cpu)
    require_all(transformed, figures)
    return figures
