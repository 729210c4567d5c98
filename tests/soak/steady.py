"""One long life of a server under steady load, watched: nothing it holds may grow."""

import asyncio
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import Server, server
from tests.sandbox.support import sandbox_process
from tests.soak.callers import Tally, async_caller, sync_caller
from tests.soak.leaks import Growth, growths
from tests.soak.log_lines import unexplained
from tests.soak.samples import Sample, sample
from tests.soak.strays import strays

NUMBERS = (1, 7, 100, 300)
"""Events of a stream: streams are short, so that many of them come and go."""
FAULTS = "429=0.01,503=0.01,reset=0.002"
_SAMPLES = 240
_SHORTEST_S = 0.1
_STRAY_PAUSE_S = 0.1
_INJECTED = Path(__file__).parent / "injected"
Work = Callable[[], None]


@dataclass
class Life:
    """What was seen of the server."""

    tally: Tally = field(default_factory=Tally)
    samples: list[Sample] = field(default_factory=list)
    exit_code: int = -1
    unexplained: list[str] = field(default_factory=list)

    @property
    def growths(self) -> list[Growth]:
        """The slopes of all resources."""
        return growths(self.samples)

    @property
    def faults(self) -> list[str]:
        """What went wrong."""
        found = [f"leak: {growth}" for growth in self.growths if growth.leaks]
        found += [f"log: {line}" for line in self.unexplained]
        found += self.tally.faults
        if self.exit_code != 0:
            found.append(f"exit code {self.exit_code}")
        if not self.growths:
            found.append("the life was too short to say anything")
        return found


def steady_life(seconds: float, seed: int, **leak: str) -> Life:
    """Run a server and its callers for a time.

    Args:
        seconds: how long.
        seed: of what the callers do.
        leak: the leak to inject, as environment variables of tests/soak/injected.
    """
    life = Life()
    environment = dict(os.environ)
    if leak:
        environment |= {"PYTHONPATH": str(_INJECTED), **leak}
    with (
        sandbox_process("--keep", "100", "--fault", FAULTS, "--seed", str(seed)) as customerio,
        server(
            *("--listen", "127.0.0.1:0", "--customerio-url", customerio.url),
            *("--delivery-rate", "100000", "--log-level", "warning", "--log-format", "json"),
            env=environment,
        ) as running,
    ):
        _call_and_watch(life, running, random.Random(seed), seconds)
        running.signal(signal.SIGTERM)
        life.exit_code, log = running.end()
        life.unexplained = unexplained(log)
    return life


def _call_and_watch(life: Life, running: Server, dice: random.Random, seconds: float) -> None:
    until = time.monotonic() + seconds
    callers = [
        threading.Thread(target=_call, args=(life.tally, work))
        for work in _works(life.tally, running, dice, until)
    ]
    for caller in callers:
        caller.start()
    every_s = max(_SHORTEST_S, seconds / _SAMPLES)
    while time.monotonic() < until:
        life.samples.append(sample(running))
        time.sleep(every_s)
    for caller in callers:
        caller.join()


def _works(tally: Tally, running: Server, dice: random.Random, until: float) -> list[Work]:
    """Return what each caller does."""
    address = running.addresses[0]

    def sync_streams(*, deliver: bool) -> Work:
        own = random.Random(dice.random())
        return lambda: sync_caller(address, own, until, tally, numbers=NUMBERS, deliver=deliver)

    def async_streams(*, deliver: bool) -> Work:
        own = random.Random(dice.random())
        return lambda: asyncio.run(
            async_caller(address, own, until, tally, numbers=NUMBERS, deliver=deliver)
        )

    return [
        sync_streams(deliver=False),
        sync_streams(deliver=True),
        async_streams(deliver=False),
        async_streams(deliver=True),
        lambda: strays(address, running.admin, dice, until, tally, _STRAY_PAUSE_S),
    ]


def _call(tally: Tally, work: Work) -> None:
    try:
        work()
    except Exception as failure:  # noqa: BLE001 - a caller that fails is a fault of the run
        tally.fault(f"caller: {type(failure).__name__}: {failure}")


def main() -> None:
    """Run one life: `python -m tests.soak.steady SECONDS [NAME=VALUE…]`."""
    leak = dict(argument.split("=", 1) for argument in sys.argv[2:])
    life = steady_life(float(sys.argv[1]), 1, **leak)
    first, last = life.samples[0], life.samples[-1]
    print(first, last, life.tally, *life.growths, *life.faults, sep="\n")
    sys.exit(bool(life.faults))


if __name__ == "__main__":
    main()
