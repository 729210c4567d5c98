"""How long to wait before another try: full jitter, or what Retry-After asks for."""

from datetime import UTC, datetime, timedelta

import pytest
from ciosidecar_server.delivery.retry import (
    FIRST_DELAY_S,
    MAX_DELAY_S,
    jittered_delay_s,
    retry_after_s,
)

from tests.conftest import Connect
from tests.delivery.caller import delivering, track
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


async def test_retry_after_is_obeyed(connect: Connect) -> None:
    """The second attempt comes no earlier than asked for, if that is within the batch's time."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(429, headers={"Retry-After": "1"}))
        await one.send(1, track("1"))
        told = await one.told(1)
        assert (told.status, told.delivery.attempts) == (200, 2)
        assert (
            told.delivery.latency.ToTimedelta().total_seconds() >= 0.99
        )  # timers have milliseconds


@pytest.mark.parametrize("asked", ["2", "301", "9" * 40])
async def test_beyond_the_deadline_it_comes_back_at_once(connect: Connect, asked: str) -> None:
    """With the status and the time asked for, without waiting the deadline out."""
    async with fake_customerio() as customerio, delivering(connect, customerio) as one:
        customerio.answers(Reply(429, headers={"Retry-After": asked}))
        await one.send(1, track("1"), timeout_s=1.9)
        told = await one.told(1)
        assert (told.status, told.code, told.delivery.attempts) == (429, "THROTTLED", 1)
        assert told.retry_after_s == min(int(asked), 300)
        assert told.delivery.latency.ToTimedelta().total_seconds() < 1.5
