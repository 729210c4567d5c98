"""Every event by its own deadline: no caller's haste is another one's loss."""

import time

from tests.conftest import Connect
from tests.delivery.caller import CONFIG_V2, caller, delivering, identify, item, track
from tests.fake_customerio import HOLD, OK, Reply, fake_customerio


async def test_a_shared_request_is_not_cut_for_one_of_its_events(connect: Connect) -> None:
    """The event whose time is over comes back 504 then; the other one's request is answered, and sent once."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url, delivery_concurrency=1)
        async with caller(stub, CONFIG_V2) as hasty, caller(stub, CONFIG_V2) as patient:
            customerio.rule = lambda _request: HOLD
            # While this one is out, the others gather.
            await patient.send(1, item(track("first", "u0"), dont_batch=True))
            (first,) = await customerio.arrived(1)
            sent_at = time.monotonic()
            await hasty.send(1, track("hasty", "u1"), timeout_s=3)
            await patient.send(2, track("patient", "u2"), {"type": "unknown"}, timeout_s=15)
            await patient.told(2, 1)
            first.release()
            shared = (await customerio.arrived(2))[1]
            assert [each["name"] for each in shared.items] == ["hasty", "patient"]
            told = await hasty.told(1)
            assert 2.9 < time.monotonic() - sent_at < 10
            assert (told.status, told.code) == (504, "UPSTREAM_TIMEOUT")
            assert (told.delivery.attempts, told.detail.error.retryable) == (1, True)
            shared.release()
            told = await patient.told(2)
            assert (told.status, told.delivery.attempts) == (200, 1)
            assert len(customerio.requests) == 2


async def test_what_follows_it_in_the_same_request_comes_back_with_it(connect: Connect) -> None:
    """A later event of the same person must not stand while the earlier one is sent again."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2, delivery_concurrency=1) as one,
    ):
        customerio.rule = lambda _request: HOLD
        await one.send(1, item(track("first", "u0"), dont_batch=True))
        (first,) = await customerio.arrived(1)
        await one.send(2, identify("u1", step=1), timeout_s=3)
        await one.send(3, identify("u1", step=2), identify("u2", step=1), {"type": "unknown"})
        await one.told(3, 2)
        first.release()
        shared = (await customerio.arrived(2))[1]
        assert len(shared.items) == 3
        assert (await one.told(2)).code == "UPSTREAM_TIMEOUT"
        told = await one.told(3)
        assert (told.code, told.blocked_by) == ("BLOCKED", (2, 0))
        assert told.delivery.attempts == 1
        assert "Customer.io may have received it" in told.detail.error.message
        customerio.rule = lambda _request: OK
        # Sent again, both wait for the request that is still out.
        await one.send(4, item(identify("u1", step=1), attempt=1), timeout_s=15)
        await one.send(5, item(identify("u1", step=2), attempt=1), timeout_s=15)
        shared.release()
        assert (await one.told(3, 1)).status == 200
        assert ((await one.told(4)).status, (await one.told(5)).status) == (200, 200)
        steps = [each["attributes"]["step"] for r in customerio.requests[2:] for each in r.items]
        assert steps == [1, 2]


async def test_a_request_is_cut_when_nobody_waits_any_more(connect: Connect) -> None:
    """The person's next event goes out then, and not only when the request's own time is over."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, request_timeout_s=300) as one,
    ):
        customerio.answers(HOLD)
        await one.send(1, track("1"), timeout_s=1)
        assert (await one.told(1)).code == "UPSTREAM_TIMEOUT"
        await one.send(2, item(track("1"), attempt=1))
        assert (await one.told(2)).status == 200


async def test_a_deadline_does_not_count_against_the_workspace(connect: Connect) -> None:
    """After ten events whose callers did not wait, as many requests as before may be under way."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.rule = lambda _request: HOLD
        await one.send(1, *(track("1", f"u{number}") for number in range(10)), timeout_s=1)
        assert {told.code for told in await one.told_all(1)} == {"UPSTREAM_TIMEOUT"}
        await one.send(2, *(track("1", f"v{number}") for number in range(20)))
        requests = await customerio.arrived(30)
        assert len(requests[-1].beside) >= 19
        for request in requests[10:]:
            request.release()
        assert {told.status for told in await one.told_all(2)} == {200}


async def test_a_failure_after_the_deadline_is_tried_again_for_the_others(
    connect: Connect,
) -> None:
    """Without the event that was answered already."""
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, CONFIG_V2, delivery_concurrency=1) as one,
    ):
        customerio.rule = lambda _request: HOLD
        await one.send(1, item(track("first", "u0"), dont_batch=True))
        (first,) = await customerio.arrived(1)
        await one.send(2, track("hasty", "u1"), timeout_s=3)
        await one.send(3, track("patient", "u2"), {"type": "unknown"}, timeout_s=15)
        await one.told(3, 1)
        first.release()
        shared = (await customerio.arrived(2))[1]
        assert (await one.told(2)).status == 504
        customerio.rule = lambda _request: OK
        shared.release(Reply(503))
        told = await one.told(3)
        assert (told.status, told.delivery.attempts) == (200, 2)
        assert [each["name"] for each in customerio.requests[2].items] == ["patient"]


async def test_an_event_whose_time_is_over_on_arrival_is_not_sent(connect: Connect) -> None:
    """It comes back 504 without an attempt, and a later event of the person does not wait for it."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        await one.send(1, track("late"), timeout_s=0)
        told = await one.told(1)
        assert (told.code, told.delivery.attempts) == ("UPSTREAM_TIMEOUT", 0)
        await one.send(2, item(track("next"), attempt=1))
        assert (await one.told(2)).status == 200
        assert customerio.names == ["next"]


async def test_events_whose_time_is_over_as_they_are_sent_hold_no_later_event(
    connect: Connect,
) -> None:
    """A time limit that passes while the batch is transformed ends requests that have hardly begun."""
    people = [f"u{number}" for number in range(100)]
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        for turn in range(3):
            await one.send(
                2 * turn + 1, *(track("hasty", user) for user in people), timeout_s=0.001
            )
            await one.told_all(2 * turn + 1)
            await one.send(
                2 * turn + 2, *(item(track("later", user), attempt=1) for user in people)
            )
            assert {told.status for told in await one.told_all(2 * turn + 2)} == {200}
