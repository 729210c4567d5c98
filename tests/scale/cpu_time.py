"""CPU time of a command with all its processes, also those that no parent waits for."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engines.marked import Marked

_EVERY_S = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")


class Measured(Marked):
    """What a command took."""

    def __init__(self) -> None:
        super().__init__()
        self.wall_s = 0.0
        self._cpu_ticks: dict[tuple[str, str], int] = {}

    @property
    def cpu_s(self) -> float:
        """Return the user and system time of all processes. The last half second of a process may be missing."""
        return sum(self._cpu_ticks.values()) / _TICKS

    def sample(self) -> None:
        """Read what the processes have used so far."""
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                fields = (directory / "stat").read_text().rpartition(")")[2].split()
                process = (
                    directory.name,
                    fields[19],
                )  # a process id is used again: with its start time
                # A process that was only just forked has the environment of its parent still.
                if process in self._cpu_ticks or self.has(directory):
                    self._cpu_ticks[process] = int(fields[11]) + int(fields[12])
            except OSError:
                continue


@contextmanager
def measured(took: Measured) -> Iterator[None]:
    """Measure what runs meanwhile with the environment of `took`."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY_S):
            took.sample()

    watcher = threading.Thread(target=watch)
    began = time.monotonic()
    watcher.start()
    try:
        yield
    finally:
        took.wall_s = time.monotonic() - began
        ended.set()
        watcher.join()
