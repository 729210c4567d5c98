"""`make bench`: the service beside an echo of the same bytes, and the transform alone."""

import json
import os
import statistics
import time
from collections import defaultdict
from typing import Any

import uvloop
from ciosidecar_server.transform import BatchTransform, RequestList, read_destination
from rich.console import Console
from rich.table import Table

from . import load
from .events import CONFIG, events

EVENTS = 10_000
SIZES = (1, 10, 100, 500)
_SERVE = ("-m", "ciosidecar_server", "serve", "--listen", "127.0.0.1:0", "--log-level", "error")
_ECHO = ("-m", "tests.bench.echo_server")


def transform_alone(rounds: int = 5) -> dict[str, float]:
    """Microseconds an event of each kind takes in a hot loop, the best of several rounds."""
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


async def service(repeats: int = 3) -> dict[str, dict[str, dict[str, float]]]:
    """By server, call and events a message: events a second and server CPU an event."""
    found: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
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
        found["memory"] = {"server": {"mb": sidecar.memory_bytes() / 1e6}}
    return found


def show(alone: dict[str, float], found: dict[str, Any]) -> None:
    """The tables for people, then one line of JSON for programs."""
    console = Console()
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
    print(json.dumps({"transform_alone_us": alone, **found}))


def main() -> None:
    """Measures and prints."""
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {load.LOAD_CORE})
    size = statistics.mean(len(event) for _, event in events(EVENTS))
    Console(stderr=True).print(f"{EVENTS} events of {size:.0f} bytes on average")
    alone = transform_alone()
    show(alone, uvloop.run(service()))


if __name__ == "__main__":
    main()
