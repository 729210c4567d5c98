"""A million events through every engine and through the server: the same requests, and the time that each took.

CIOSIDECAR_SCALE_EVENTS is another number of events.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engines.backfill_events import Outcomes, backfilled, transformed, write_lines
from tests.processes import COMMAND
from tests.scale.cpu_time import Measured, measured

EVENTS = int(os.environ.get("CIOSIDECAR_SCALE_EVENTS", "1_000_000"))
TIMEOUT_S = 3600
ENGINES = ("local", "ray", "spark")


def main() -> None:
    """Print the table, a row as soon as it is measured. Fails if any result differs."""
    with tempfile.TemporaryDirectory(prefix="ciosidecar-scale-") as name:
        directory = Path(name)
        events = directory / "events.jsonl"
        write_lines(events, EVENTS)
        cpus = len(os.sched_getaffinity(0))
        print(
            f"{EVENTS:,} events, {events.stat().st_size / EVENTS:.0f} bytes each, {cpus} CPUs, load {_load()}"
        )
        _row("way", "wall s", "CPU s", "events/s", "CPU µs/event", "results", "load")
        with _running("plain loop") as way:
            way.run(
                sys.executable,
                "-m",
                "tests.engines.plain_loop",
                str(events),
                str(directory / "loop"),
            )
        of_server = directory / "server.jsonl"
        with _running("server, one stream") as way:
            way.run(*COMMAND, "transform", str(events), output=of_server)
            expected = transformed(of_server)
            way.results = f"{len(expected):,} lines"
        for engine in ENGINES:
            with _running(f"backfill, {engine}") as way:
                output = directory / engine
                way.run(
                    *COMMAND,
                    "backfill",
                    str(events),
                    "--engine",
                    engine,
                    "--output",
                    str(output),
                    exit_code=1,
                )
                way.results = _compared(expected, backfilled(output))


class _Way:
    """A way to transform the events, and what it took."""

    def __init__(self) -> None:
        self.took = Measured()
        self.results = "-"

    def run(self, *command: str, output: Path | None = None, exit_code: int = 0) -> None:
        """Run a command and measure it with all its processes."""
        with (
            tempfile.TemporaryFile() as errors,
            (output or Path(os.devnull)).open("wb") as out,
            measured(self.took),
        ):
            done = subprocess.run(
                command,
                stdout=out,
                stderr=errors,
                timeout=TIMEOUT_S,
                check=False,
                env=self.took.environment(),
            )
            if done.returncode != exit_code:
                errors.seek(0)
                sys.exit(f"{command}: {done.returncode}\n{errors.read().decode()}")


@contextmanager
def _running(name: str) -> Iterator[_Way]:
    way = _Way()
    yield way
    took = way.took
    _row(
        name,
        f"{took.wall_s:.0f}",
        f"{took.cpu_s:.0f}",
        f"{EVENTS / took.wall_s:,.0f}",
        f"{took.cpu_s / EVENTS * 1e6:.0f}",
        way.results,
        _load(),
    )


def _compared(expected: Outcomes, found: Outcomes) -> str:
    differences = expected.differences(found)
    if differences:
        sys.exit(
            f"{len(differences):,} results differ from the server's, as those of lines {differences[:5]}"
        )
    return "as the server's"


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _row(*cells: str) -> None:
    print(
        f"| {cells[0]:<20} | " + " | ".join(f"{cell:>13}" for cell in cells[1:]) + " |", flush=True
    )
