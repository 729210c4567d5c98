"""What a busy machine adds to the time that a test measures."""

import os
from contextlib import suppress
from pathlib import Path


def waited_s(*pids: int) -> float:
    """Return how long the main threads of this process and of others were ready to run, and waited for a processor.

    The kernel counts it (Documentation/scheduler/sched-stats.rst); 0 on a machine that does not.
    """
    return sum(map(_waited_s, (os.getpid(), *pids)))


def _waited_s(pid: int) -> float:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0
