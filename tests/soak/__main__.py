"""`make soak`: everything at once. Every event is answered exactly once, in order, and nothing leaks.

Two servers run beside each other. Callers of both clients send batches of random sizes, cancel
streams, add destinations. The first server is drained, killed and started again under its callers.
The second one lives from begin to end, and delivers too (steady.py). What is checked: each caller
gets every event's answer once, in its order, with the right request; memory, descriptors, tasks and
threads do not grow with events, streams or time; the log has no line at warning or above that
nothing in the run explains.

Ctrl-C ends the run in order, without a verdict. The exit code is 1 if anything was wrong.
"""

from tests.early_interrupt import end_on_ctrl_c

if __name__ == "__main__":
    end_on_ctrl_c()  # before the imports, which take seconds

import asyncio
import json
import os
import random
import signal
import sys
import threading
from functools import partial
from typing import NamedTuple

from tests.arguments import parser_of, positive
from tests.endings import exit_with
from tests.processes import server
from tests.soak.callers import Tally, async_caller, guarded, sync_caller
from tests.soak.leaks import Growth, growths
from tests.soak.log_lines import unexplained
from tests.soak.samples import Sample, sample
from tests.soak.steady import Life, steady_life

CALLERS = 4


class ShortLife(NamedTuple):
    """A server that was drained or killed."""

    end: str
    exit_code: int
    samples: list[Sample]
    unexplained: list[str]

    @property
    def leaks(self) -> list[Growth]:
        """Return what leaked in it, if it was long enough to tell."""
        return [growth for growth in growths(self.samples) if growth.leaks]


def lives(address: str, dice: random.Random, callers_done: threading.Event) -> list[ShortLife]:
    """Run servers on one address, one after another, and watch each."""
    found = []
    while not callers_done.is_set():
        with server(
            *("--listen", address, "--grace", "5"),
            *("--log-level", "warning", "--log-format", "json"),
            process_group=0,
        ) as running:
            seconds = dice.choice((1, 5, 20, 60))
            samples = [sample(running) for _ in range(2 * seconds) if not callers_done.wait(0.5)]
            end = dice.choice((signal.SIGTERM, signal.SIGTERM, signal.SIGKILL))
            if callers_done.is_set():
                end = signal.SIGTERM
            running.signal(end)
            code, log = running.end()
            found.append(ShortLife(end.name, code, samples, unexplained(log)))
    return found


def main() -> int:
    """Run the soak, and print its results as JSON. Return 1 if anything was wrong."""
    parser = parser_of("tests.soak", __doc__)
    parser.add_argument("--minutes", type=positive, default=10, help="10 unless given")
    parser.add_argument(
        "--seed", type=int, default=7, help="of what the callers do; 7 unless given"
    )
    arguments = parser.parse_args()
    print(f"{arguments.minutes:g} minutes; the results are at their end", file=sys.stderr)
    dice = random.Random(arguments.seed)
    tally = Tally()
    address = f"unix:/tmp/ciosidecar-soak-{os.getpid()}.sock"
    ended: list[ShortLife] = []
    lives_dice, *callers_dice = (random.Random(dice.random()) for _ in range(CALLERS + 1))
    ended_calls, callers_done = threading.Event(), threading.Event()
    enough = threading.Event()
    timer = threading.Timer(arguments.minutes * 60, ended_calls.set)
    timer.start()
    serving = threading.Thread(
        target=lambda: ended.extend(lives(address, lives_dice, callers_done))
    )
    steady: list[Life] = []
    watching = threading.Thread(
        target=lambda: steady.append(
            steady_life(arguments.minutes * 60, arguments.seed, enough=enough)
        )
    )
    serving.start()
    watching.start()

    def sync_work(own: random.Random) -> None:
        sync_caller(address, own, ended_calls, tally)

    def async_work(own: random.Random) -> None:
        asyncio.run(async_caller(address, own, ended_calls, tally))

    callers = [
        threading.Thread(
            target=guarded, args=(tally, partial(async_work if number % 2 else sync_work, own))
        )
        for number, own in enumerate(callers_dice)
    ]
    for caller in callers:
        caller.start()
    try:
        _wait_for(callers, callers_done, serving, watching)
    except KeyboardInterrupt:
        # A second one would leave the servers behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("\nending: the callers finish their streams, within a minute", flush=True)
        timer.cancel()
        ended_calls.set()
        enough.set()
        _wait_for(callers, callers_done, serving, watching)
        raise
    return report(tally, ended, steady)


def _wait_for(
    callers: list[threading.Thread],
    callers_done: threading.Event,
    serving: threading.Thread,
    watching: threading.Thread,
) -> None:
    """Wait for the callers, and then for their servers."""
    for caller in callers:
        caller.join()
    callers_done.set()
    serving.join()
    watching.join()


def report(tally: Tally, ended: list[ShortLife], steady: list[Life]) -> int:
    """Print the results. Return 1 if anything was wrong."""
    faults = [
        f"{life.end}: exit code {life.exit_code}"
        for life in ended
        if life.end == "SIGTERM" and life.exit_code != 0
    ]
    faults += [f"leak in a short life: {growth}" for life in ended for growth in life.leaks]
    faults += [f"log: {line}" for life in ended for line in life.unexplained]
    faults += tally.faults
    faults += [fault for life in steady for fault in life.faults]
    if not steady or tally.answered == 0:
        faults.append("a part of the run did not run")
    samples = [one for short in ended for one in short.samples]
    samples += [one for life in steady for one in life.samples]
    print(
        json.dumps(
            {
                "answered": tally.answered,
                "streams": tally.streams,
                "cancelled": tally.cancelled,
                "reconnects": tally.reconnects,
                "servers": len(ended),
                "killed": sum(life.end == "SIGKILL" for life in ended),
                "peak_memory_mb": round(
                    max((one.memory_bytes for one in samples), default=0) / 1e6
                ),
                "steady": [
                    {
                        "answered": life.tally.answered,
                        "streams": life.tally.streams,
                        "strays": life.tally.strays,
                        "growths": [str(growth) for growth in life.growths],
                    }
                    for life in steady
                ],
                "faults": faults[:20],
            },
            indent=1,
        )
    )
    return int(bool(faults))


if __name__ == "__main__":
    exit_with(main)
