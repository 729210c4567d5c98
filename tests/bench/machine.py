"""The machine that a run was measured on, and what else it did meanwhile."""

import datetime as dt
import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = ("grpcio", "protobuf", "msgspec", "aiohttp")
_ROOT = Path(__file__).parents[2]
NOISY = 0.1
"""Share of the processors from which on other work makes figures doubtful."""


class OtherWork:
    """What other processes took of the processors since this object was made.

    The processes that this process started count as other work until they have ended.
    """

    def __init__(self) -> None:
        self._began = _busy_s(), _own_s(), _total_s()

    def share(self) -> float:
        """Return the share of all processors, 0 to 1."""
        busy, own, total = _busy_s(), _own_s(), _total_s()
        elapsed = total - self._began[2]
        if elapsed <= 0:
            return 0.0
        others = (busy - self._began[0]) - (own - self._began[1])
        return min(1.0, max(0.0, others / elapsed))


def describe() -> dict[str, Any]:
    """Return the date, the commit, the processors and the versions that figures depend on."""
    git = ("git", "describe", "--always", "--dirty", "--exclude=*")
    commit = subprocess.run(git, cwd=_ROOT, check=False, capture_output=True, text=True)
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "commit": commit.stdout.strip() or "unknown",
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def sentence(machine: dict[str, Any], part: str, command: str) -> str:
    """Return what a reader must know of a part's figures: the command, the machine, and whether it was quiet."""
    day = dt.date.fromisoformat(machine["date"])
    versions = [f"Python {machine['python']}"]
    versions += [f"{name} {number}" for name, number in machine["packages"].items()]
    share = machine["other_work"][part]
    busy = f"Other work took {share:.0%} of the processors meanwhile"
    if share > NOISY:
        busy = f"**A noisy machine**: {busy[0].lower()}{busy[1:]}. Read the ratios, not the figures"
    return (
        f"`{command}`, {day.day} {day:%B %Y}, commit {machine['commit']}, {machine['processors']}"
        f" processors, {', '.join(versions)}. {busy}."
    )


def _busy_s() -> float:
    user, nice, system, _idle, _iowait, irq, softirq, *_ = _ticks()
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _total_s() -> float:
    # guest and guest_nice are counted in user and nice already.
    return sum(_ticks()[:8]) / os.sysconf("SC_CLK_TCK")


def _ticks() -> list[int]:
    line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    return [int(number) for number in line.split()[1:]]


def _own_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def log(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)
