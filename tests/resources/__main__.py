"""The long form: `python -m tests.resources` prints the tables of docs/testing/resources.md."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.resources import scenarios
from tests.resources.growth import growth, table
from tests.resources.hostile import KINDS

SIZE = 131_072

SCENARIOS: dict[str, Callable[[], Coroutine[Any, Any, scenarios.Figures]]] = {
    "20 events nested 100,000 deep": lambda: scenarios.nested(100_000),
    "an event of a million keys": lambda: scenarios.keys(1_000_000),
    "a Struct of a million keys, where an event may have them": lambda: scenarios.struct_keys(
        1_000_000
    ),
    "a Struct of a million keys, by default": lambda: scenarios.struct_keys_too_many(1_000_000),
    "10,000 idle streams": lambda: scenarios.idle_streams(10_000),
    "100 readers that never read": lambda: scenarios.readers_that_never_read(100),
    "1,000 connections with half a frame": lambda: scenarios.half_open_connections(1_000),
    "1,000 destinations on one stream, an event each": lambda: scenarios.destinations(1, 1_000),
    "10,000 destinations on one stream, an event each": lambda: scenarios.destinations(1, 10_000),
    "30,000 destinations on three streams, an event each": lambda: scenarios.destinations(
        3, 10_000
    ),
    "100,000 destinations on ten streams, an event each": lambda: scenarios.destinations(
        10, 10_000
    ),
}


def main() -> None:
    """Print both tables."""
    print("| scenario | memory | others' p99 | others' longest | CPU time |")
    print("|---|---|---|---|---|")
    for name, run in SCENARIOS.items():
        found = asyncio.run(run())
        print(
            f"| {name} | {found.grown_bytes / 1e6:,.0f} MB | {found.p99_s * 1e3:,.0f} ms"
            f" | {found.longest_s * 1e3:,.0f} ms | {found.cpu_s:.1f} s |",
            flush=True,
        )
    print()
    print(table([growth(name, make, SIZE) for name, make in KINDS.items()]))


if __name__ == "__main__":
    main()
