"""How sidecars keep the rate of a workspace together, with a clock that the test moves and a store in memory."""

import asyncio
import itertools

import pytest
from ciosidecar_server.delivery.observer import NoDeliveryObserver
from ciosidecar_server.delivery.rate_store import RateStoreError, RateStoreSnapshot
from ciosidecar_server.delivery.shared_rate_limiter import KEPT_S, SPAN_S, SharedRateLimiter
from ciosidecar_server.delivery.shared_rates import BEAT_S, SharedRates

from tests.delivery.memory_rate_store import MemoryRates, MemoryRateStore
from tests.delivery.moved_clock import MovedClock, MovedTimer

RATE = 100.0
LEAST_S = 1e-6
AWAY = RateStoreError("connection")


class Log(NoDeliveryObserver):
    """What was reported of the store."""

    def __init__(self) -> None:
        self.changes: list[RateStoreSnapshot] = []

    def rate_store_changed(self, snapshot: RateStoreSnapshot) -> None:
        """Remember it."""
        self.changes.append(snapshot)


class Sidecar:
    """Requests that go as soon as the limit lets them, as `Sender` sends them."""

    def __init__(self, fleet: MemoryRates, number: int, replicas: int | None, rate: float) -> None:
        self.clock = fleet.clock
        self.store = MemoryRateStore(fleet, number)
        self.log = Log()
        self.rates = SharedRates(self.store, self.clock, self.log, replicas)
        self.limit = SharedRateLimiter(self.rates, "w", rate, self.clock, self.pump)
        self.demand = 0
        self.sent: list[float] = []
        self._timer: MovedTimer | None = None

    def want(self, number: int) -> None:
        """Want to send so many more."""
        self.demand += number
        self.pump()

    def pump(self) -> None:
        """Send what may go."""
        while self.demand:
            wait_s = self.limit.wait_s()
            if wait_s > 0.0:
                self.limit.on_waiting()
                if self._timer is not None:
                    self._timer.cancel()
                # Waiting sums of fractions could come out a hair short.
                self._timer = self.clock.call_at(self.clock.time() + wait_s + 1e-9, self.pump)
                return
            self.limit.reserve()
            self.demand -= 1
            self.sent.append(self.clock.time())

    def since(self, begin: float) -> int:
        """How many went since a time."""
        return sum(moment >= begin for moment in self.sent)


class Fleet:
    """Sidecars of one test."""

    def __init__(self, size: int, *, replicas: int | None = None, rate: float = RATE) -> None:
        self.clock = MovedClock()
        self.shared = MemoryRates(self.clock)
        self.sidecars = [Sidecar(self.shared, number, replicas, rate) for number in range(size)]
        for sidecar in self.sidecars:
            sidecar.rates.start()

    async def go_on(self, seconds: float) -> float:
        """Let time pass, from timer to timer. Return when it began."""
        began = self.clock.time()
        until = began + seconds
        await settled()
        while (left := until - self.clock.time()) > LEAST_S:
            self.clock.move(max(LEAST_S, self.clock.next_timer_in(left)))
            await settled()
        return began

    def since(self, begin: float) -> int:
        """How many went since a time, from all."""
        return sum(sidecar.since(begin) for sidecar in self.sidecars)

    def fail(self, failure: RateStoreError | None) -> None:
        """Have every call of every sidecar fail, or succeed again."""
        for sidecar in self.sidecars:
            sidecar.store.failure = failure


async def settled() -> None:
    """Let the tasks of this moment end."""
    for _ in range(4):
        await asyncio.sleep(0)


async def test_the_first_request_waits_for_nothing() -> None:
    """It goes on credit, before the store answers; after a second without requests the next one too."""
    fleet = Fleet(1)
    (sidecar,) = fleet.sidecars
    sidecar.want(1)
    assert len(sidecar.sent) == 1
    await fleet.go_on(2 * KEPT_S)
    sidecar.want(1)
    assert len(sidecar.sent) == 2
    sidecar.want(1)
    assert len(sidecar.sent) == 2
    await settled()
    assert len(sidecar.sent) == 3


