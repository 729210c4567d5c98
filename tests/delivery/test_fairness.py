"""Workspaces that share a stream: whatever is wrong with some of them, the others have their part of the stream."""

import asyncio
import json
from base64 import b64encode

import pytest

from tests.conftest import Connect, Stub
from tests.delivery.caller import Caller, caller, delivering, track
from tests.fake_customerio import (
    GONE,
    HOLD,
    OK,
    Answer,
    Received,
    Reply,
    fake_customerio,
)

MAX_OUTSTANDING = 500
ROUNDS = 8

TROUBLES: dict[str, tuple[Answer, set[int]]] = {
    "throttled with Retry-After": (Reply(429, headers={"Retry-After": "5"}), {429}),
    "throttled": (Reply(429), {429}),
    "failing": (Reply(503), {503}),
    "refused credentials": (Reply(401), {503}),
    "hanging": (HOLD, {504}),
    "slow": (HOLD, {200, 504}),
    "nobody there": (GONE, {504}),
    "closed": (GONE, {504}),
    "unreadable": (Reply(207, b"<html>"), {503}),
}
"""What each is answered, and what its events may come back with."""
SLOW_S = 1.5


def config(name: str) -> bytes:
    """The destination of that name. Nobody is there in the EU."""
    region = {"datacenter": "EU"} if name == "nobody there" else {}
    return json.dumps({"siteID": name, "apiKey": "key"} | region).encode()


def rule(request: Received) -> Answer:
    """Answers as the trouble has it; slow ones late."""
    for name, (answer, _) in TROUBLES.items():
        if request.headers["authorization"] == _authorization(name):
            if name == "slow":
                asyncio.get_running_loop().call_later(SLOW_S, _release, request)
            return answer
    return OK


def _release(request: Received) -> None:
    request.release(OK)


def _authorization(name: str) -> str:
    return "Basic " + b64encode(f"{name}:key".encode()).decode()


async def _flood(one: Caller, troubles: list[str]) -> None:
    """Rounds of a hundred events for each one in trouble, and then a few for the good one."""
    for turn in range(ROUNDS):
        for number in range(1, len(troubles) + 1):
            events = [track("1", f"u{turn}-{n}", messageId=f"{turn}-{n}") for n in range(100)]
            await one.send(100 * turn + number, *events, number=number, timeout_s=60)
        events = [track("1", f"u{turn}-{n}") for n in range(5)]
        await one.send(100 * turn + 99, *events, number=len(troubles) + 1, timeout_s=60)


@pytest.mark.parametrize(
    "troubles", [*([name] for name in TROUBLES), list(TROUBLES)], ids=[*TROUBLES, "all at once"]
)
async def test_the_good_one_goes_on(
    connect: Connect, caplog: pytest.LogCaptureFixture, troubles: list[str]
) -> None:
    """Its events are delivered while what the others may not hold comes back to the caller, each as its trouble says."""
    async with fake_customerio() as nobody:
        nobody_there = nobody.url
    async with fake_customerio() as customerio:
        customerio.rule = rule
        stub: Stub = await connect(
            customerio_url=customerio.url,
            customerio_eu_url=nobody_there,
            max_outstanding_events=MAX_OUTSTANDING,
            delivery_concurrency=20,
        )
        names = [*troubles, "good"]
        async with caller(stub, *map(config, names)) as one:
            async with asyncio.timeout(40):
                flood = asyncio.ensure_future(_flood(one, troubles))
                for turn in range(ROUNDS):
                    told = await one.told_all(100 * turn + 99)
                    assert [each.status for each in told] == [200] * 5
                await flood
            for number, name in enumerate(troubles, 1):
                statuses = {
                    (await one.told(100 * turn + number, position)).status
                    for turn in range(ROUNDS)
                    for position in range(100)
                    if one.knows(100 * turn + number, position)
                }
                assert statuses
                # If the machine stops the event loop for a second, any workspace seems to hang.
                stalled = {504} if "the event loop is slow" in caplog.text else set()
                assert statuses <= TROUBLES[name][1] | stalled, name


