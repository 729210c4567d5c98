"""SIGTERM while events are in delivery: what is in flight is waited for, the rest comes back, nothing is lost."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from ciosidecar import v1
from grpc import aio

from tests.delivery.caller import CONFIG, CONFIG_V2, Caller, caller, group, track
from tests.fake_customerio import (
    HOLD,
    WITHIN_S,
    FakeCustomerio,
    Reply,
    fake_customerio,
)
from tests.processes import Server, server


@asynccontextmanager
async def delivering_process(
    customerio: FakeCustomerio, *arguments: str, config: bytes = CONFIG
) -> AsyncIterator[tuple[Server, Caller]]:
    """A server in a process of its own, and a caller of it."""
    listen = (
        "--listen",
        "127.0.0.1:0",
        "--customerio-url",
        customerio.url,
        # Warnings tell of the failures that these tests cause.
        "--log-level",
        "error",
    )
    with server(*listen, *arguments) as process:
        async with (
            aio.insecure_channel(process.addresses[0]) as channel,
            caller(v1.SidecarServiceStub(channel), config) as one,
        ):
            yield process, one


async def ended(process: Server) -> tuple[int, str]:
    """Exit code and stderr; Customer.io answers meanwhile."""
    return await asyncio.wait_for(asyncio.to_thread(process.end), WITHIN_S)


async def test_what_is_in_flight_finishes_and_the_rest_comes_back() -> None:
    """In flight: delivered, and said so. Not sent: 503 DRAINING, also what comes in later. Exit code 0."""
    async with (
        fake_customerio() as customerio,
        delivering_process(customerio, "--grace-s", "10") as (process, one),
    ):
        customerio.answers(then=HOLD)
        await one.send(1, track("1", "u1"), track("1", "u2"), track("2", "u1"), track("2", "u2"))
        requests = await customerio.arrived(2)
        process.signal(signal.SIGTERM)
        await asyncio.wait_for(one.drained.wait(), WITHIN_S)
        for position in (2, 3):
            told = await one.told(1, position)
            assert (told.status, told.code, told.delivery.attempts) == (503, "DRAINING", 0)
            assert told.detail.error.retryable
        await one.send(2, track("late", "u3"))
        assert (await one.told(2)).code == "DRAINING"
        assert not one.knows(1, 0)
        for request in requests:
            request.release()
        assert [told.status for told in await one.told_all(1)] == [200, 200, 503, 503]
        assert await one.ended() is grpc.StatusCode.OK
        assert await ended(process) == (0, "")
        assert len(customerio.requests) == 2


async def test_what_outlasts_the_grace_is_not_reported_delivered() -> None:
    """It comes back as not answered, in time, and the process ends within the grace."""
    async with (
        fake_customerio() as customerio,
        delivering_process(customerio, "--grace-s", "5") as (process, one),
    ):
        customerio.answers(then=HOLD)
        await one.send(1, track("1"), track("2"))
        await customerio.arrived(1)
        process.signal(signal.SIGTERM)
        first, second = await one.told_all(1)
        assert (first.status, first.code) == (504, "UPSTREAM_TIMEOUT")
        assert first.detail.error.retryable
        assert second.code == "DRAINING"
        assert await one.ended() is grpc.StatusCode.OK
        assert await ended(process) == (0, "")


async def test_a_failure_while_draining_is_not_tried_again() -> None:
    """It comes back at once with the real status."""
    async with (
        fake_customerio() as customerio,
        delivering_process(customerio, "--grace-s", "10") as (process, one),
    ):
        customerio.answers(then=HOLD)
        await one.send(1, track("1"))
        (request,) = await customerio.arrived(1)
        process.signal(signal.SIGTERM)
        await asyncio.wait_for(one.drained.wait(), WITHIN_S)
        request.release(Reply(429))
        told = await one.told(1)
        assert (told.status, told.delivery.attempts) == (429, 1)
        assert await ended(process) == (0, "")
        assert len(customerio.requests) == 1


async def test_what_waits_for_another_try_comes_back_with_what_it_met() -> None:
    """An event that failed before the signal says so; the events behind it are blocked by it."""
    async with (
        fake_customerio() as customerio,
        delivering_process(customerio, "--grace-s", "10") as (process, one),
    ):
        customerio.answers(Reply(503, headers={"Retry-After": "10"}), then=HOLD)
        await one.send(1, track("1", "u1"), track("2", "u1"))
        await customerio.arrived(1)
        await one.send(2, track("1", "u2"))
        (_, other) = await customerio.arrived(2)
        process.signal(signal.SIGTERM)
        first, second = await one.told_all(1)
        assert (first.status, first.delivery.http_status) == (503, 503)
        assert (second.status, second.blocked_by) == (503, (1, 0))
        other.release()
        assert (await one.told(2)).status == 200
        assert await ended(process) == (0, "")


async def test_a_refused_batch_is_not_taken_apart_any_more() -> None:
    """What would have to be sent again comes back as not delivered."""
    async with (
        fake_customerio() as customerio,
        delivering_process(customerio, "--grace-s", "10", config=CONFIG_V2) as (process, one),
    ):
        customerio.answers(then=HOLD)
        await one.send(1, *(group(f"u{number}", f"g{number}") for number in range(4)))
        (request,) = await customerio.arrived(1)
        process.signal(signal.SIGTERM)
        await asyncio.wait_for(one.drained.wait(), WITHIN_S)
        request.release(Reply(413))
        assert {(told.status, told.code) for told in await one.told_all(1)} == {(503, "DRAINING")}
        assert await ended(process) == (0, "")
        assert len(customerio.requests) == 1
