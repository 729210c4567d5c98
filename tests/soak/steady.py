"""One long life of a server under steady load, watched: nothing it holds may grow."""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

import argparse
import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.arguments import parser_of, positive, positive_int, require_known
from tests.endings import exit_with
from tests.processes import Server, server
from tests.sandbox.support import sandbox_process
from tests.soak.callers import Tally, Work, async_caller, guarded, sync_caller
from tests.soak.leaks import Growth, growths
from tests.soak.log_lines import unexplained
from tests.soak.samples import Sample, sample
from tests.soak.strays import strays

NUMBERS = (1, 7, 100, 1000)
"""Events of a stream: streams are short, so that many of them come and go."""
FAULTS = "429=0.01,503=0.01,reset=0.002"
_SAMPLES = 240
_FEWEST_SAMPLES = 80
_SHORTEST_S = 0.1
WARM_EVENTS = 40_000
"""A life is watched from so many events on: until then glibc's arenas reach their size (docs/testing/soak.md)."""
_WARM_WITHIN_S = 90.0
WATCHED_EVENTS = 30_000
"""A life is watched for so many events at least: on a busy machine, a kilobyte for each of fewer is less than the noise."""
_WATCHED_WITHIN_S = 120.0
_STRAY_PAUSE_S = 0.1
_INJECTED = Path(__file__).parent / "injected"
_LEAKS = ("memory", "descriptor", "task", "thread")


@dataclass
class Life:
    """What was seen of the server."""

    tally: Tally = field(default_factory=Tally)
    samples: list[Sample] = field(default_factory=list)
    exit_code: int = -1
    unexplained: list[str] = field(default_factory=list)

    @property
    def growths(self) -> list[Growth]:
        """Return the slopes of all resources."""
        return growths(self.samples)

    @property
    def faults(self) -> list[str]:
        """Return what went wrong."""
        found = [f"leak: {growth}" for growth in self.growths if growth.leaks]
        found += [f"log: {line}" for line in self.unexplained]
        found += self.tally.faults
        if self.exit_code != 0:
            found.append(f"exit code {self.exit_code}")
        if not self.growths:
            found.append("the life was too short to say anything")
        return found


def steady_life(
    seconds: float,
    seed: int,
    *,
    warm_events: int = WARM_EVENTS,
    leak: Mapping[str, str] | None = None,
    enough: threading.Event | None = None,
) -> Life:
    """Run a server and its callers for a time.

    Args:
        seconds: how long the server is watched. It is watched longer if it is slow.
        seed: of what the callers do.
        warm_events: how many events are answered before.
        leak: the leak to inject, as environment variables of tests/soak/injected.
        enough: ends the life early, in order.
    """
    life = Life()
    environment = dict(os.environ)
    if leak:
        environment |= {"PYTHONPATH": str(_INJECTED), **leak}
    with (
        sandbox_process(
            *("--keep", "100", "--fault", FAULTS, "--seed", str(seed)), process_group=0
        ) as customerio,
        server(
            *("--listen", "127.0.0.1:0", "--customerio-url", customerio.url),
            *("--delivery-rate", "100000", "--log-level", "warning", "--log-format", "json"),
            env=environment,
            process_group=0,
        ) as running,
    ):
        enough = enough or threading.Event()
        _call_and_watch(life, running, random.Random(seed), seconds, warm_events, enough)
        running.signal(signal.SIGTERM)
        life.exit_code, log = running.end()
        life.unexplained = unexplained(log)
    return life


def _call_and_watch(
    life: Life,
    running: Server,
    dice: random.Random,
    seconds: float,
    warm_events: int,
    enough: threading.Event,
) -> None:
    ended = threading.Event()
    callers = [
        threading.Thread(target=guarded, args=(life.tally, work))
        for work in _works(life.tally, running, dice, ended)
    ]
    for caller in callers:
        caller.start()
    try:
        _until_warm(running, warm_events, enough)
        began_at = time.monotonic()
        while not _watched(life.samples, time.monotonic() - began_at, seconds):
            life.samples.append(sample(running))
            if enough.wait(max(_SHORTEST_S, seconds / _SAMPLES)):
                break
    finally:
        ended.set()
        for caller in callers:
            caller.join()


def _watched(samples: list[Sample], passed_s: float, seconds: float) -> bool:
    """Return whether the time has passed, and enough was seen in it or in the most that is given."""
    if passed_s < seconds or len(samples) < _FEWEST_SAMPLES:
        return False
    return samples[-1].events - samples[0].events >= WATCHED_EVENTS or passed_s >= _WATCHED_WITHIN_S


def _until_warm(running: Server, events: int, enough: threading.Event) -> None:
    """Wait until so many events are answered, or until that takes too long."""
    give_up_at = time.monotonic() + _WARM_WITHIN_S
    while events and sample(running).events < events and time.monotonic() < give_up_at:
        if enough.wait(_SHORTEST_S):
            return


def _works(
    tally: Tally, running: Server, dice: random.Random, ended: threading.Event
) -> list[Work]:
    """Return what each caller does."""
    address = running.addresses[0]

    def sync_streams(*, deliver: bool) -> Work:
        own = random.Random(dice.random())
        return lambda: sync_caller(address, own, ended, tally, numbers=NUMBERS, deliver=deliver)

    def async_streams(*, deliver: bool) -> Work:
        own = random.Random(dice.random())
        return lambda: asyncio.run(
            async_caller(address, own, ended, tally, numbers=NUMBERS, deliver=deliver)
        )

    return [
        sync_streams(deliver=False),
        sync_streams(deliver=True),
        async_streams(deliver=False),
        async_streams(deliver=True),
        lambda: strays(address, running.admin, dice, ended, tally, _STRAY_PAUSE_S),
    ]


def main() -> int:
    """Run one life, and print what was seen of it. Return 1 if anything was wrong."""
    parser = parser_of(
        "tests.soak.steady",
        f"{__doc__}\n\nThe server is watched once it has answered {WARM_EVENTS:,} events, until it has answered"
        f" {WATCHED_EVENTS:,} more, but not longer than two minutes for that.",
    )
    parser.add_argument("seconds", type=positive, help="how long the server is watched")
    parser.add_argument(
        "leak",
        nargs="*",
        type=_name_and_value,
        metavar="NAME=VALUE",
        help=f"a leak to inject: LEAK={_LEAKS[0]} LEAK_BYTES=1024, or LEAK={'|'.join(_LEAKS[1:])}",
    )
    options = parser.parse_args()
    leak = dict(options.leak)
    require_known(parser, "name", list(leak), ("LEAK", "LEAK_BYTES"))
    require_known(parser, "leak", leak.get("LEAK", "").split(), _LEAKS)
    if ("LEAK_BYTES" in leak) != ("memory" in leak.get("LEAK", "").split()):
        parser.error("LEAK=memory and LEAK_BYTES belong together")
    life = steady_life(options.seconds, 1, leak=leak)
    first, last = life.samples[0], life.samples[-1]
    print(first, last, life.tally, *life.growths, *life.faults, sep="\n")
    print("FAILED" if life.faults else "passed: nothing grew, and every event was answered")
    return int(bool(life.faults))


def _name_and_value(text: str) -> tuple[str, str]:
    """Return both sides of NAME=VALUE. The number of LEAK_BYTES must be one."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    if name == "LEAK_BYTES":
        positive_int(value)
    return name, value


if __name__ == "__main__":
    exit_with(main)
