"""Four real sidecars that deliver to one workspace and share its rate in a real Redis."""

import asyncio
import itertools
import json
import math
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.engines.rate_store.fleet import (
    Counting,
    between,
    counting_customerio,
    feeding,
    fleet,
    worst_excess,
)
from tests.engines.rate_store.redis_server import RedisServer, redis_server
from tests.processes import Server

SIZE = 4
RATE = 200.0
SECONDS = 4.0
WARM_UP_S = 1.0
WITHIN_S = 60.0
# A tenth of a second's requests of the bucket, one and a half leases of 0.05 s of each sidecar's share, two requests a
# sidecar; and what came late to the counting server, because the machine was busy.
BURST = RATE * (0.1 + 0.075) + 2 * SIZE
LATE_S = 0.1
_MOST_TIMES = 4


class Four(NamedTuple):
    """Four sidecars with all that they need."""

    redis: RedisServer
    customerio: Counting
    servers: list[Server]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Four]:
    """Four sidecars for all tests of this module: a start takes longer than a test."""
    with (
        redis_server(tmp_path_factory.mktemp("redis")) as redis,
        counting_customerio() as customerio,
        fleet(SIZE, customerio, "--rate-store", redis.url, f"--delivery-rate={RATE}") as servers,
    ):
        yield Four(redis, customerio, servers)


@pytest.fixture
async def four(running: Four) -> Four:
    """Four sidecars that have found each other in the store, and no request so far."""
    running.customerio.forget()
    await until(
        lambda: all(
            (state(one)["rate_store"]["up"], state(one)["rate_store"]["sidecars"]) == (True, SIZE)
            for one in running.servers
        )
    )
    return running


def state(one: Server) -> Any:
    """What the admin port of a sidecar shows."""
    with urllib.request.urlopen(f"{one.admin}/api/state", timeout=20) as answer:
        return json.load(answer)


