"""`make bench`: the service beside an echo of the same bytes, the transform alone, delivery."""

import argparse
import asyncio
import json
import os
import statistics
import time
from collections import defaultdict
from typing import Any

import uvloop
from ciosidecar_transform import BatchTransform, RequestList, read_destination
from rich.console import Console
from rich.table import Table

from . import batching, delivery, destinations, load, workers
from . import clients as every_client
from .events import CONFIG, events

EVENTS = 10_000
SIZES = (1, 10, 100, 500)
_SERVE = (
    *("-m", "ciosidecar_server", "serve", "--listen", "127.0.0.1:0"),
    *("--admin-listen", "127.0.0.1:0", "--log-level", "error"),
)
_ECHO = ("-m", "tests.bench.echo_server")


def transform_alone(rounds: int = 5) -> dict[str, float]:
    """Measure the microseconds of an event of each kind in a hot loop, the best of several rounds."""
    destination, _ = read_destination(CONFIG)
    assert destination is not None
    by_kind: dict[str, list[bytes]] = defaultdict(list)
    for kind, event in events(EVENTS):
        by_kind[kind].append(event)
    by_kind["mix"] = [event for _, event in events(EVENTS)]
    best = {}
    for kind, found in by_kind.items():
        times = []
        for _ in range(rounds):
            start = time.process_time()
            for first in range(0, len(found), 100):
                batch = BatchTransform(1_772_600_000, RequestList())
                for position, event in enumerate(found[first : first + 100]):
                    batch.add(position, event, destination)
                batch.flush()
            times.append((time.process_time() - start) / len(found) * 1e6)
        best[kind] = min(times)
    return best


async def service(repeats: int = 3) -> dict[str, Any]:
    """Measure events a second and server CPU an event, by server, call and events a message."""
    found: dict[str, Any] = defaultdict(dict)
    mix = [event for _, event in events(EVENTS)]
    with load.ServerProcess(*_ECHO) as echo, load.ServerProcess(*_SERVE) as sidecar:
        for size in SIZES:
            sample = mix[: 2000 if size == 1 else EVENTS]
            rounds = 1 if size == 1 else 3
            cases = (
                ("echo", echo, load.stream),
                ("stream", sidecar, load.stream),
                ("unary", sidecar, load.unary),
            )
            runs: dict[str, list[load.Figures]] = defaultdict(list)
            for _ in range(repeats):
                # Interleaved, so that a noisy minute falls on all of them.
                for name, server, drive in cases:
                    runs[name].append(await drive(server, sample, size, rounds))
            for name, figures in runs.items():
                found[name][str(size)] = {
                    "events_per_s": statistics.median(one.events_per_s for one in figures),
                    "server_cpu_us": statistics.median(
                        one.server_cpu_us_per_event for one in figures
                    ),
                }
        found["clients"] = await clients(sidecar, mix)
        found["beside_full_load_ms"] = await latencies(sidecar, mix, 500, "many")
        found["beside_large_events_ms"] = await latencies(sidecar, mix, 100, "large")
    with load.ServerProcess(*_SERVE) as sidecar:
        alone, beside = await load.beside_bad_peers(sidecar, mix, 500)
        found["small_batch_beside_bad_peers_ms"] = {
            "alone": statistics.median(alone) * 1e3,
            "beside": statistics.median(beside) * 1e3,
        }
    with load.ServerProcess(*_SERVE) as sidecar:
        found["memory_mb"] = await memory(sidecar, mix)
    return found


async def clients(sidecar: load.ServerProcess, mix: list[bytes]) -> dict[str, Any]:
    """Measure events a second: one at a time from eight callers, and through the batching clients."""
    long = mix * 5
    eight = await load.one_at_a_time(sidecar, mix[:4000], 8)
    asynchronous = await load.async_client(sidecar, long)
    synchronous = await asyncio.to_thread(load.sync_client, sidecar, long)
    return {
        "one_at_a_time_from_eight": eight.events_per_s,
        "async_client": asynchronous.events_per_s,
        "sync_client": synchronous.events_per_s,
    }


