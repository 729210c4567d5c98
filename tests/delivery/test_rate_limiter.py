"""How fast a workspace is sent to, with a clock set by hand."""

import pytest
from ciosidecar_server.delivery.rate_limiter import RateLimiter

from tests.conftest import Connect
from tests.delivery.caller import delivering, track
from tests.fake_customerio import fake_customerio


class Clock:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Workspace:
    """A rate limit, and requests that go as soon as it lets them."""

    def __init__(self, rate_per_s: float) -> None:
        self.clock = Clock()
        self.limit = RateLimiter(rate_per_s, self.clock)

    def send(self, seconds: float, *, throttled: bool = False) -> int:
        """Send for so long, each request answered at once; return how many went."""
        until, number = self.clock.now + seconds, 0
        while (wait_s := self.limit.wait_s()) + self.clock.now < until:
            # Waiting sums of fractions could come out a hair short.
            self.clock.now += wait_s + 1e-9
            if self.limit.wait_s():
                continue
            self.limit.reserve()
            number += 1
            if throttled:
                self.limit.on_throttled(self.clock.now)
            else:
                self.limit.on_success()
        self.clock.now = until
        return number


@pytest.mark.parametrize("rate_per_s", [0.5, 1, 7, 900])
def test_the_rate_is_kept(rate_per_s: float) -> None:
    """Over ten seconds: the rate, and a burst of a tenth of a second, one request at least."""
    number = Workspace(rate_per_s).send(10.0)
    burst = max(1.0, rate_per_s / 10)
    assert rate_per_s * 10 - 1 <= number <= rate_per_s * 10 + burst + 1


def test_a_quiet_time_saves_up_one_burst() -> None:
    """After an hour a tenth of a second's requests go at once, and then the rate holds."""
    workspace = Workspace(100)
    workspace.clock.now += 3600.0
    assert workspace.send(1e-6) == 10


def test_a_429_lowers_the_rate() -> None:
    """By 30 %; another one that was sent before says nothing new."""
    workspace = Workspace(100)
    sent_at = workspace.clock.now
    workspace.clock.now += 0.1
    for _ in range(50):
        workspace.limit.on_throttled(sent_at)
    assert workspace.limit.rate_per_s == pytest.approx(70)


def test_without_a_success_every_429_lowers_it_further() -> None:
    """Nine requests, and the rate is at its floor: 5 % of the full rate."""
    workspace = Workspace(900)
    for _ in range(9):
        workspace.limit.on_throttled(workspace.clock.now)
    assert workspace.limit.rate_per_s == pytest.approx(45)


@pytest.mark.parametrize("rate_per_s", [0.5, 1, 3, 20, 100, 900])
def test_it_keeps_a_floor(rate_per_s: float) -> None:
    """However often it is throttled: 5 % of the full rate, or one request a second."""
    workspace = Workspace(rate_per_s)
    workspace.send(100, throttled=True)
    floor = min(rate_per_s, max(1.0, 0.05 * rate_per_s))
    assert workspace.limit.rate_per_s == pytest.approx(floor)
    assert floor * 100 - 1 <= workspace.send(100, throttled=True) <= floor * 100 + 2


def test_what_is_always_throttled_is_asked_at_the_floor() -> None:
    """Twelve seconds of nothing but 429: not thousands of requests, but the floor's."""
    assert Workspace(900).send(12, throttled=True) < 12 * 45 + 100


def test_time_alone_does_not_raise_it() -> None:
    """After an hour without a success the rate is what it was."""
    workspace = Workspace(100)
    workspace.limit.on_throttled(workspace.clock.now)
    workspace.clock.now += 3600.0
    workspace.limit.wait_s()
    assert workspace.limit.rate_per_s == pytest.approx(70)
    workspace.limit.on_success()
    assert workspace.limit.rate_per_s == pytest.approx(80)


def test_a_success_raises_the_rate_from_then_on() -> None:
    """The tokens of the time before come at the rate that held then."""
    workspace = Workspace(1000)
    limit = workspace.limit
    limit.on_throttled(workspace.clock.now)
    workspace.clock.now += 0.95
    while limit.wait_s() == 0:
        limit.reserve()
    workspace.clock.now += 0.05
    limit.on_success()
    assert limit.rate_per_s == pytest.approx(800)
    number = 0
    while limit.wait_s() == 0:
        limit.reserve()
        number += 1
    assert 34 <= number <= 36


@pytest.mark.parametrize("rate_per_s", [20, 100, 900])
def test_ten_seconds_of_successes_raise_it_to_the_full_rate(rate_per_s: float) -> None:
    """From the floor: halfway in five seconds, all the way in ten, and no further."""
    workspace = Workspace(rate_per_s)
    workspace.send(30, throttled=True)
    workspace.send(5)
    assert workspace.limit.rate_per_s == pytest.approx(0.55 * rate_per_s, rel=0.1)
    assert workspace.limit.lowered
    workspace.send(5)
    assert workspace.limit.rate_per_s == rate_per_s
    assert not workspace.limit.lowered


def test_among_successes_it_falls_once_a_second() -> None:
    """Several 429s of one second are one excess over the limit."""
    workspace = Workspace(1000)
    for _ in range(10):
        workspace.clock.now += 0.05
        workspace.limit.on_success()
        workspace.limit.on_throttled(workspace.clock.now)
    assert 650 < workspace.limit.rate_per_s < 800


async def test_a_workspace_is_sent_to_at_its_rate(connect: Connect) -> None:
    """Beyond the burst the requests of one workspace are spread over time; another's are its own."""
    one_key, other_key = (
        b'{"siteID": "%b", "apiKey": "key"}' % name for name in (b"one", b"other")
    )
    async with (
        fake_customerio() as customerio,
        delivering(connect, customerio, one_key, other_key, delivery_rate=50) as one,
    ):
        await one.send(1, *(track("1", f"u{number}") for number in range(30)), number=1)
        await one.send(2, *(track("1", f"u{number}") for number in range(5)), number=2)
        await one.told_all(2)
        assert not all(one.knows(1, position) for position in range(30))
        told = await one.told_all(1)
        assert {each.status for each in told} == {200}