def metric(one: Server, name: str) -> float:
    """A value of /metrics without labels."""
    with urllib.request.urlopen(f"{one.admin}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"ciosidecar_{name} "))
    return float(value)


def is_ready(one: Server) -> bool:
    """Whether /readyz says so."""
    with urllib.request.urlopen(f"{one.admin}/readyz", timeout=20) as answer:
        return bool(answer.status == 200)


def downs_of(one: Server) -> list[dict[str, Any]]:
    """The lines that say that the store is down, apart from those of a Redis that answered late on a busy machine."""
    return [line for line in log_lines(one, "rate store down") if line["error"] != "timeout"]


def log_lines(one: Server, beginning: str) -> list[dict[str, Any]]:
    """The lines of a log whose message begins so."""
    lines = map(json.loads, one.errors().splitlines())
    return [line for line in lines if line["message"].startswith(beginning)]


async def until(true: Callable[[], bool]) -> float:
    """Wait until something is true. Return how long it took."""
    began = time.monotonic()
    while not await asyncio.to_thread(true):
        assert time.monotonic() < began + WITHIN_S
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def all_store_up(servers: Sequence[Server], *, up: bool) -> None:
    """Wait until all sidecars see the store so."""
    await until(lambda: all(state(one)["rate_store"]["up"] is up for one in servers))


async def counted(customerio: Counting, seconds: float) -> tuple[dict[str, int], float, float]:
    """Let time pass. Return the requests of that time by sidecar, when it began and when it ended."""
    begin = time.monotonic()
    await asyncio.sleep(seconds)
    end = time.monotonic()
    return between(await asyncio.to_thread(customerio.arrivals), begin, end), begin, end


async def counted_as(
    customerio: Counting, seconds: float, wanted: Callable[[dict[str, int], float], bool]
) -> tuple[dict[str, int], float]:
    """Wait for a time whose requests are as wanted. Return them by sidecar, and how long it was.

    On a busy machine, a time may have less, or what came late to the counting server. No window within it may have
    more than the burst.
    """
    for _ in range(_MOST_TIMES):
        counts, begin, end = await counted(customerio, seconds)
        arrivals = await asyncio.to_thread(customerio.arrivals)
        assert worst_excess(arrivals, RATE, begin, end) <= BURST + RATE * LATE_S, counts
        if wanted(counts, end - begin):
            return counts, end - begin
    pytest.fail(f"not the wanted requests in {end - begin:.2f} s: {counts}")


async def at_full_rate(
    customerio: Counting, *, even: Sequence[str] = ()
) -> tuple[dict[str, int], float]:
    """Wait for a time in which the rate is sent, within 3 %. Return its requests by sidecar, and how long it was.

    Args:
        customerio: counts the requests.
        even: the sidecars whose numbers must be within 10 % of their mean.
    """

    def wanted(counts: dict[str, int], took_s: float) -> bool:
        mean = sum(counts[name] for name in even) / max(1, len(even))
        is_even = all(0.9 * mean <= counts[name] <= 1.1 * mean for name in even)
        return is_even and 0.97 <= total_of(counts, took_s) <= 1.03

    return await counted_as(customerio, SECONDS, wanted)


def total_of(counts: dict[str, int], took_s: float) -> float:
    """The share of the rate that was sent."""
    return sum(counts.values()) / took_s / RATE


async def test_four_sidecars_keep_the_rate_together_and_share_it_evenly(four: Four) -> None:
    """Within 3 % of the rate, within 10 % of each other, within the burst, and with few commands.

    Where two want less, the other two have what they leave.
    """
    redis, customerio, servers = four
    began = time.monotonic()
    async with feeding(servers):
        await asyncio.sleep(WARM_UP_S)
        await at_full_rate(customerio, even="0123")
        end = time.monotonic()
    assert worst_excess(customerio.arrivals(), RATE, began, end) <= BURST + RATE * LATE_S
    requests = sum(map(len, customerio.arrivals().values()))
    with redis.client() as client:
        commands: Any = client.info("commandstats")
        keys: Any = client.keys()
    assert commands["cmdstat_evalsha"]["calls"] < 0.7 * requests
    assert not any("site" in key.replace("sidecars", "") for key in keys)
    assert all(key.startswith("{ciosidecar:rate:v1}:") for key in keys)

    async with feeding(servers, (10.0, 20.0, None, None)):
        await asyncio.sleep(WARM_UP_S)
        counts, took_s = await at_full_rate(customerio, even="23")
    assert counts["0"] >= 0.9 * 10 * took_s
    assert counts["1"] >= 0.9 * 20 * took_s


async def test_a_429_seen_by_one_slows_all(four: Four) -> None:
    """The rate falls by 30 % for all four, each knows it, and successes raise it again."""
    _redis, customerio, servers = four
    async with feeding(servers):
        await asyncio.sleep(WARM_UP_S)
        slowed = [await slowed_by_a_429(customerio, servers)]
        while not slowed[-1].as_promised and len(slowed) < _MOST_TIMES:
            slowed.append(await slowed_by_a_429(customerio, servers))
    assert slowed[-1].as_promised, slowed


class Slowed(NamedTuple):
    """What a 429 did."""

    counts: dict[str, int]
    """The requests of the second after it, by sidecar."""
    known_s: float
    recovered_s: float

    @property
    def as_promised(self) -> bool:
        """Whether the rate fell for all alike, and rose again. On a busy machine, one of several times may not."""
        total = sum(self.counts.values())
        fair = total / SIZE
        # It begins at 70 % and grows by 10 % a second: 75 % on average, and what was leased before.
        return (
            total <= 0.75 * RATE + 0.1 * RATE
            and all(0.7 * fair <= number <= 1.3 * fair for number in self.counts.values())
            and self.known_s < 3.0
            and 2.0 <= self.recovered_s <= 8.0
        )


async def slowed_by_a_429(customerio: Counting, servers: Sequence[Server]) -> Slowed:
    """Let a request of one sidecar be answered 429, and wait until the rate is the full one again."""

    def rates() -> list[float]:
        return [state(one)["destinations"][0]["rate_per_s"] for one in servers]

    knows: list[bool] = []

    def known_or_over() -> bool:
        states = [state(one)["destinations"][0]["state"] for one in servers]
        knows.append(all(one == "throttled" for one in states))
        return knows[-1] or min(rates()) == RATE

    await until(lambda: min(rates()) == RATE)
    customerio.throttle(2, 1)
    begin = time.monotonic()
    await until(lambda: min(rates()) < RATE)
    known_s = await until(known_or_over)
    await asyncio.sleep(max(0.0, begin + 1.0 + LATE_S - time.monotonic()))
    counts = between(await asyncio.to_thread(customerio.arrivals), begin, begin + 1.0)
    await until(lambda: min(rates()) == RATE)
    return Slowed(counts, known_s if knows[-1] else math.inf, time.monotonic() - begin)


async def test_redis_dies_and_comes_back(four: Four) -> None:
    """Each keeps to its share meanwhile, and says so; within seconds after the return the rate is shared again."""
    redis, customerio, servers = four
    began = time.monotonic()
    downs = [len(downs_of(one)) for one in servers]
    # Two leave a part of their share: it goes to nobody while the store is away.
    async with feeding(servers, (10.0, 10.0, None, None)):
        await asyncio.sleep(WARM_UP_S)
        await all_store_up(servers, up=True)
        redis.kill()
        await all_store_up(servers, up=False)
        await counted_as(customerio, SECONDS, keep_to_their_shares)
        for one, number in zip(servers, downs, strict=True):
            (line,) = downs_of(one)[number:]
            assert (line["level"], line["error"], line["sidecars"]) == (
                "warning",
                "connection",
                SIZE,
            )
            assert metric(one, "rate_store_up") == 0
            assert is_ready(one)

        redis.start()
        returned = time.monotonic()
        await all_store_up(servers, up=True)
        assert time.monotonic() - returned < 5.0
        await asyncio.sleep(WARM_UP_S)
        await at_full_rate(customerio)
        end = time.monotonic()
    assert worst_excess(customerio.arrivals(), RATE, began, end) <= 2 * BURST + RATE * LATE_S
    for one in servers:
        line = log_lines(one, "rate store up")[-1]
        assert line["fallback_s"] >= SECONDS
        assert metric(one, "rate_store_fallback_seconds_total") >= SECONDS
        assert metric(one, "rate_store_up") == 1


def keep_to_their_shares(counts: dict[str, int], took_s: float) -> bool:
    """Whether two sidecars send a quarter of the rate each, and another one its ten a second."""
    share = RATE / SIZE * took_s
    are_full = all(0.95 * share - 2 <= counts[name] <= 1.05 * share + 2 for name in "23")
    return are_full and counts["0"] >= 0.8 * 10 * took_s


async def test_redis_hangs_and_goes_on(four: Four) -> None:
    """A Redis that is stopped holds no delivery: requests come without a gap, at the shares."""
    redis, customerio, servers = four
    async with feeding(servers):
        await asyncio.sleep(WARM_UP_S)
        redis.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        await all_store_up(servers, up=False)
        await counted_as(customerio, 3.0, lambda *time: 0.9 <= total_of(*time) <= 1.05)
        redis.signal(signal.SIGCONT)
        await all_store_up(servers, up=True)
        await at_full_rate(customerio)
        end = time.monotonic()
    arrivals = customerio.arrivals()
    assert worst_excess(arrivals, RATE, stopped, end) <= 2 * BURST + RATE * LATE_S
    moments = [moment for moment in arrivals["0"] if stopped <= moment < end]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert max(gaps) < 1.0
    assert {log_lines(one, "rate store down")[-1]["error"] for one in servers} == {"timeout"}


async def test_lost_data_change_nothing(four: Four) -> None:
    """FLUSHALL and SCRIPT FLUSH: the rate holds, apart from the leases of these moments, and no store is down."""
    redis, customerio, servers = four
    downs = [len(downs_of(one)) for one in servers]
    async with feeding(servers):
        await asyncio.sleep(WARM_UP_S)
        begin = time.monotonic()
        with redis.client() as client:
            for _ in range(4):
                client.flushall()
                client.script_flush()
                await asyncio.sleep(0.5)
        end = time.monotonic()
    lost = worst_excess(customerio.arrivals(), RATE, begin, end)
    assert lost <= BURST + 4 * RATE * 0.1 + RATE * LATE_S
    assert [len(downs_of(one)) for one in servers] == downs


async def test_a_start_without_redis_and_a_death(tmp_path: Path) -> None:
    """Sidecars start, are ready and keep to the shares of --replicas; later they find the store.

    The share of a sidecar that is killed then goes to the other.
    """
    with redis_server(tmp_path) as redis, counting_customerio() as customerio:
        redis.kill()
        flags = ("--rate-store", redis.url, f"--delivery-rate={RATE}", f"--replicas={SIZE}")
        with fleet(2, customerio, *flags) as servers:
            async with feeding(servers):
                await asyncio.sleep(WARM_UP_S)
                await counted_as(customerio, 3.0, lambda *time: 0.45 <= total_of(*time) <= 0.53)
                redis.start()
                await all_store_up(servers, up=True)
                await asyncio.sleep(WARM_UP_S)
                await at_full_rate(customerio)
                servers[1].signal(signal.SIGKILL)
                await asyncio.sleep(WARM_UP_S)
                counts, _ = await at_full_rate(customerio)
                assert counts["1"] == 0