async def test_what_is_over_the_share_comes_back_with_retry_after(connect: Connect) -> None:
    """Of two destinations one is throttled: it holds a tenth of the stream's limit, and the rest is told how long to wait."""
    async with (
        fake_customerio() as customerio,
        delivering(
            connect,
            customerio,
            config("throttled with Retry-After"),
            config("good"),
            max_outstanding_events=MAX_OUTSTANDING,
        ) as one,
    ):
        customerio.rule = rule
        await one.send(1, track("1", "first"), number=1)
        await customerio.arrived(1)
        # The good one's answer comes after the throttled one's.
        await one.send(2, track("1", "first"), number=2)
        await one.told(2)
        await one.send(3, *(track("1", f"u{n}") for n in range(200)), number=1)
        told = [await one.told(3, position) for position in range(60, 200)]
        assert {(each.status, each.code) for each in told} == {(429, "THROTTLED")}
        assert all(3 < (each.retry_after_s or 0) <= 5 for each in told)
        assert {each.delivery.attempts for each in told} == {0}
        assert not any(one.knows(3, position) for position in range(40))


async def test_a_destination_alone_on_its_stream_may_have_all_of_it(connect: Connect) -> None:
    """Nobody else is harmed: what is throttled waits, and the caller is read no further."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, max_outstanding_events=MAX_OUTSTANDING) as one,
    ):
        customerio.answers(Reply(429, headers={"Retry-After": "2"}))
        for batch_id in range(1, 7):
            await one.send(batch_id, *(track("1", f"u{batch_id}-{n}") for n in range(100)))
        for batch_id in range(1, 7):
            assert {told.status for told in await one.told_all(batch_id)} == {200}


async def test_workspaces_that_hang_do_not_take_all_connections(connect: Connect) -> None:
    """Half of them are for those that answer."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url, max_connections=20)
        hanging = [json.dumps({"siteID": "hanging", "apiKey": f"key-{n}"}) for n in range(10)]
        keys = [b64encode(f"hanging:key-{n}".encode()).decode() for n in range(10)]
        customerio.rule = lambda request: (
            HOLD if request.headers["authorization"].removeprefix("Basic ") in keys else OK
        )
        async with caller(stub, *(each.encode() for each in hanging), config("good")) as one:
            await one.send(11, track("1", "u0"), number=11)
            assert (await one.told(11)).status == 200
            for number in range(1, 11):
                await one.send(number, *(track("1", f"u{n}") for n in range(20)), number=number)
            await customerio.arrived(11)
            for batch_id in range(20, 30):
                await one.send(batch_id, track("1", f"u{batch_id}"), number=11)
                assert (await one.told(batch_id)).status == 200
            hold = [r for r in customerio.requests if r.headers["authorization"][6:] in keys]
            assert len(hold) <= 10


async def test_a_workspace_that_has_not_answered_yet_gets_a_thousand_events_at_a_time(
    connect: Connect,
) -> None:
    """What is sent into the unknown is bounded in events, too: one request of v2 carries up to a thousand."""
    silent = json.dumps({"siteID": "silent", "apiKey": "key", "apiVersion": "v2"}).encode()
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, silent, config("good")) as one,
    ):
        of_silent = {"authorization": _authorization("silent")}
        held = [HOLD] * 2
        customerio.rule = lambda request: (
            held.pop() if held and of_silent.items() <= request.headers.items() else OK
        )
        await one.send(1, *(track("1", f"u{number}") for number in range(3_000)))
        await customerio.arrived(1)
        await one.send(2, track("1"), number=2)
        assert (await one.told(2)).status == 200
        requests = [request for request in customerio.requests if request.path.endswith("/batch")]
        assert 0 < sum(len(request.items) for request in requests) < 2_000
        for request in requests:
            request.release()
        assert {told.status for told in await one.told_all(1)} == {200}
