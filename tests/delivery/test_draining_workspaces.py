"""A server that drains sends nothing more, to any workspace, and gives up what is not answered in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from ciosidecar import v1
from ciosidecar_server.app import Sidecar
from ciosidecar_server.delivery.dispatcher import Dispatcher
from ciosidecar_server.delivery.job import Job
from ciosidecar_server.settings import Settings
from ciosidecar_transform.requests import BASE_URLS, Request, RequestTemplate
from grpc import aio

from tests.delivery.caller import Caller, caller, track
from tests.delivery.message import Message
from tests.delivery.moved_clock import MovedClock
from tests.fake_customerio import HOLD, WITHIN_S, FakeCustomerio, fake_customerio

KNOWN = b'{"siteID": "known", "apiKey": "key"}'
NEW = b'{"siteID": "new", "apiKey": "key"}'


@asynccontextmanager
async def delivering(
    customerio: FakeCustomerio, grace_s: float
) -> AsyncIterator[tuple[Sidecar, Caller]]:
    """A server in this process, and a caller of it with two workspaces."""
    sidecar = Sidecar(
        Settings(listen=("127.0.0.1:0",), customerio_url=customerio.url, grace_s=grace_s)
    )
    (address,) = await sidecar.start()
    try:
        async with (
            aio.insecure_channel(address) as channel,
            caller(v1.SidecarServiceStub(channel), KNOWN, NEW) as one,
        ):
            yield sidecar, one
    finally:
        await sidecar.stop_at_once()


async def test_a_workspace_that_is_first_used_while_draining_sends_nothing() -> None:
    """As little as those that have something in flight: both say DRAINING, and may be sent again."""
    async with (
        fake_customerio() as customerio,
        delivering(customerio, grace_s=10) as (sidecar, one),
    ):
        customerio.answers(then=HOLD)
        await one.send(1, track("1"))
        (request,) = await customerio.arrived(1)
        draining = asyncio.create_task(sidecar.drain())
        await asyncio.wait_for(one.drained.wait(), WITHIN_S)
        for batch_id, number in ((2, 1), (3, 2)):
            await one.send(batch_id, track("late", "u2"), number=number)
            told = await one.told(batch_id)
            assert (told.code, told.detail.error.retryable) == ("DRAINING", True)
        request.release()
        assert (await one.told(1)).status == 200
        await asyncio.wait_for(draining, WITHIN_S)
    assert len(customerio.requests) == 1


async def test_what_no_grace_is_left_for_comes_back_as_not_answered() -> None:
    """Its request is cut, whoever waits behind it is told that the server drains, and nothing is left open."""
    async with (
        fake_customerio() as customerio,
        delivering(customerio, grace_s=5) as (sidecar, one),
    ):
        customerio.answers(then=HOLD)
        await one.send(1, track("1"), track("2"))
        (request,) = await customerio.arrived(1)
        draining = asyncio.create_task(sidecar.drain())
        first, second = await one.told_all(1)
        assert (first.status, first.code) == (504, "UPSTREAM_TIMEOUT")
        assert second.code == "DRAINING"
        await asyncio.wait_for(draining, WITHIN_S)
        request.release()
        await asyncio.wait_for(customerio.all_closed(), WITHIN_S)


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "known"])
async def test_a_job_that_comes_to_a_workspace_after_the_drain_is_not_sent(*, is_new: bool) -> None:
    """An event that was transformed in a thread when the drain began: nothing stands between it and the workspace."""
    template = RequestTemplate("PUT", BASE_URLS["US"], "v1/customers", {})
    async with fake_customerio() as customerio:
        dispatcher = Dispatcher(Settings(customerio_url=customerio.url))
        if not is_new:
            dispatcher.workspace(template)
        dispatcher.drain(10)
        message = Message()
        request = Request(template, "/api/v1/customers/u1", b"{}")
        deadline = asyncio.get_running_loop().time() + 60
        dispatcher.workspace(template).submit([Job(request, ("u1",), deadline, message, 0)])
        outcome = await asyncio.wait_for(message.outcome, WITHIN_S)
        assert outcome.error is not None
        assert (outcome.status, str(outcome.error.code)) == (503, "DRAINING")
        await dispatcher.aclose()
        assert customerio.requests == []


@pytest.mark.parametrize(
    ("grace_s", "until_s"), [(100.0, 80.0), (5.0, 4.0), (2.0, 1.4), (0.6, 0.0), (0.0, 0.0)]
)
async def test_what_is_in_flight_is_given_up_before_the_grace_is_over(
    grace_s: float, until_s: float
) -> None:
    """A fifth of the grace is for the results, and 0.6 s at least."""
    clock = MovedClock()
    dispatcher = Dispatcher(Settings(), clock)
    dispatcher.drain(grace_s)
    assert dispatcher.draining
    assert clock.next_timer_in(1_000) == pytest.approx(until_s)
    await dispatcher.aclose()
