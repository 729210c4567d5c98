"""Events that Customer.io holds while a fault is injected."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.beside import event
from tests.delivery.caller import Caller
from tests.fake_customerio import FakeCustomerio, Received

DEADLINES_S = (1.5, 3.0, 6.0, 12.0)
"""The time limits that events are given. A busy machine may not send them within the first."""


@dataclass(frozen=True)
class Held:
    """Events in flight, a batch each."""

    numbers: tuple[int, ...]
    """The numbers of their batches."""
    requests: tuple[Received, ...]
    timeout_s: float
    """The time limit of each."""
    began_at: float
    """The monotonic time before they were sent."""


async def send_held(
    caller: Caller, customerio: FakeCustomerio, numbers: Iterator[int], many: int = 1
) -> Held:
    """Send events, each with the name `E` and its batch's number, until Customer.io holds so many that are not told.

    The rule of Customer.io MUST hold them. If the time of one is over before all have arrived, other events are sent, with
    twice the time.
    """
    for timeout_s in DEADLINES_S:
        chosen = tuple(next(numbers) for _ in range(many))
        began_at = time.monotonic()
        for number in chosen:
            await caller.send(number, event(f"E{number}", f"u{number}"), timeout_s=timeout_s)
        arriving = asyncio.ensure_future(_requests_of(customerio, chosen))
        ending = [asyncio.ensure_future(caller.told(number)) for number in chosen]
        await asyncio.wait((arriving, *ending), return_when=asyncio.FIRST_COMPLETED)
        if not any(caller.knows(number) for number in chosen):
            requests = await arriving
            for told in ending:
                told.cancel()
            return Held(chosen, requests, timeout_s, began_at)
        arriving.cancel()
        await asyncio.gather(*ending)
    raise AssertionError(f"{many} events were not sent within {timeout_s} s")


async def _requests_of(
    customerio: FakeCustomerio, numbers: tuple[int, ...]
) -> tuple[Received, ...]:
    """Return the requests of events, once all are there."""
    names = {f"E{number}" for number in numbers}
    while True:
        found = tuple(request for request in customerio.requests if request.name in names)
        if len(found) == len(names):
            return found
        await customerio.arrived(len(customerio.requests) + 1)
