"""The transform in both API versions, packing included: the cost of v2 relative to v1."""

import json
import time
from collections import defaultdict

from ciosidecar_transform import (
    BatchTransform,
    Destination,
    DynamicDestination,
    RequestList,
    read_destination,
)
from rich.console import Console
from rich.table import Table

from .events import CONFIG, events

EVENTS = 10_000
SIZES = (100, 1000, 10_000)
API_VERSIONS = ("v1", "v2")


def api_versions_alone(rounds: int = 7) -> dict[str, dict[str, float]]:
    """Measure the CPU of an event of the mix in µs, by API version and events a message.

    The best of several rounds, in which the cases take turns: a noisy minute falls on all of them.
    """
    mix = [event for _, event in events(EVENTS)]
    to = {api_version: _destination(api_version) for api_version in API_VERSIONS}
    best: dict[str, dict[str, float]] = defaultdict(dict)
    for _ in range(rounds):
        for size in SIZES:
            for api_version, destination in to.items():
                micros = _cpu_s(mix, size, destination) / len(mix) * 1e6
                before = best[api_version].get(str(size), micros)
                best[api_version][str(size)] = min(before, micros)
    return dict(best)


def show(found: dict[str, dict[str, float]]) -> None:
    """Print the results as a table."""
    table = Table("events a message", title="transform and packing, µs an event")
    for api_version in API_VERSIONS:
        table.add_column(api_version, justify="right")
    table.add_column("v2 / v1", justify="right")
    for size in map(str, SIZES):
        v1, v2 = (found[api_version][size] for api_version in API_VERSIONS)
        table.add_row(size, f"{v1:.1f}", f"{v2:.1f}", f"{v2 / v1:.2f}")
    Console().print(table)


def _destination(api_version: str) -> Destination | DynamicDestination:
    config = json.loads(CONFIG) | {"apiVersion": api_version}
    destination, problems = read_destination(json.dumps(config).encode())
    assert destination is not None, problems
    return destination


def _cpu_s(mix: list[bytes], size: int, destination: Destination | DynamicDestination) -> float:
    start = time.process_time()
    for first in range(0, len(mix), size):
        batch = BatchTransform(1_772_600_000, RequestList())
        for position, event in enumerate(mix[first : first + size]):
            batch.add(position, event, destination)
        batch.flush()
    return time.process_time() - start


if __name__ == "__main__":
    show(api_versions_alone())
