"""Processes that are stopped, go on, are asked to end, and are killed, while events are delivered."""

import asyncio
import itertools
import signal
import time
from collections import Counter

import httpx
import pytest
from ciosidecar import v1
from grpc import aio

from tests.chaos.beside import (
    FAULTY,
    LOOPBACK,
    MAY_BE_SENT_AGAIN,
    code_of_a_call,
    event,
    healthy_beside,
    stream_to,
)
from tests.chaos.held import send_held
from tests.delivery.caller import item
from tests.fake_customerio import HOLD, OK, WITHIN_S, fake_customerio
from tests.processes import server
from tests.processor import waited_s
from tests.sandbox.support import AUTH, sandbox_process

pytestmark = pytest.mark.serial

EVENTS = 10
NUMBERS = range(1, EVENTS + 1)
LAST = 10_000
DEADLINE_S = 2.0
LATE_S = 3.0


async def test_a_sidecar_is_stopped_past_the_deadlines_and_goes_on() -> None:
    """Nothing is told delivered or refused that is not; nothing is sent twice; then it delivers as before."""
    async with fake_customerio() as customerio:
        arguments = (*LOOPBACK, "--customerio-url", customerio.url)
        with server(*arguments) as stopped, server(*arguments) as other:
            async with (
                healthy_beside(other.addresses[0]),
                stream_to(stopped.addresses[0]) as caller,
            ):
                customerio.rule = lambda request: HOLD if request.person != "healthy" else OK
                held = await send_held(caller, customerio, itertools.count(1), EVENTS)
                stopped.signal(signal.SIGSTOP)
                for request in held.requests[: EVENTS // 2]:
                    request.release()
                assert await code_of_a_call(stopped.addresses[0], deliver) in MAY_BE_SENT_AGAIN
                await asyncio.sleep(held.timeout_s)
                customerio.rule = lambda _request: OK
                stopped.signal(signal.SIGCONT)
                answered = {request.name for request in held.requests[: EVENTS // 2]}
                for number in held.numbers:
                    one = await caller.told(number)
                    assert one.status in ((200, 504) if f"E{number}" in answered else (504,))
                    assert one.status == 200 or one.detail.error.retryable
                await caller.send(LAST, event("after", "another"))
                assert (await caller.told(LAST)).status == 200
        arrivals = Counter(name for name in customerio.names if not name.startswith("Healthy"))
    assert arrivals.pop("the call", 0) <= 1  # forgotten with its caller, or sent
    assert {*(f"E{number}" for number in held.numbers), "after"} <= arrivals.keys()
    assert set(arrivals.values()) == {1}


async def deliver(channel: aio.Channel) -> None:
    """Deliver an event by a call of its own."""
    request = v1.DeliverRequest(
        destinations=[v1.Destination(reference_id=1, config_json=FAULTY)],
        batch=v1.Batch(destination=1, items=[item(event("the call", "of the call"))]),
    )
    await v1.SidecarServiceStub(channel).Deliver(request, timeout=1)


async def test_customerio_is_stopped_and_goes_on() -> None:
    """Deadlines hold, the other region is not held up, and what is sent again counts once."""
    async with fake_customerio() as other:
        with sandbox_process() as sandbox:
            urls = ("--customerio-url", sandbox.url, "--customerio-eu-url", other.url)
            with server(*LOOPBACK, *urls) as running:
                (address,) = running.addresses
                async with healthy_beside(address), stream_to(address) as caller:
                    sandbox.process.send_signal(signal.SIGSTOP)
                    pid = running.process.pid
                    began_at = time.monotonic() - waited_s(pid)
                    for number in NUMBERS:
                        sent = event(f"E{number}", f"u{number}")
                        await caller.send(number, sent, timeout_s=DEADLINE_S)
                    told = [await caller.told(number) for number in NUMBERS]
                    took_s = time.monotonic() - waited_s(pid) - began_at
                    assert took_s < DEADLINE_S + LATE_S
                    assert {one.status for one in told} <= {429, 503, 504}
                    assert all(one.detail.error.retryable for one in told)
                    sandbox.process.send_signal(signal.SIGCONT)
                    for number in NUMBERS:
                        again = item(event(f"E{number}", f"u{number}"), attempt=1)
                        await caller.send(EVENTS + number, again, timeout_s=WITHIN_S)
                    for number in NUMBERS:
                        assert (await caller.told(EVENTS + number)).status == 200
                kept = await events_of(sandbox.url)
    assert Counter(kept) == dict.fromkeys([f"E{number}" for number in NUMBERS], 1)


async def events_of(sandbox_url: str) -> list[str]:
    """Return the names of the events that a sandbox counts."""
    async with httpx.AsyncClient(base_url=sandbox_url, auth=AUTH) as programs:
        listed = (await programs.get("/sandbox/events")).json()
    return [one["name"] for one in listed["events"]]
