"""How long to wait before another try: full jitter, or what Retry-After asks for."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from ciosidecar_server.delivery.endpoints import TrackApiEndpoints
from ciosidecar_server.delivery.job import Job, State
from ciosidecar_server.delivery.retry import (
    FIRST_DELAY_S,
    MAX_DELAY_S,
    jittered_delay_s,
    retry_after_s,
)
from ciosidecar_server.delivery.slots import Slots
from ciosidecar_server.delivery.workspace_queue import WorkspaceQueue
from ciosidecar_transform.requests import BASE_URLS, Request, RequestTemplate

from tests.conftest import Connect
from tests.delivery.caller import delivering, track
from tests.delivery.message import Message
from tests.delivery.moved_clock import MovedClock
from tests.delivery.sending import LIMITS, transport
from tests.fake_customerio import Reply, fake_customerio

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def dated(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.parametrize("attempts", [1, 2, 3, 6, 7, 100, 10_000])
def test_the_delay_is_anything_up_to_a_bound_that_doubles(attempts: int) -> None:
    """0.2 s after the first attempt, twice that after the second, 10 s at the most."""
    bound_s = min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** min(attempts - 1, 100))
    delays_s = [jittered_delay_s(attempts) for _ in range(500)]
    assert 0 <= min(delays_s) < 0.1 * bound_s
    assert 0.9 * bound_s < max(delays_s) <= bound_s


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("300", 300),
        ("301", 300),
        ("120, 120", 120),
        ("5, 120", 120),
        ("120, soon", None),
        ("9" * 100, 300),
        (dated(0), 0),
        (dated(30), 30),
        (dated(-30), 0),
        (dated(86_400), 300),
        (dated(30).replace("GMT", "-0000"), 30),
        ("Sun Mar  1 12:00:30 2026", 30),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Sun, 99 Mar 2026 12:00:00 GMT", None),
        ("Sun, 01 Mar 99999999999999999999 12:00:00 GMT", None),
        ("Sun, 01 Mar 2026 12:00:00 +999999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    """300 s at most, nothing below 0, and None for what is neither."""
    assert retry_after_s(header, NOW) == seconds


@pytest.mark.parametrize("date", [None, "", "soon", dated(0), "Sun, 99 Mar 2026 12:00:00 GMT"])
def test_an_unusable_date_of_the_response_is_ignored(date: str | None) -> None:
    """The clock of this machine counts then."""
    assert retry_after_s(dated(30), NOW, date) == 30


@pytest.mark.parametrize("wrong_by_s", [-86_400, -3_600, 3_600, 86_400])
def test_both_dates_of_a_response_are_of_one_clock(wrong_by_s: float) -> None:
    """Customer.io's, whatever this machine's says."""
    then = dated(wrong_by_s + 30)
    assert retry_after_s(then, NOW, dated(wrong_by_s)) == 30
    assert retry_after_s("30", NOW, dated(wrong_by_s)) == 30


TEMPLATE = RequestTemplate("PUT", BASE_URLS["US"], "v1/customers", {"Authorization": "Basic eA=="})


@pytest.mark.parametrize("header", ["30", "Sun, 01 Mar 2026 12:00:30 GMT"])
async def test_retry_after_is_obeyed(header: str) -> None:
    """The second attempt comes when it is asked for, if that is within the batch's time, and no earlier."""
    clock = MovedClock()
    async with fake_customerio() as customerio, transport() as to:
        customerio.answers(Reply(429, headers={"Retry-After": header}))
        queue = WorkspaceQueue(
            customerio.url, to, TrackApiEndpoints(customerio.url), LIMITS, Slots(10), clock
        )
        message = Message()
        request = Request(TEMPLATE, "/api/v1/customers/u1", b"{}")
        job = Job(request, ("u1",), clock.time() + 60, message, 0)
        queue.submit([job])
        await clock.timer_after(29.9)
        clock.move(29.9)
        assert (job.state, len(customerio.requests)) == (State.WAITING_FOR_RETRY, 1)
        clock.move(0.2)
        assert job.state is State.IN_FLIGHT
        outcome = await asyncio.wait_for(message.outcome, 10)
        assert (outcome.status, job.attempts) == (200, 2)
        assert 30 <= job.answered_at - job.first_sent_at < 30.2
        await queue.aclose()


async def test_a_429_lowers_the_workspaces_rate() -> None:
    """By 30 %, without Retry-After too; the request itself goes again and is delivered."""
    clock = MovedClock()
    async with fake_customerio() as customerio, transport() as to:
        customerio.answers(Reply(429))
        queue = WorkspaceQueue(
            customerio.url, to, TrackApiEndpoints(customerio.url), LIMITS, Slots(10), clock
        )
        message = Message()
        job = Job(
            Request(TEMPLATE, "/api/v1/customers/u1", b"{}"), ("u1",), clock.time() + 60, message, 0
        )
        queue.submit([job])
        async with asyncio.timeout(10):
            while job.state is not State.WAITING_FOR_RETRY:  # noqa: ASYNC110 - the queue's state
                await asyncio.sleep(0)
        assert queue.snapshot().rate_per_s == pytest.approx(0.7 * LIMITS.rate_per_s)
        clock.move(FIRST_DELAY_S)
        assert (await asyncio.wait_for(message.outcome, 10)).status == 200
        await queue.aclose()


@pytest.mark.parametrize(("status", "code"), [(429, "THROTTLED"), (503, "UPSTREAM_FAILED")])
@pytest.mark.parametrize("asked", ["300", "301", "9" * 40])
async def test_beyond_the_deadline_it_comes_back_at_once(
    connect: Connect, asked: str, status: int, code: str
) -> None:
    """With the status and the time asked for, without waiting the deadline out: that would take five minutes."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(status, headers={"Retry-After": asked}))
        await one.send(1, track("1"), timeout_s=299.9)
        told = await one.told(1)
        assert (told.status, told.code, told.delivery.attempts) == (status, code, 1)
        assert told.retry_after_s == 300