async def test_a_limit_is_refilled_once_what_went_on_credit_is_leased() -> None:
    """Also while the store is away: a limit that is not refilled must not be replaced by a new one."""
    fleet = Fleet(1, rate=1.0)
    (sidecar,) = fleet.sidecars
    assert sidecar.limit.refilled
    for failure in (None, AWAY):
        fleet.fail(failure)
        sidecar.want(1)
        assert not sidecar.limit.refilled
        await fleet.go_on(0.5)
        assert not sidecar.limit.refilled
        await fleet.go_on(3 * KEPT_S)
        assert sidecar.limit.refilled
    assert len(sidecar.sent) == 2


@pytest.mark.parametrize(("size", "rate"), [(1, 100.0), (4, 100.0), (4, 1000.0), (4, 4.0)])
async def test_together_they_keep_the_rate(size: int, rate: float) -> None:
    """Within 3 %, each with the same share within 10 %; with blocks of more than one token at 100 a second."""
    fleet = Fleet(size, rate=rate)
    for sidecar in fleet.sidecars:
        sidecar.want(100_000)
    await fleet.go_on(2.0)
    seconds = 4.0
    begin = await fleet.go_on(seconds)
    assert fleet.since(begin) == pytest.approx(rate * seconds, rel=0.03, abs=1)
    shares = [sidecar.since(begin) for sidecar in fleet.sidecars]
    assert max(shares) - min(shares) <= max(1, 0.1 * rate * seconds / size)
    asked = sum(len(requests) for requests in fleet.shared.asked.values())
    assert asked <= max(1.3 * sum(len(one.sent) for one in fleet.sidecars), 1) / max(
        1.0, rate * SPAN_S / size / 1.5
    )


async def test_what_some_leave_goes_to_the_others() -> None:
    """Three that want a little have it, and the fourth has all the rest."""
    fleet = Fleet(4)
    *modest, greedy = fleet.sidecars
    greedy.want(100_000)

    def want_one(sidecar: Sidecar) -> None:
        sidecar.want(1)
        fleet.clock.call_at(fleet.clock.time() + 0.2, want_one, sidecar)

    for sidecar in modest:
        want_one(sidecar)
    await fleet.go_on(1.0)
    begin = await fleet.go_on(4.0)
    assert fleet.since(begin) == pytest.approx(400, rel=0.03)
    assert all(18 <= sidecar.since(begin) <= 22 for sidecar in modest)


async def test_a_quiet_time_saves_up_one_burst() -> None:
    """After a quiet time all together send a tenth of a second's requests, and a little for each sidecar."""
    fleet = Fleet(4, rate=1000.0)
    for sidecar in fleet.sidecars:
        sidecar.want(100)
    await fleet.go_on(10.0)
    for sidecar in fleet.sidecars:
        sidecar.want(100_000)
    begin = fleet.clock.time()
    await settled()
    assert fleet.since(begin) <= 1000 * (0.1 + 1.5 * SPAN_S) + 2 * 4
    await fleet.go_on(1.0)
    assert fleet.since(begin) <= 1000 * (1.0 + 0.1 + 1.5 * SPAN_S) + 2 * 4


async def test_unused_tokens_are_given_back() -> None:
    """A second after the last request nothing is in hand any more, and the store knows."""
    fleet = Fleet(1, rate=1000.0)
    (sidecar,) = fleet.sidecars
    sidecar.want(200)
    await fleet.go_on(0.5)
    await fleet.go_on(2.5 * KEPT_S)
    assert sum(request.returned for request in fleet.shared.asked[0]) > 0
    leased = sidecar.rates.snapshot().tokens
    returned = sum(request.returned for request in fleet.shared.asked[0])
    assert leased - returned == 200
    asked = len(fleet.shared.asked[0])
    await fleet.go_on(5.0)
    assert len(fleet.shared.asked[0]) == asked


async def test_a_429_of_one_slows_all() -> None:
    """The others learn it with their next lease. What was sent before the rate fell says nothing new."""
    fleet = Fleet(2)
    first, second = fleet.sidecars
    for sidecar in fleet.sidecars:
        sidecar.want(100_000)
    await fleet.go_on(1.0)
    sent_at = fleet.clock.time()
    await fleet.go_on(0.01)
    first.limit.on_throttled(sent_at)
    assert first.limit.lowered
    await fleet.go_on(0.2)
    assert second.limit.rate_per_s == pytest.approx(70)
    begin = await fleet.go_on(2.0)
    assert fleet.since(begin) == pytest.approx(140, rel=0.05)
    asked = len(fleet.shared.asked[1])
    second.limit.on_throttled(sent_at)
    await settled()
    assert second.limit.rate_per_s == pytest.approx(70)
    assert len(fleet.shared.asked[1]) == asked
    second.limit.on_throttled(fleet.clock.time())
    await fleet.go_on(0.2)
    assert first.limit.rate_per_s == second.limit.rate_per_s == pytest.approx(49)


