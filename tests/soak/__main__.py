"""`make soak`: ten minutes of everything at once, and every event answered exactly once, in order.

Callers of both clients send batches of random sizes, cancel streams, add destinations; the server is
drained, killed and started again under them. What is checked: each caller gets every event's answer
once, in its order, with the right request; the server's memory at the end of a life stays flat.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ciosidecar import AsyncClient, Client, StreamOptions

from tests.processes import Server, server

CALLERS = 4
_CONFIG = {"siteID": "site", "apiKey": "key"}


@dataclass
class Tally:
    """Results of the callers."""

    answered: int = 0
    streams: int = 0
    cancelled: int = 0
    reconnects: int = 0
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **found: int) -> None:
        """Count something."""
        with self.lock:
            for name, number in found.items():
                setattr(self, name, getattr(self, name) + number)

    def fault(self, text: str) -> None:
        """Note a failure."""
        with self.lock:
            self.faults.append(text)


class Plan:
    """The events of one stream, reproducible so that each answer can be checked."""

    def __init__(self, dice: random.Random) -> None:
        self.number = dice.choice((1, 7, 100, 1000, 5000, 20_000))
        self.options = StreamOptions(
            max_batch_events=dice.choice((1, 20, 200, 1000)),
            linger_s=dice.choice((0.0, 0.002, 0.02)),
            max_outstanding_events=dice.choice((50, 1000, 10_000)),
            reconnect_for_s=60,
        )
        self.cancel_after = dice.randrange(self.number) if dice.random() < 0.2 else None
        self.destinations = dice.choice((1, 3, 50))
        self.name = f"{dice.getrandbits(40):x}"
        self._padding = "x" * dice.choice((0, 100, 2000))

    def event(self, index: int) -> bytes:
        """Return the event at a position of the stream."""
        return (
            b'{"type":"track","messageId":"%s-%d","userId":"%s","event":"E%d","properties":{"p":"%s"}}'
            % (self.name.encode(), index, self.name.encode(), index, self._padding.encode())
        )

    def destination(self, index: int) -> dict[str, str]:
        """Return the destination of that event."""
        return _CONFIG | {"siteID": f"site-{index % self.destinations}"}

    def check(self, index: int, answer: Any) -> str | None:
        """Return what is wrong with an answer, if anything."""
        if answer.attachment != index:
            return f"answer {answer.attachment} where {index} was due"
        if answer.result.status != 200:
            return f"status {answer.result.status}: {answer.result.error}"
        name = json.loads(answer.result.requests[0].body)["name"]
        return None if name == f"E{index}" else f"{name} where E{index} was due"


def sync_caller(address: str, dice: random.Random, until: float, tally: Tally) -> None:
    """Run streams of the synchronous client, one after another."""
    while time.monotonic() < until:
        plan = Plan(dice)
        with Client(address) as client, client.stream(options=plan.options) as stream:
            sending = threading.Thread(target=_send_all, args=(stream, plan))
            sending.start()
            seen = 0
            for answer in stream:
                if problem := plan.check(seen, answer):
                    tally.fault(f"sync {plan.name}: {problem}")
                    break
                seen += 1
                if seen == plan.cancel_after:
                    break
            whole = seen == plan.number
            tally.add(answered=seen, streams=1, reconnects=stream.reconnects)
        sending.join()
        _conclude(plan, "sync", seen, tally, whole=whole)


def _send_all(stream: Any, plan: Plan) -> None:
    try:
        for index in range(plan.number):
            stream.send(plan.event(index), index, destination=plan.destination(index))
        stream.finish()
    except Exception:  # noqa: BLE001 - the stream was closed under it, as planned
        pass


async def async_caller(address: str, dice: random.Random, until: float, tally: Tally) -> None:
    """Run streams of the asynchronous client, one after another."""
    while time.monotonic() < until:
        plan = Plan(dice)
        seen = 0
        async with AsyncClient(address) as client, client.stream(options=plan.options) as stream:

            async def feed(stream: Any = stream, plan: Plan = plan) -> None:
                for index in range(plan.number):
                    await stream.send(plan.event(index), index, destination=plan.destination(index))
                stream.finish()

            feeding = asyncio.create_task(feed())
            async for answer in stream:
                if problem := plan.check(seen, answer):
                    tally.fault(f"async {plan.name}: {problem}")
                    break
                seen += 1
                if seen == plan.cancel_after:
                    break
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            tally.add(answered=seen, streams=1, reconnects=stream.reconnects)
        _conclude(plan, "async", seen, tally, whole=seen == plan.number)


def _conclude(plan: Plan, kind: str, seen: int, tally: Tally, *, whole: bool) -> None:
    if whole:
        return
    if plan.cancel_after is not None and seen == plan.cancel_after:
        tally.add(cancelled=1)
    else:
        tally.fault(f"{kind} {plan.name}: {seen} answers to {plan.number} events")


def memory_mb(running: Server) -> float:
    """Return the resident memory of the server."""
    pages = int(Path(f"/proc/{running.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def lives(
    address: str, dice: random.Random, callers_done: threading.Event
) -> list[tuple[str, int, list[float]]]:
    """Run servers on one address, one after another; note each end, exit code and memory by second."""
    found = []
    while not callers_done.is_set():
        with server("--listen", address, "--grace", "5", "--log-level", "error") as running:
            seconds = range(dice.choice((1, 5, 20, 60)))
            memory = [memory_mb(running) for _ in seconds if not callers_done.wait(1)]
            end = dice.choice((signal.SIGTERM, signal.SIGTERM, signal.SIGKILL))
            if callers_done.is_set():
                end = signal.SIGTERM
            running.signal(end)
            code, errors = running.end()
            found.append((end.name, code, memory))
            if errors:
                print(errors, file=sys.stderr)
    return found


def main() -> None:
    """Run the soak, print its results as one line of JSON, and fail if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    tally = Tally()
    until = time.monotonic() + arguments.minutes * 60
    address = f"unix:/tmp/ciosidecar-soak-{os.getpid()}.sock"
    ended: list[tuple[str, int, list[float]]] = []
    lives_dice, *callers_dice = (random.Random(dice.random()) for _ in range(CALLERS + 1))
    callers_done = threading.Event()
    serving = threading.Thread(
        target=lambda: ended.extend(lives(address, lives_dice, callers_done))
    )
    serving.start()
    callers = [
        threading.Thread(target=sync_caller, args=(address, one, until, tally))
        for one in callers_dice[: CALLERS // 2]
    ]
    for caller in callers:
        caller.start()

    async def async_callers() -> None:
        await asyncio.gather(
            *(async_caller(address, one, until, tally) for one in callers_dice[CALLERS // 2 :])
        )

    asyncio.run(async_callers())
    for caller in callers:
        caller.join()
    callers_done.set()
    serving.join()
    report(tally, ended)


def report(tally: Tally, ended: list[tuple[str, int, list[float]]]) -> None:
    """Print the results, and exit with 1 if anything was wrong."""
    bad_ends = [(name, code) for name, code, _ in ended if name == "SIGTERM" and code != 0]
    long_lives = [memory for _, _, memory in ended if len(memory) >= 20]
    growth = [
        statistics.median(memory[-5:]) / statistics.median(memory[5:10]) for memory in long_lives
    ]
    print(
        json.dumps(
            {
                "answered": tally.answered,
                "streams": tally.streams,
                "cancelled": tally.cancelled,
                "reconnects": tally.reconnects,
                "servers": len(ended),
                "killed": sum(name == "SIGKILL" for name, _, _ in ended),
                "bad_exit_codes": bad_ends,
                "peak_memory_mb": round(max(max(memory, default=0) for _, _, memory in ended)),
                "memory_growth_within_a_life": [round(one, 2) for one in growth],
                "faults": tally.faults[:20],
            }
        )
    )
    sys.exit(bool(tally.faults or bad_ends or tally.answered == 0))


if __name__ == "__main__":
    main()
