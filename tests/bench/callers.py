"""What a caller sees: start to ready, events one at a time, Python's clients, and waits beside others' load."""

import asyncio
import statistics
import tempfile
from typing import Any

from . import load
from .events import events
from .implementations import ENVIRONMENTS, LABELS, SERVE, installed
from .machine import log
from .server_process import ServerProcess
from .tables import Table, counted

_STARTS = 5
_ROUNDS = 3
_RATES = {
    "one_at_a_time_from_eight": "eight callers that send one event and wait for its result",
    "async_client": "one producer through `AsyncClient.stream`",
    "sync_client": "one producer through `Client.stream`",
}


async def measure() -> dict[str, Any]:
    """Measure seconds to ready and events a second, by implementation; medians of interleaved rounds."""
    names = installed()
    mix = [event for _, event in events(10_000)]
    ready: dict[str, list[float]] = {name: [] for name in names}
    log("callers: start to ready")
    with tempfile.TemporaryDirectory() as bytecode:
        # As pip installs it, a server is compiled to bytecode. Here the first start does that, and does not count.
        compiling = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": bytecode}
        for number in range(_STARTS + 1):
            for name in names:
                environment = {**ENVIRONMENTS[name], **compiling}
                with ServerProcess(*SERVE, environment=environment) as server:
                    if number > 0:
                        ready[name].append(server.ready_s)
    rates: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(_ROUNDS):
        log(f"callers: round {number + 1} of {_ROUNDS}")
        for name in names:
            with ServerProcess(*SERVE, environment=ENVIRONMENTS[name]) as server:
                rates[name].append(await _rates(server, mix))
    return {
        name: {
            "ready_s": statistics.median(ready[name]),
            "events_per_s": {
                way: statistics.median(one[way] for one in rates[name]) for way in _RATES
            },
        }
        for name in names
    }


async def _rates(server: ServerProcess, mix: list[bytes]) -> dict[str, float]:
    await load.stream(server, mix, 100, 1)
    eight = await load.one_at_a_time(server, mix[:4_000], 8)
    asynchronous = await load.async_client(server, mix * 2)
    synchronous = await asyncio.to_thread(load.sync_client, server, mix * 2)
    figures = (eight, asynchronous, synchronous)
    return {way: one.events_per_s for way, one in zip(_RATES, figures, strict=True)}


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the table of what `measure` returned."""
    names = [name for name in LABELS if name in found]
    rows = [["start to ready", *(f"{found[name]['ready_s']:.2f} s" for name in names)]]
    for way, words in _RATES.items():
        rates = (found[name]["events_per_s"][way] for name in names)
        rows.append([words, *(f"{counted(rate)} events a second" for rate in rates)])
    return [Table("what one caller sees", ["", *(LABELS[name] for name in names)], rows)]


async def measure_latency(samples: int = 500) -> dict[str, Any]:
    """Measure waits in ms beside callers with huge batches, and beside bad peers, by implementation."""
    mix = [event for _, event in events(10_000)]
    found: dict[str, Any] = {}
    for name in installed():
        log(f"latency: {LABELS[name]}")
        environment = ENVIRONMENTS[name]
        with ServerProcess(*SERVE, environment=environment) as server:
            many = await _waits(server, mix, samples, "many")
            large = await _waits(server, mix, samples // 5, "large")
        with ServerProcess(*SERVE, environment=environment) as server:
            alone, beside = await load.beside_bad_peers(server, mix, samples)
        found[name] = {
            "beside_many_events": many,
            "beside_large_events": large,
            "small_batch_ms": {
                "alone": statistics.median(alone) * 1e3,
                "beside_bad_peers": statistics.median(beside) * 1e3,
            },
        }
    return found


async def _waits(server: ServerProcess, mix: list[bytes], samples: int, kind: str) -> Any:
    found = await load.beside_full_load(server, mix, samples, kind)
    (server_load,) = found.pop("server_load")
    waits = {
        f"{name}_ms": {
            "p50": statistics.median(times) * 1e3,
            "p99": statistics.quantiles(times, n=100)[98] * 1e3,
        }
        for name, times in found.items()
    }
    return {"server_load": server_load} | waits


def latency_tables(found: dict[str, Any]) -> list[Table]:
    """Return the table of what `measure_latency` returned."""
    names = [name for name in LABELS if name in found]
    rows = []
    for key, load_words in (
        ("beside_many_events", "two callers send batches of 10,000 events"),
        ("beside_large_events", "two callers send batches of ten events of 1 MB, with escapes"),
    ):
        for what, words in (("health", "a health check"), ("small_batch", "a batch of ten")):
            waits = (found[name][key][f"{what}_ms"] for name in names)
            cells = (f"{one['p50']:.1f}, {one['p99']:.1f}" for one in waits)
            rows.append([f"{words} while {load_words}", *cells])
    for key, words in (
        ("alone", "a batch of ten, alone"),
        ("beside_bad_peers", "beside 1,000 idle streams, 5 callers that never read, 50 half-open"),
    ):
        rows.append([words, *(f"{found[name]['small_batch_ms'][key]:.2f}" for name in names)])
    loads = [f"{found[name]['beside_many_events']['server_load']:.0%}" for name in names]
    notes = [f"Beside batches of 10,000 events the server took {' and '.join(loads)} of its core."]
    header = ["", *(LABELS[name] for name in names)]
    return [Table("waits in ms: median, 99th percentile", header, rows, notes)]
