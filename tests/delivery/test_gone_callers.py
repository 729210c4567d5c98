"""What a caller that is gone leaves behind: nothing is sent for it any more, and no other caller waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from ciosidecar import v1
from ciosidecar_server.delivery.reporting import WorkspaceReporter

from tests.conftest import Connect, opened
from tests.delivery.caller import CONFIG, CONFIG_V2, Caller, caller, group, track
from tests.fake_customerio import (
    HOLD,
    OK,
    WITHIN_S,
    FakeCustomerio,
    Received,
    Reply,
    fake_customerio,
)

NO_EVENT = v1.BatchItem(json=b"no event")
LATER = Reply(503, headers={"Retry-After": "60"})


async def submitted(one: Caller, batch_id: int) -> None:
    """Wait until a batch is submitted whose last event is of another person, which nobody delays."""
    assert (await one.told(batch_id, 1)).status == 200


async def test_the_next_event_of_a_person_goes_when_the_caller_of_a_failed_one_is_gone(
    connect: Connect,
) -> None:
    """The event that waited for another attempt is forgotten; the one behind it does not wait for that attempt."""
    async with fake_customerio() as customerio:
        customerio.answers(LATER, then=OK)
        stub = await connect(customerio_url=customerio.url)
        async with caller(stub) as lost, caller(stub) as other:
            await lost.send(1, track("lost"), timeout_s=100)
            await customerio.arrived(1)
            await other.send(1, track("next"), track("other", "u2"), timeout_s=30)
            await submitted(other, 1)
            await lost.vanish()
            assert (await other.told(1)).status == 200
        assert sorted(customerio.names) == ["lost", "next", "other"]


@asynccontextmanager
async def shared_request(
    connect: Connect, customerio: FakeCustomerio, *, of_lost: int, of_other: int
) -> AsyncIterator[tuple[Caller, Caller, Received]]:
    """Two callers, and a request that is held and carries first events of the one, and then of the other."""
    # A stream of an earlier test may still end; `leave` counts those of this test.
    await until_writers(0)
    customerio.answers(HOLD, HOLD)
    # All events behind the first request come into the second one.
    stub = await connect(customerio_url=customerio.url, delivery_concurrency=1)
    async with caller(stub, CONFIG_V2) as lost, caller(stub, CONFIG_V2) as other:
        await other.send(1, group("first", "first"))
        (first,) = await customerio.arrived(1)
        for one, name, number in ((lost, "lost", of_lost), (other, "other", of_other)):
            await one.send(2, *(group(f"{name}{n}", f"{name}{n}") for n in range(number)), NO_EVENT)
            await one.told(2, number)
        first.release()
        _, shared = await customerio.arrived(2)
        assert len(shared.items) == of_lost + of_other
        yield lost, other, shared


async def leave(lost: Caller) -> None:
    """Cancel a caller's stream, and wait until the server has forgotten its events."""
    before = writers()
    await lost.vanish()
    await until_writers(before - 1)


async def until_writers(number: int) -> None:
    """Wait until no more than a number of the server's streams write results."""
    async with asyncio.timeout(WITHIN_S):
        while writers() > number:  # noqa: ASYNC110 - a state of the server
            await asyncio.sleep(0.005)


def writers() -> int:
    """The number of the server's streams that write results."""
    return sum("DeliveryWorker" in repr(task.get_coro()) for task in asyncio.all_tasks())


def objects(customerio: FakeCustomerio) -> list[list[str]]:
    """The ids of the objects in each request."""
    return [
        [item["identifiers"]["object_id"] for item in request.items]
        for request in customerio.requests
    ]


async def test_a_request_that_is_split_leaves_out_the_events_of_a_caller_that_is_gone(
    connect: Connect,
) -> None:
    """They are not sent again; the other caller's are."""
    async with (
        fake_customerio() as customerio,
        shared_request(connect, customerio, of_lost=2, of_other=2) as (lost, other, shared),
    ):
        await leave(lost)
        shared.release(Reply(413))
        assert [told.status for told in await other.told_all(2)] == [200, 200, 400]
        assert objects(customerio)[2:] == [["other0"], ["other1"]]


async def test_the_second_half_waits_for_every_event_of_the_first(connect: Connect) -> None:
    """One of the first half has ended with its caller; the other one is tried again before the second half goes."""
    async with (
        fake_customerio() as customerio,
        shared_request(connect, customerio, of_lost=1, of_other=3) as (lost, other, shared),
    ):
        customerio.answers(HOLD)
        shared.release(Reply(413))
        half = (await customerio.arrived(3))[2]
        await leave(lost)
        half.release(Reply(503))
        assert [told.status for told in await other.told_all(2)] == [200, 200, 200, 400]
        assert objects(customerio)[2:] == [["lost0", "other0"], ["other0"], ["other1", "other2"]]


async def test_the_second_half_goes_when_the_caller_of_the_first_is_gone(connect: Connect) -> None:
    """Nothing of the first half is tried again, so nothing is waited for."""
    async with (
        fake_customerio() as customerio,
        shared_request(connect, customerio, of_lost=2, of_other=2) as (lost, other, shared),
    ):
        customerio.answers(HOLD)
        shared.release(Reply(413))
        half = (await customerio.arrived(3))[2]
        await leave(lost)
        half.release(Reply(503))
        assert [told.status for told in await other.told_all(2)] == [200, 200, 400]
        assert objects(customerio)[2:] == [["lost0", "lost1"], ["other0", "other1"]]


async def test_a_fault_in_submission_leaves_nothing_behind(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs of the turn that failed are INTERNAL and not sent. When the caller is gone, nothing of the stream is left."""
    fed_by = WorkspaceReporter.fed_by

    def fail_once(self: WorkspaceReporter, destination_ref: str) -> None:
        monkeypatch.setattr(WorkspaceReporter, "fed_by", fed_by)
        raise RuntimeError("planted")

    await until_writers(0)
    async with fake_customerio() as customerio:
        customerio.answers(LATER, then=OK)
        stub = await connect(customerio_url=customerio.url)
        shop = v1.Destination(reference_id=1, destination_ref="shop", config_json=CONFIG)
        call, _ = await opened(stub, destinations=[shop], delivery=v1.DeliveryOptions())
        failing = Caller(call)
        async with caller(stub) as other:
            await failing.send(1, track("waiting"), timeout_s=100)
            await customerio.arrived(1)
            monkeypatch.setattr(WorkspaceReporter, "fed_by", fail_once)
            await failing.send(2, track("planted"), timeout_s=100)
            assert (await failing.told(2)).code == "INTERNAL"
            await failing.vanish()
            await until_writers(1)
            await other.send(1, track("next"))
            assert (await other.told(1)).status == 200
        assert customerio.names == ["waiting", "next"]
