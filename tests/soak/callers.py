"""The callers of the soak: streams of both Python clients, and what else calls and connects."""

import asyncio
import json
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ciosidecar import AsyncClient, Client, StreamOptions

Work = Callable[[], None]
_CONNECT_WITHIN_S = 60.0
"""A server that was killed needs some time to be there again, on a busy machine more."""
_CONFIG = {"siteID": "site", "apiKey": "key"}
CONFIG_JSON = json.dumps(_CONFIG).encode()
NUMBERS = (1, 7, 100, 1000, 5000, 20_000)
"""How many events a stream may have."""


@dataclass
class Tally:
    """Results of the callers."""

    answered: int = 0
    streams: int = 0
    cancelled: int = 0
    reconnects: int = 0
    strays: int = 0
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

    def __init__(
        self, dice: random.Random, numbers: Sequence[int] = NUMBERS, *, deliver: bool = False
    ) -> None:
        """Draw a stream.

        Args:
            dice: decides.
            numbers: how many events the stream may have.
            deliver: whether the server delivers them.
        """
        self.deliver = deliver
        self.number = dice.choice(numbers)
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
        if self.deliver:
            return None
        name = json.loads(answer.result.requests[0].body)["name"]
        return None if name == f"E{index}" else f"{name} where E{index} was due"


def sync_caller(
    address: str, dice: random.Random, ended: threading.Event, tally: Tally, **planning: Any
) -> None:
    """Run streams of the synchronous client, one after another. planning: as `Plan` takes it."""
    while not ended.is_set():
        plan = Plan(dice, **planning)
        with (
            Client(address, connect_timeout_s=_CONNECT_WITHIN_S) as client,
            client.stream(options=plan.options, deliver=plan.deliver) as stream,
        ):
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


async def async_caller(
    address: str, dice: random.Random, ended: threading.Event, tally: Tally, **planning: Any
) -> None:
    """Run streams of the asynchronous client, one after another. planning: as `Plan` takes it."""
    while not ended.is_set():
        plan = Plan(dice, **planning)
        seen = 0
        async with (
            AsyncClient(address, connect_timeout_s=_CONNECT_WITHIN_S) as client,
            client.stream(options=plan.options, deliver=plan.deliver) as stream,
        ):

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


def guarded(tally: Tally, work: Work) -> None:
    """Do the work of a caller. Its failure is a fault of the run."""
    try:
        work()
    except Exception as failure:  # noqa: BLE001 - whatever it is
        tally.fault(f"caller: {type(failure).__name__}: {failure}")
