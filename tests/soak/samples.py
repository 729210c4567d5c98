"""What a server holds at a moment: memory, descriptors and threads by /proc, tasks by its admin port."""

import os
import re
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tests.processes import Server

_TIMEOUT_S = 120
"""On a busy machine, a server of 100,000 workspaces needs more than 20 seconds to add them up."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LINE = re.compile(r"^(ciosidecar_\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


class Sample(NamedTuple):
    """What a server held, and what it had done until then."""

    at_s: float
    memory_bytes: int
    descriptors: int
    threads: int
    tasks: float
    events: float
    """Events that had their result."""
    streams: float
    """Streams that had opened."""

    @property
    def hours(self) -> float:
        """Return the time of the sample in hours."""
        return self.at_s / 3600


def sample(running: Server) -> Sample:
    """Return what a server holds now.

    Raises:
        OSError: the server does not answer, or is gone.
    """
    process = Path(f"/proc/{running.process.pid}")
    metrics = metrics_of(running.admin)
    return Sample(
        time.monotonic(),
        int((process / "statm").read_text().split()[1]) * _PAGE_BYTES,
        len(list((process / "fd").iterdir())),
        len(list((process / "task").iterdir())),
        metrics["ciosidecar_event_loop_tasks"],
        metrics["ciosidecar_events_total"],
        metrics["ciosidecar_streams_opened_total"],
    )


def metrics_of(admin: str) -> dict[str, float]:
    """Return the metrics of a server, each added up over its labels."""
    with urllib.request.urlopen(f"{admin}/metrics", timeout=_TIMEOUT_S) as answer:
        text = answer.read().decode()
    sums: dict[str, float] = {"ciosidecar_events_total": 0.0}
    for name, value in _LINE.findall(text):
        sums[name] = sums.get(name, 0.0) + float(value)
    return sums
