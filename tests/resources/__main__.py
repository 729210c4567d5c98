"""The long form: print the tables of docs/testing/resources.md.

    .venv/bin/python -m tests.resources ["100 readers that never read" ...]

With the names of scenarios, only those run, and the growth of CPU time is not measured. A scenario that does not end in
its time has a row that says so, and the exit code is 1.
"""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.arguments import parser_of, require_known
from tests.endings import exit_with
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


def main() -> int:
    """Print both tables, or what the named scenarios take. Return 1 if a scenario did not end."""
    parser = parser_of("tests.resources", __doc__)
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help="; ".join(SCENARIOS))
    names = parser.parse_args().names
    require_known(parser, "scenario", names, SCENARIOS)
    print("| scenario | memory | others' p99 | others' longest | CPU time |")
    print("|---|---|---|---|---|")
    unended = 0
    for name in names or SCENARIOS:
        try:
            found = asyncio.run(SCENARIOS[name]())
        except TimeoutError:
            print(f"| {name} | did not end in time | | | |", flush=True)
            unended += 1
            continue
        print(
            f"| {name} | {found.grown_bytes / 1e6:,.0f} MB | {found.p99_s * 1e3:,.0f} ms"
            f" | {found.longest_s * 1e3:,.0f} ms | {found.cpu_s:.1f} s |",
            flush=True,
        )
    if not names:
        print()
        print(table([growth(name, make, SIZE) for name, make in KINDS.items()]))
    return int(unended > 0)


if __name__ == "__main__":
    exit_with(main)
