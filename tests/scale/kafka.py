"""Events from a real Kafka: what the example costs, and minutes of random kills.

MINUTES=10 in the environment makes the kills last longer than three minutes.
"""

import os
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.engines.kafka.broker import Broker, broker
from tests.engines.kafka.example import example, flags
from tests.engines.kafka.killing import Load, cpu_s, disturbed
from tests.engines.kafka.topics import make_topic, tracks
from tests.processes import server
from tests.sandbox.support import sandbox_process

_PARTITIONS = 4
_PER_S = 400
_PEOPLE = 400
_PAUSE_S = (2.0, 8.0)
_WITHIN_S = 600
_KEEP = ("--keep", "1000000")


def main() -> None:
    """Run both, and print their tables."""
    with (
        tempfile.TemporaryDirectory() as directory,
        broker(Path(directory)) as kafka,
    ):
        _show("undisturbed", *_undisturbed(kafka, Path(directory), people=1000, each=30))
        _show(
            "random kills", *_kills(kafka, Path(directory), float(os.environ.get("MINUTES", "3")))
        )


def _undisturbed(
    kafka: Broker, directory: Path, *, people: int, each: int
) -> tuple[list[str], list[str]]:
    """Measure a topic that is full, from the first record to the last commit."""
    topic, dead_letters = make_topic(kafka.address, _PARTITIONS), make_topic(kafka.address)
    topic.write(tracks(people, each))
    events, ends, group = people * each, topic.ends(), f"group-{topic.name}"
    rate = ("--delivery-rate", "10000", "--log-level", "error")
    with (
        sandbox_process(*_KEEP) as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url, *rate) as sidecar,
        example(directory, *flags(topic, dead_letters, sidecar.addresses[0])) as running,
    ):
        running.says("assigned")
        pids = (running.process.pid, sidecar.process.pid)
        before, began = [cpu_s(pid) for pid in pids], time.monotonic()
        running.until(lambda: topic.committed(group) == ends, within_s=_WITHIN_S)
        after, seconds = [cpu_s(pid) for pid in pids], time.monotonic() - began
    example_us, sidecar_us = ((b - a) / events * 1e6 for a, b in zip(before, after, strict=True))
    return (
        ["events", "seconds", "events/s", "CPU of the example, µs an event", "of the sidecar"],
        [
            f"{events:,}",
            f"{seconds:.1f}",
            f"{events / seconds:,.0f}",
            f"{example_us:.0f}",
            f"{sidecar_us:.0f}",
        ],
    )


def _kills(kafka: Broker, directory: Path, minutes: float) -> tuple[list[str], list[str]]:
    """Let events flow for some minutes while the example and the sidecar end and start again."""
    topic, dead_letters = make_topic(kafka.address, _PARTITIONS), make_topic(kafka.address)
    load = Load(
        people=_PEOPLE,
        each=round(minutes * 60 * _PER_S / _PEOPLE),
        per_s=_PER_S,
        kills=round(minutes * 60 / (sum(_PAUSE_S) / 2)),
        every_s=_PAUSE_S,
        seed=14,
        within_s=_WITHIN_S,
    )
    with sandbox_process(*_KEEP) as sandbox:
        outcome = disturbed(topic, dead_letters, sandbox.url, directory, load)
    for problem in outcome.problems:
        print(f"PROBLEM: {problem}")
    if outcome.problems or outcome.events != load.people * load.each:
        raise SystemExit("events are missing, came out of order, or were committed too early")
    return (
        [
            *("events", "arrivals", "repeats", *outcome.kills),
            *("seconds", "longest pause, s", "CPU of the example, µs an event"),
        ],
        [
            *(f"{outcome.events:,}", f"{outcome.arrivals:,}"),
            f"{outcome.arrivals - outcome.events:,}",
            *map(str, outcome.kills.values()),
            *(f"{outcome.seconds:.0f}", f"{outcome.longest_pause_s:.1f}"),
            f"{outcome.cpu_s / outcome.events * 1e6:.0f}",
        ],
    )


def _show(title: str, names: list[str], values: list[str]) -> None:
    table = Table("figure", "value", title=title)
    for row in zip(names, values, strict=True):
        table.add_row(*row)
    Console(width=80).print(table)


if __name__ == "__main__":
    main()
