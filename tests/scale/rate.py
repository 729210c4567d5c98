"""One rate for many sidecars, in a real Redis: `.venv/bin/python -m tests.scale rate`.

The first table has sidecars that are asked for more than the rate together. The second compares a sidecar with and
without a store, in turns, at a load below its rate: its CPU time a request and the time until an event is answered.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tests.engines.rate_store.fleet import (
    between,
    counting_customerio,
    feeding,
    fleet,
    worst_excess,
)
from tests.engines.rate_store.redis_server import redis_server
from tests.processes import Server

SIZES = (1, 2, 4, 8)
RATES = (10.0, 100.0, 900.0, 3_000.0)
SECONDS = 10.0
_WARM_UP_S = 2.0
_LOAD_PER_S = 300.0
_ROUNDS = 3


class Row(NamedTuple):
    """What sidecars did together."""

    size: int
    rate_per_s: float
    achieved: float
    worst_s: float
    spread: float
    commands: float


async def together(size: int, rate_per_s: float, directory: Path) -> Row:
    """Ask sidecars for more than a rate."""
    with (
        redis_server(directory) as redis,
        counting_customerio() as customerio,
        fleet(
            size,
            customerio,
            *("--rate-store", redis.url, f"--delivery-rate={rate_per_s}"),
            *("--delivery-concurrency=400", "--log-level=error"),
        ) as servers,
        redis.client() as client,
    ):
        began = time.monotonic()
        async with feeding(servers):
            await asyncio.sleep(_WARM_UP_S)
            begin, commands = time.monotonic(), _commands(client)
            await asyncio.sleep(SECONDS)
            end, commands = time.monotonic(), _commands(client) - commands
        times = customerio.arrivals()
        counts = between(times, begin, end)
        total = max(1, sum(counts.values()))
        mean = total / size
        return Row(
            size,
            rate_per_s,
            total / (end - begin) / rate_per_s,
            worst_excess(times, rate_per_s, began, end) / rate_per_s,
            max(abs(number - mean) for number in counts.values()) / mean,
            commands / total,
        )


def _commands(client: Any) -> int:
    return int(client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


async def one(server: Server, seconds: float) -> tuple[int, float, list[float]]:
    """Give one sidecar a load. Return its requests, its CPU time and the time until each event was answered."""
    cpu_s = cpu_of(server)
    async with feeding([server], [_LOAD_PER_S]) as (feed,):
        await asyncio.sleep(seconds)
    return len(feed.statuses), cpu_of(server) - cpu_s, feed.took_s


def cpu_of(server: Server) -> float:
    """Return the CPU time of all threads so far."""
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


async def compare(directory: Path) -> list[tuple[str, float, float, float]]:
    """Measure a sidecar with a store and one without, in turns: µs of CPU, and ms until an answer (p50, p99)."""
    found: list[tuple[str, float, float, float]] = []
    with (
        redis_server(directory) as redis,
        counting_customerio() as customerio,
        fleet(1, customerio, "--log-level=error") as (without,),
        fleet(1, customerio, "--log-level=error", "--rate-store", redis.url) as (with_store,),
    ):
        servers = {"without a store": without, "with a store": with_store}
        runs: dict[str, list[tuple[float, list[float]]]] = {name: [] for name in servers}
        for server in servers.values():
            await one(server, 1.0)
        for _ in range(_ROUNDS):
            for name, server in servers.items():
                number, cpu_s, took_s = await one(server, 4.0)
                runs[name].append((cpu_s / number * 1e6, took_s))
        for name, own in runs.items():
            took_s = sorted(each for _, took in own for each in took)
            cpu_us = statistics.median(cpu for cpu, _ in own)
            found.append((name, cpu_us, *_quantiles_ms(took_s)))
    return found


def _quantiles_ms(ordered: Sequence[float]) -> tuple[float, float]:
    return ordered[len(ordered) // 2] * 1e3, ordered[len(ordered) * 99 // 100] * 1e3


async def measure(console: Console) -> None:
    """Measure and print both tables."""
    table = Table("sidecars", "rate", "achieved", "worst window", "spread", "commands a request")
    for rate_per_s in RATES:
        for size in SIZES:
            with tempfile.TemporaryDirectory() as directory:
                row = await together(size, rate_per_s, Path(directory))
            table.add_row(
                str(row.size),
                f"{row.rate_per_s:,.0f}",
                f"{row.achieved:.1%}",
                f"+{row.worst_s:.3f} s",
                f"±{row.spread:.1%}",
                f"{row.commands:.3f}",
            )
    console.print(table)
    with tempfile.TemporaryDirectory() as directory:
        found = await compare(Path(directory))
    table = Table(
        f"one sidecar, {_LOAD_PER_S:.0f} a second", "CPU, µs a request", "p50, ms", "p99, ms"
    )
    for name, cpu_us, p50_ms, p99_ms in found:
        table.add_row(name, f"{cpu_us:.0f}", f"{p50_ms:.2f}", f"{p99_ms:.1f}")
    console.print(table)


def main() -> None:
    """Run on an own event loop."""
    asyncio.run(measure(Console(width=110)))


if __name__ == "__main__":
    main()