async def latencies(
    sidecar: load.ServerProcess, mix: list[bytes], samples: int, kind: str
) -> dict[str, Any]:
    """Measure latencies in ms, median and 99th percentile, beside two callers with huge batches."""
    found = await load.beside_full_load(sidecar, mix, samples, kind)
    (server_load,) = found.pop("server_load")
    return {"server_load": server_load} | {
        name: {
            "p50": statistics.median(times) * 1e3,
            "p99": statistics.quantiles(times, n=100)[98] * 1e3,
        }
        for name, times in found.items()
    }


async def memory(sidecar: load.ServerProcess, mix: list[bytes]) -> dict[str, float]:
    """Measure the server's memory after a first run of events, and after a million more."""
    await load.stream(sidecar, mix, 100, 1)
    before = sidecar.memory_bytes() / 1e6
    await load.stream(sidecar, mix, 100, 100)
    return {"before": before, "after_a_million_events": sidecar.memory_bytes() / 1e6}


def show(alone: dict[str, float], found: dict[str, Any], console: Console) -> None:
    """Print the results as tables."""
    table = Table("events a message", title="server CPU, µs an event (events a second)")
    for name in ("echo", "stream", "unary"):
        table.add_column(name, justify="right")
    for size in map(str, SIZES):
        cells = (found[name][size] for name in ("echo", "stream", "unary"))
        table.add_row(
            size, *(f"{one['server_cpu_us']:.1f} ({one['events_per_s']:,.0f})" for one in cells)
        )
    console.print(table)
    table = Table("event", "µs", title="transform alone, hot loop")
    for kind, micros in alone.items():
        table.add_row(kind, f"{micros:.1f}")
    console.print(table)
    table = Table("clients", "events a second")
    for name, rate in found["clients"].items():
        table.add_row(name.replace("_", " "), f"{rate:,.0f}")
    console.print(table)
    for key, words in (
        ("beside_full_load_ms", "beside batches of 10,000 events"),
        ("beside_large_events_ms", "beside batches of events of 1 MB"),
    ):
        beside = dict(found[key])
        busy = f"the server at {beside.pop('server_load'):.0%} of a core"
        table = Table(f"{words} ({busy})", "p50, ms", "p99, ms")
        for name, one in beside.items():
            table.add_row(name.replace("_", " "), f"{one['p50']:.1f}", f"{one['p99']:.1f}")
        console.print(table)
    peers = found["small_batch_beside_bad_peers_ms"]
    console.print(
        f"a small batch takes {peers['alone']:.2f} ms, beside a thousand idle streams, callers that"
        f" never read and half-open connections {peers['beside']:.2f} ms"
    )
    held = found["memory_mb"]
    console.print(
        f"server memory: {held['before']:.0f} MB,"
        f" after a million events {held['after_a_million_events']:.0f} MB"
    )


PARTS = ("service", "batching", "delivery", "destinations", "troubles", "workers", "clients")


def main() -> None:
    """Measure, and print tables and then one line of JSON."""
    options = argparse.ArgumentParser(prog=".venv/bin/python -m tests.bench", description=__doc__)
    options.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; or all")
    parts = options.parse_args().parts or PARTS
    if unknown := set(parts) - set(PARTS):
        options.error(f"there is no {', '.join(unknown)}")
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {load.LOAD_CORE})
    console = Console()
    found: dict[str, Any] = {}
    if "service" in parts:
        size = statistics.mean(len(event) for _, event in events(EVENTS))
        Console(stderr=True).print(f"{EVENTS} events of {size:.0f} bytes on average")
        alone = transform_alone()
        found |= uvloop.run(service())
        show(alone, found, console)
        found["transform_alone_us"] = alone
    if "batching" in parts:
        found["batching"] = batching.api_versions_alone()
        batching.show(found["batching"])
    if "delivery" in parts:
        found["delivery"] = uvloop.run(delivery.measure())
        delivery.show(found["delivery"], console)
    if "destinations" in parts:
        found["destinations"] = uvloop.run(destinations.measure())
        destinations.show(found["destinations"], console)
    if "troubles" in parts:
        found["troubles"] = uvloop.run(destinations.measure_troubles())
        destinations.show_troubles(found["troubles"], console)
    if "workers" in parts:
        found["workers"] = uvloop.run(workers.measure())
        workers.show(found["workers"], console)
    if "clients" in parts:
        found["clients_by_language"] = every_client.measure()
        every_client.show(found["clients_by_language"], console)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
