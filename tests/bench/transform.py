"""The transform alone, in a hot loop: by kind of event, API version and events a message.

    .venv/bin/python -m tests.bench.transform

Prints its figures as JSON, for the implementation that CIOSIDECAR_NATIVE demands. `--only transform` runs it once for
each implementation, because a process has one.
"""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from ciosidecar_transform import (
    BatchTransform,
    Destination,
    DynamicDestination,
    RequestList,
    read_destination,
)

from .events import CONFIG, events
from .implementations import ENVIRONMENTS, LABELS, installed
from .machine import log
from .server_process import SERVER_CORE
from .tables import Table

EVENTS = 10_000
SIZES = (100, 1_000, 10_000)
API_VERSIONS = ("v1", "v2")
_ROOT = Path(__file__).parents[2]
_WITHIN_S = 300
_TURNS = 3


def transform_alone(rounds: int = 3) -> dict[str, float]:
    """Measure the CPU of an event of each kind in µs, the best of several rounds of v1."""
    by_kind: dict[str, list[bytes]] = defaultdict(list)
    for kind, event in events(EVENTS):
        by_kind[kind].append(event)
    by_kind["mix"] = [event for _, event in events(EVENTS)]
    destination = _destination("v1")
    return {
        kind: min(_cpu_us(found, 100, destination) for _ in range(rounds))
        for kind, found in by_kind.items()
    }


def api_versions_alone(rounds: int = 3) -> dict[str, dict[str, float]]:
    """Measure the CPU of an event of the mix in µs, packing included, by API version and events a message.

    The best of several rounds, in which the cases take turns: a noisy minute falls on all of them.
    """
    mix = [event for _, event in events(EVENTS)]
    to = {api_version: _destination(api_version) for api_version in API_VERSIONS}
    best: dict[str, dict[str, float]] = defaultdict(dict)
    for _ in range(rounds):
        for size in SIZES:
            for api_version, destination in to.items():
                cpu_us = _cpu_us(mix, size, destination)
                before = best[api_version].get(str(size), cpu_us)
                best[api_version][str(size)] = min(before, cpu_us)
    return dict(best)


def measure() -> dict[str, Any]:
    """Measure every installed implementation, each in a process of its own."""
    found: dict[str, Any] = {}
    # In turns, so that a noisy minute falls on all of them.
    for name in installed() * _TURNS:
        log(f"transform: {LABELS[name]}")
        command = ["taskset", "--cpu-list", str(SERVER_CORE), sys.executable]
        run = subprocess.run(
            [*command, "-m", "tests.bench.transform"],
            cwd=_ROOT,
            env=os.environ | ENVIRONMENTS[name],
            check=True,
            stdout=subprocess.PIPE,
            timeout=_WITHIN_S,
            process_group=0,  # Ctrl-C at the terminal reaches the bench alone
        )
        figures = json.loads(run.stdout)
        found[name] = _lowest(found[name], figures) if name in found else figures
    return found


def _lowest(one: Any, other: Any) -> Any:
    """Return the lower number of two in each place of figures of the same shape."""
    if isinstance(one, dict):
        return {key: _lowest(value, other[key]) for key, value in one.items()}
    return min(one, other)


def tables(found: dict[str, Any]) -> list[Table]:
    """Return the tables of what `measure` returned."""
    names = [name for name in LABELS if name in found]
    kinds = list(found["python"]["by_kind_us"])
    alone = [
        [LABELS[name], *(f"{found[name]['by_kind_us'][kind]:.1f}" for kind in kinds)]
        for name in names
    ]
    packed = []
    for size in map(str, SIZES):
        packed.append([f"{int(size):,}"])
        for name in names:
            v1, v2 = (found[name]["by_api_version_us"][version][size] for version in API_VERSIONS)
            packed[-1] += [f"{v1:.1f}", f"{v2:.1f}", f"{v2 / v1:.2f}"]
    header = [f"{LABELS[name]}, {what}" for name in names for what in ("v1", "v2", "v2 / v1")]
    return [
        Table("the transform alone, v1, in µs an event", ["", *kinds], alone),
        Table("the mix, with packing, in µs an event", ["events a message", *header], packed),
    ]


def _destination(api_version: str) -> Destination | DynamicDestination:
    config = json.loads(CONFIG) | {"apiVersion": api_version}
    destination, problems = read_destination(json.dumps(config).encode())
    assert destination is not None, problems
    return destination


def _cpu_us(found: list[bytes], size: int, destination: Destination | DynamicDestination) -> float:
    start = time.process_time()
    for first in range(0, len(found), size):
        batch = BatchTransform(1_772_600_000, RequestList())
        for position, event in enumerate(found[first : first + size]):
            batch.add(position, event, destination)
        batch.flush()
    return (time.process_time() - start) / len(found) * 1e6


if __name__ == "__main__":
    figures = {"by_kind_us": transform_alone(), "by_api_version_us": api_versions_alone()}
    print(json.dumps(figures))