async def test_successes_raise_the_rate_of_all() -> None:
    """Ten per cent a second, however many sidecars succeed."""
    fleet = Fleet(4)
    for sidecar in fleet.sidecars:
        sidecar.want(100_000)
    await fleet.go_on(1.0)
    for _ in range(4):
        fleet.sidecars[0].limit.on_throttled(fleet.clock.time())
        await settled()
    low = fleet.sidecars[0].limit.rate_per_s
    assert low == pytest.approx(24.01)
    for _ in range(200):
        for sidecar in fleet.sidecars:
            sidecar.limit.on_success()
        await fleet.go_on(0.01)
    for sidecar in fleet.sidecars:
        assert sidecar.limit.rate_per_s == pytest.approx(low + 20, abs=6)
    for _ in range(800):
        fleet.sidecars[0].limit.on_success()
        await fleet.go_on(0.01)
    assert not any(sidecar.limit.lowered for sidecar in fleet.sidecars)


async def test_successes_are_told_four_times_a_second() -> None:
    """However many there are: a lowered rate is no reason to ask the store for each request."""
    fleet = Fleet(1)
    (sidecar,) = fleet.sidecars
    sidecar.want(1)
    await settled()
    sidecar.limit.on_throttled(fleet.clock.time())
    await fleet.go_on(0.5)
    begin = len(fleet.shared.asked[0])
    for _ in range(200):
        sidecar.limit.on_success()
        await fleet.go_on(0.01)
    assert sidecar.limit.lowered
    assert 6 <= len(fleet.shared.asked[0]) - begin <= 10


async def test_an_idle_sidecar_learns_that_the_rate_is_full_again() -> None:
    """Within two seconds: its state must not say for ever that the workspace is throttled."""
    fleet = Fleet(2)
    first, second = fleet.sidecars
    for sidecar in fleet.sidecars:
        sidecar.want(1)
    await settled()
    second.limit.on_throttled(fleet.clock.time())
    await fleet.go_on(0.1)
    for _ in range(40):
        first.limit.on_success()
        await fleet.go_on(0.1)
    await fleet.go_on(2.5)
    assert not first.limit.lowered
    assert not second.limit.lowered


@pytest.mark.parametrize(("replicas", "share"), [(None, 25.0), (2, 25.0), (10, 10.0)])
async def test_without_the_store_each_keeps_to_its_share(
    replicas: int | None, share: float
) -> None:
    """The share is that of the replicas, or of the sidecars that were last seen, whichever are more."""
    fleet = Fleet(4, replicas=replicas)
    await fleet.go_on(2 * BEAT_S)
    for sidecar in fleet.sidecars:
        sidecar.want(100_000)
    await fleet.go_on(1.0)
    fleet.fail(AWAY)
    await fleet.go_on(0.5)
    begin = await fleet.go_on(4.0)
    for sidecar in fleet.sidecars:
        assert sidecar.since(begin) == pytest.approx(4 * share, abs=2)
        assert [change.up for change in sidecar.log.changes] == [False]
        assert sidecar.rates.snapshot().errors["connection"] >= 2
        assert sidecar.limit.rate_per_s == pytest.approx(share)

    fleet.fail(None)
    await fleet.go_on(3.0)
    begin = await fleet.go_on(2.0)
    assert fleet.since(begin) == pytest.approx(200, rel=0.03)
    for sidecar in fleet.sidecars:
        assert [change.up for change in sidecar.log.changes] == [False, True]
        assert 4.0 <= sidecar.rates.snapshot().fallback_s <= 7.0


