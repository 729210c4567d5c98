"""Fail if the server's CPU an event, relative to the echo's, is worse than recorded by more than a quarter.

    .venv/bin/python -m tests.bench.guard           check; exit code 1 if it is worse
    .venv/bin/python -m tests.bench.guard --write   record the ratios of now, on a machine that does nothing else

The ratios stand in tests/bench/guard.json. They belong to a version of Python and of gRPC, so record them again when
those change, or when a change of the server is meant to cost more. Other work on the machine only adds CPU time, so
the lowest of many short rounds counts, of the echo and of the server in turns. As long as the ratio is too high, more
rounds are added, up to a limit.
"""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from tests.arguments import parser_of

from . import load, machine
from .endings import exit_when_interrupted
from .events import events
from .implementations import ECHO, ENVIRONMENTS, LABELS, SERVE, installed
from .server_process import ServerProcess

RECORDED = Path(__file__).parent / "guard.json"
WORSE_BY = 0.25
"""Share above the recorded ratio that is accepted."""
_SIZE = 100
_EVENTS = {"echo": 4_000, "compiled": 2_000, "python": 2_000}
_ROUNDS, _ATTEMPTS = 12, 5
_ROUNDS_TO_RECORD = 100


class Lowest:
    """The lowest server CPU in µs an event so far, of the echo and of one implementation."""

    def __init__(self) -> None:
        self._cpu_us: dict[str, float] = {}

    def add(self, name: str, cpu_us: float) -> None:
        """Take a round into account."""
        self._cpu_us[name] = min(cpu_us, self._cpu_us.get(name, cpu_us))

    def ratio(self, name: str) -> float:
        """Return the ratio of an implementation to the echo."""
        return self._cpu_us[name] / self._cpu_us["echo"]


async def measure(
    name: str, *, good_enough: float = 0.0, attempts: int = _ATTEMPTS, rounds: int = _ROUNDS
) -> float:
    """Measure the ratio of an implementation to the echo, with more rounds while it is not good enough."""
    lowest = Lowest()
    mix = [event for _, event in events(max(_EVENTS.values()))]
    with ExitStack() as stack:
        echo = stack.enter_context(ServerProcess(*ECHO))
        sidecar = ServerProcess(*SERVE, environment=ENVIRONMENTS[name])
        servers = {"echo": echo, name: stack.enter_context(sidecar)}
        for number in range(attempts):
            await _rounds(servers, mix, rounds, lowest)
            machine.log(f"guard: {LABELS[name]}, attempt {number + 1}: {lowest.ratio(name):.2f}")
            if lowest.ratio(name) <= good_enough:
                break
    return lowest.ratio(name)


async def _rounds(
    servers: dict[str, ServerProcess], mix: Sequence[bytes], rounds: int, lowest: Lowest
) -> None:
    for _ in range(rounds):
        for name, server in servers.items():
            figures = await load.stream(server, mix[: _EVENTS[name]], _SIZE, 1)
            lowest.add(name, figures.server_cpu_us_per_event)


def recorded(file: Path = RECORDED) -> dict[str, float]:
    """Return the recorded ratios by implementation."""
    ratios: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))["ratio_to_echo"]
    return ratios


def check(name: str, ratio: float, before: float) -> str | None:
    """Return what to do about a ratio that is worse than accepted, or None."""
    if ratio <= before * (1 + WORSE_BY):
        return None
    return (
        f"{LABELS[name]}: an event costs {ratio:.2f} times what it costs the echo, recorded are {before:.2f}:"
        f" {ratio / before - 1:.0%} more, accepted are {WORSE_BY:.0%}. Find what got slower with"
        " `make bench-compare BASE=main`. If it is meant, or Python or gRPC changed:"
        " `.venv/bin/python -m tests.bench.guard --write`"
    )


async def checked(name: str, before: float) -> str | None:
    """Measure an implementation, and return what to do if it is worse than accepted, or None."""
    ratio = await measure(name, good_enough=before * (1 + WORSE_BY))
    return check(name, ratio, before)


async def _record(names: Sequence[str]) -> None:
    other_work = machine.OtherWork()
    ratios = recorded() if RECORDED.exists() else {}
    for name in names:
        ratio = await measure(name, attempts=1, rounds=_ROUNDS_TO_RECORD)
        ratios[name] = round(ratio, 2)
    found: dict[str, Any] = {"ratio_to_echo": ratios, "machine": machine.describe()}
    RECORDED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if (share := other_work.share()) > machine.NOISY:
        machine.log(f"other work took {share:.0%} of the processors: record again when it is quiet")


async def _check(names: Sequence[str]) -> list[str]:
    before = recorded()
    found = [await checked(name, before[name]) for name in names]
    return [words for words in found if words]


def main() -> None:
    """Check, or record."""
    parser = parser_of("tests.bench.guard", __doc__)
    parser.add_argument("--write", action="store_true", help="record the ratios of now")
    record = parser.parse_args().write
    with exit_when_interrupted():
        if record:
            uvloop.run(_record(installed()))
        else:
            sys.exit("\n".join(uvloop.run(_check(installed()))) or 0)


if __name__ == "__main__":
    main()
