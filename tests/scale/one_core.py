"""Measure what one core of one sidecar carries, and the memory of its streams: the first table of docs/scaling.md.

CPU is that of the server's threads. A shared machine may be three times as slow in one minute as in another, so the
transform in a hot loop is measured before and after: compare the last column. The events are the mix of `make bench`,
in which each event is another one; Customer.io is a server that answers at once.
"""

import asyncio
import os
import statistics
from typing import Any

import uvloop
from ciosidecar import v1
from grpc import aio
from rich.console import Console
from rich.table import Table

from tests.bench import delivery, load
from tests.bench.events import events
from tests.bench.server_process import ServerProcess, take_load_core
from tests.bench.transform import transform_alone

EVENTS = 20_000
RUNS = 5
STREAMS = 2_000
DESTINATIONS = 10
VERSIONS = (b"v1", b"v2")
_CONFIG = b'{"siteID": "site", "apiKey": "key", "apiVersion": "%b"}'


async def _cpu(server: ServerProcess) -> dict[tuple[bytes, str], float]:
    """Measure CPU in µs an event, by API version and kind of call; the median of interleaved runs."""
    mix = [event for _, event in events(EVENTS)]
    runs: dict[tuple[bytes, str], list[float]] = {}
    for run in range(RUNS + 1):
        for version in VERSIONS:
            transform = await load.stream(server, mix, 100, 1, _CONFIG % version)
            deliver, _ = await delivery.deliver(server, mix, version, size=100)
            if run:  # the first round warms up
                for kind, figures in (("transform", transform), ("delivery", deliver)):
                    runs.setdefault((version, kind), []).append(figures.server_cpu_us_per_event)
    return {case: statistics.median(found) for case, found in runs.items()}


async def _memory(server: ServerProcess) -> tuple[float, float]:
    """Measure the memory of a server without streams in MB, and that of each open stream in KB."""
    before = server.memory_bytes()
    opening = v1.TransformStreamRequest()
    for number in range(1, DESTINATIONS + 1):
        config = b'{"siteID": "site-%d", "apiKey": "key"}' % number
        opening.open.destinations.add(reference_id=number, config_json=config)
    opening.open.delivery.SetInParent()
    async with aio.insecure_channel(server.address, options=load.OPTIONS) as channel:
        calls: list[Any] = []
        for _ in range(STREAMS):
            call = v1.SidecarServiceStub(channel).TransformStream()
            await call.write(opening)
            await call.read()
            calls.append(call)
        held = server.memory_bytes() - before
        for call in calls:
            call.cancel()
    return before / 1e6, held / STREAMS / 1e3


async def measure() -> tuple[dict[tuple[bytes, str], float], tuple[float, float]]:
    """Measure a server of its own for each of the two."""
    unbounded = ("--delivery-rate", "1000000", "--delivery-concurrency", "64")
    with delivery.NullCustomerio() as null:
        with delivery.sidecar(null) as server:
            memory = await asyncio.wait_for(_memory(server), 300)
        with delivery.sidecar(null, *unbounded) as server:
            cpu = await asyncio.wait_for(_cpu(server), 900)
    return cpu, memory


def main() -> None:
    """Measure, and print the table."""
    take_load_core()
    loop_us = transform_alone()["mix"]
    cpu, (alone_mb, stream_kb) = uvloop.run(measure())
    loop_us = min(loop_us, transform_alone()["mix"])
    table = Table(
        "100 events a message", "CPU, µs an event", "events a second on one core", "of the loop"
    )
    table.add_row("the transform in a hot loop", f"{loop_us:.1f}", f"{1e6 / loop_us:,.0f}", "1.0")
    for (version, kind), cpu_us in cpu.items():
        table.add_row(
            f"{version.decode()}, {kind}",
            f"{cpu_us:.1f}",
            f"{1e6 / cpu_us:,.0f}",
            f"{cpu_us / loop_us:.1f}",
        )
    console = Console(width=100)
    console.print(table)
    console.print(
        f"memory: {alone_mb:.0f} MB without streams, and {stream_kb:.0f} KB for each of {STREAMS:,} idle"
        f" streams with {DESTINATIONS} destinations"
    )
    if os.getloadavg()[0] > 2:
        console.print(f"other work ran meanwhile: a load of {os.getloadavg()[0]:.1f}")