async def test_without_the_store_a_429_lowers_the_own_share() -> None:
    """By the rules of a single sidecar. A rate that was lowered before stays lowered."""
    fleet = Fleet(2, replicas=2)
    sidecar = fleet.sidecars[0]
    sidecar.want(100_000)
    await fleet.go_on(0.5)
    sidecar.limit.on_throttled(fleet.clock.time())
    await fleet.go_on(0.2)
    fleet.fail(AWAY)
    await fleet.go_on(0.5)
    assert sidecar.limit.rate_per_s == pytest.approx(35)
    sidecar.limit.on_throttled(fleet.clock.time())
    assert sidecar.limit.rate_per_s == pytest.approx(24.5)
    sidecar.limit.on_success()
    await fleet.go_on(1.0)
    sidecar.limit.on_success()
    assert sidecar.limit.rate_per_s == pytest.approx(29.5)
    # The store has lost all: it learns from the sidecar how low the rate was.
    fleet.shared.workspaces.clear()
    fleet.fail(None)
    await fleet.go_on(3.0)
    assert sidecar.limit.rate_per_s == pytest.approx(59)


async def test_a_request_that_waits_for_a_failing_lease_goes_at_the_share() -> None:
    """The store goes away between two requests: nothing is held up, nothing goes beyond the share."""
    fleet = Fleet(1, replicas=4)
    (sidecar,) = fleet.sidecars
    await settled()
    fleet.fail(RateStoreError("timeout"))
    sidecar.want(100)
    begin = await fleet.go_on(2.0)
    assert sidecar.since(begin) == pytest.approx(50, abs=2)
    gaps = [later - earlier for earlier, later in itertools.pairwise(sidecar.sent)]
    assert max(gaps) < 0.05


async def test_probes_come_with_growing_delays() -> None:
    """Within seconds after the return, and not more than a few a second before."""
    fleet = Fleet(1)
    await settled()
    fleet.fail(AWAY)
    fleet.sidecars[0].want(1)
    away_at = fleet.clock.time()
    await fleet.go_on(0.1)
    begin = len(fleet.shared.registrations)
    await fleet.go_on(20.0)
    probes = fleet.shared.registrations[begin:]
    assert 10 <= len(probes) <= 30
    assert 0.1 < probes[0] - away_at <= 0.26
    assert max(later - earlier for earlier, later in itertools.pairwise(probes)) <= 2.01
    fleet.fail(None)
    await fleet.go_on(2.1)
    assert fleet.sidecars[0].rates.up


async def test_trouble_of_one_workspace_leaves_the_store_up() -> None:
    """A key of a wrong type: this workspace keeps to its share and tries again, every two seconds."""
    fleet = Fleet(1, replicas=2)
    (sidecar,) = fleet.sidecars
    await settled()
    sidecar.store.failure = RateStoreError("type", workspace_only=True)
    sidecar.want(100_000)
    # Registrations of this store would fail as well: they are not due before.
    begin = await fleet.go_on(0.9 * BEAT_S / 2)
    assert sidecar.rates.up
    assert sidecar.since(begin) == pytest.approx(50 * 0.45 * BEAT_S, abs=2)
    assert len(fleet.shared.asked[0]) == 1
    sidecar.store.failure = None
    await fleet.go_on(2.5)
    begin = await fleet.go_on(1.0)
    assert sidecar.since(begin) == pytest.approx(100, rel=0.05)
    assert sidecar.log.changes == []


async def test_a_store_that_lost_its_data_does_not_raise_the_share() -> None:
    """For fifteen seconds the greatest number of sidecars counts."""
    fleet = Fleet(4)
    await fleet.go_on(2 * BEAT_S)
    fleet.shared.sidecars.clear()
    for sidecar in fleet.sidecars[1:]:
        sidecar.store.failure = AWAY
    await fleet.go_on(3.0)
    assert fleet.sidecars[0].rates.sidecars == 4
    await fleet.go_on(15.0)
    assert fleet.sidecars[0].rates.sidecars == 1


async def test_the_end_is_told_to_the_store() -> None:
    """The others share the rate among fewer at once."""
    fleet = Fleet(2)
    await settled()
    await fleet.sidecars[1].rates.aclose()
    assert fleet.sidecars[1].store.closed
    assert len(fleet.shared.sidecars) == 1


async def test_after_the_end_nothing_is_asked_any_more() -> None:
    """A limit whose timers go on would connect again, and a failure would begin probes that never end."""
    fleet = Fleet(1)
    (sidecar,) = fleet.sidecars
    sidecar.want(3)
    await settled()
    await sidecar.rates.aclose()
    asked = len(fleet.shared.asked[0])
    fleet.fail(AWAY)
    await fleet.go_on(3 * KEPT_S)
    assert len(fleet.shared.asked[0]) == asked
    assert sidecar.log.changes == []
