"""How fast a workspace is sent to, with a clock set by hand."""

import pytest
from ciosidecar_server.delivery.rate import TokenBucket

from tests.conftest import Connect
from tests.delivery.caller import delivering, track
from tests.delivery.scripted_customerio import scripted_customerio


def taken(bucket: TokenBucket, start: float, seconds: float) -> int:
    """How many requests go in so many seconds, each as soon as it may."""
    now, number = start, 0
    while (now := now + bucket.wait_s(now)) < start + seconds:
        bucket.take()
        number += 1
        now += 1e-9  # waiting sums of fractions could come out a hair short
    return number


@pytest.mark.parametrize("rate_per_s", [0.5, 1, 7, 900])
def test_the_rate_is_kept(rate_per_s: float) -> None:
    """Over ten seconds: the rate, and a burst of a tenth of a second, one request at least."""
    number = taken(TokenBucket(rate_per_s, 0.0), 0.0, 10.0)
    burst = max(1.0, rate_per_s / 10)
    assert rate_per_s * 10 - 1 <= number <= rate_per_s * 10 + burst + 1


def test_a_quiet_time_saves_up_one_burst() -> None:
    """After an hour a tenth of a second's requests go at once, and then the rate holds."""
    bucket = TokenBucket(100, 0.0)
    assert taken(bucket, 3600.0, 1e-6) == 10


def test_a_throttled_workspace_slows_down_and_recovers() -> None:
    """By 30 %, at most once a second; back by a tenth of the full rate every second."""
    bucket = TokenBucket(100, 0.0)
    bucket.lower(0.0)
    bucket.lower(0.5)
    assert bucket.rate_per_s == pytest.approx(70)
    bucket.wait_s(1.0)
    assert bucket.rate_per_s == pytest.approx(80)
    bucket.lower(1.0)
    bucket.wait_s(3.0)
    assert bucket.rate_per_s == pytest.approx(0.7 * 80 + 20)
    bucket.wait_s(60.0)
    assert bucket.rate_per_s == 100


@pytest.mark.parametrize("rate_per_s", [0.5, 1, 3, 900])
def test_it_never_stops_and_never_gets_faster_than_allowed(rate_per_s: float) -> None:
    """However often it is throttled: one request a second is the slowest, the full rate the fastest."""
    bucket = TokenBucket(rate_per_s, 0.0)
    for second in range(100):
        bucket.lower(float(second))
        assert min(1.0, rate_per_s) <= bucket.rate_per_s <= rate_per_s


async def test_a_workspace_is_sent_to_at_its_rate(connect: Connect) -> None:
    """Beyond the burst the requests of one workspace are spread over time; another's are its own."""
    one_key, other_key = (
        b'{"siteID": "%b", "apiKey": "key"}' % name for name in (b"one", b"other")
    )
    async with (
        scripted_customerio() as customerio,
        delivering(connect, customerio, one_key, other_key, delivery_rate=50) as one,
    ):
        await one.send(1, *(track("1", f"u{number}") for number in range(30)), number=1)
        await one.send(2, *(track("1", f"u{number}") for number in range(5)), number=2)
        await one.told_all(2)
        assert not all(one.knows(1, position) for position in range(30))
        told = await one.told_all(1)
        assert {each.status for each in told} == {200}
