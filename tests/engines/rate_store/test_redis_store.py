"""The store's scripts in a real Redis, and what each of its troubles becomes."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis
import trustme
from ciosidecar_server.delivery.rate_store import LeaseRequest, RateStoreError
from ciosidecar_server.rate_store.redis_store import PREFIX, TIMEOUT_S, RedisRateStore

from tests.engines.rate_store.redis_server import RedisServer, redis_server
from tests.engines.rate_store.slow_proxy import slow_proxy
from tests.ports import free_port

RATE = 100.0
KEY = f"{PREFIX}workspace:w"
ASK = LeaseRequest("w", 5, 0, RATE, 0.05, 1.0, 0.05)
NEWS = ASK._replace(wanted=0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for one test."""
    with redis_server(tmp_path) as running:
        yield running


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisRateStore]:
    """A store in it."""
    async with opened(server.url) as found:
        yield found


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RedisRateStore]:
    """A store that is closed with the block."""
    found = RedisRateStore(url)
    try:
        yield found
    finally:
        await found.aclose()


async def kind_of(store: RedisRateStore) -> tuple[str, bool]:
    """The kind of error that a lease ends with, and whether it concerns the workspace alone."""
    with pytest.raises(RateStoreError) as raised:
        await store.lease(ASK)
    return raised.value.kind, raised.value.workspace_only


async def test_leases_follow_each_other(store: RedisRateStore) -> None:
    """Tokens that are handed out now may be used later and later, at the rate."""
    await store.register()
    began = time.monotonic()
    leases, starts = [], []
    for _ in range(20):
        leases.append(await store.lease(ASK))
        starts.append(time.monotonic() - began + leases[-1].start_in_s)
    assert {lease.tokens for lease in leases} == {5}
    # 95 tokens are before the last ones.
    assert 0.94 <= starts[-1] <= 1.3
    assert starts == sorted(starts)


async def test_a_quiet_time_saves_up_one_burst(store: RedisRateStore) -> None:
    """A tenth of a second's tokens go at once, and not more."""
    await store.lease(ASK)
    await asyncio.sleep(0.4)
    at_once, began = 0, time.monotonic()
    while (await store.lease(ASK._replace(wanted=1))).start_in_s < 0.001:
        at_once += 1
    assert 8 <= at_once <= RATE * (0.1 + time.monotonic() - began) + 3


async def test_returned_tokens_go_to_others(store: RedisRateStore) -> None:
    """What is given back may be used by the next one, at once."""
    for _ in range(20):
        last = await store.lease(ASK)
    lease = await store.lease(ASK._replace(returned=50))
    assert lease.start_in_s <= last.start_in_s - 0.3


async def test_sharers_make_leases_smaller(server: RedisServer) -> None:
    """A lease is a sidecar's part of the tokens of 0.05 s; one token at least."""
    async with opened(server.url) as first, opened(server.url) as second:
        wide = ASK._replace(rate_per_s=1000.0, wanted=1000)
        alone = await first.lease(wide)
        assert (alone.tokens, alone.sharers) == (50, 1)
        together = await second.lease(wide)
        assert (together.tokens, together.sharers) == (25, 2)
        assert (await first.register(), await second.register()) == (1, 2)
        await second.aclose()
        assert await first.register() == 1


async def test_429s_and_successes_move_the_rate_of_all(server: RedisServer) -> None:
    """The rules are those of a single sidecar: 30 % less, once for what was sent before, and 10 % a second more."""
    async with opened(server.url) as first, opened(server.url) as second:
        await first.lease(ASK)
        throttled = NEWS._replace(throttled_age_s=0.0)
        assert (await first.lease(throttled)).fraction == pytest.approx(0.7)
        # Sent before the rate was lowered: it says nothing new.
        stale = NEWS._replace(throttled_age_s=0.5)
        assert (await second.lease(stale)).fraction == pytest.approx(0.7)
        assert (await second.lease(throttled)).fraction == pytest.approx(0.49)
        await asyncio.sleep(0.3)
        raised = await first.lease(NEWS._replace(success_age_s=0.0))
        assert 0.52 <= raised.fraction <= 0.59
        # Among successes it falls once a second.
        assert (await second.lease(throttled)).fraction == pytest.approx(raised.fraction)
        for _ in range(12):
            await asyncio.sleep(0.01)
            low = await second.lease(throttled._replace(least_fraction=0.4))
        assert low.fraction >= 0.4


async def test_a_lowered_rate_outlives_the_data(server: RedisServer, store: RedisRateStore) -> None:
    """After FLUSHALL the rate is what the sidecars know, without a burst."""
    await store.lease(ASK)
    with server.client() as client:
        client.flushall()
        lease = await store.lease(ASK._replace(fraction=0.5))
        assert lease.fraction == pytest.approx(0.5)
        client.script_flush()
        assert (await store.lease(ASK)).tokens == 2
        assert 0 < client.ttl(KEY) <= 600
        assert 0 < client.ttl(f"{KEY}:askers") <= 600


@pytest.mark.parametrize(
    "fields",
    [
        {"until": "nonsense", "fraction": "nan", "lowered": "x", "succeeded": "", "raised": "-"},
        {"until": "9e300", "fraction": "9e300", "lowered": "9e300", "raised": "inf"},
        {"until": "-inf", "fraction": "-5", "lowered": "-inf", "raised": "-inf"},
        {"other": "fields", "of": "another version"},
    ],
)
async def test_a_state_that_no_script_wrote_holds_nobody(
    server: RedisServer, store: RedisRateStore, fields: dict[str, str]
) -> None:
    """Whatever the fields say, tokens come soon and not without end. So it is where the host's clock went back."""
    with server.client() as client:
        client.hset(KEY, mapping=fields)
    leases = [await store.lease(ASK) for _ in range(50)]
    assert leases[0].start_in_s < 5.0
    assert leases[-1].start_in_s > 1.5
    assert all(0.05 <= lease.fraction <= 1.0 for lease in leases)
    assert (await store.lease(NEWS._replace(throttled_age_s=0.0))).fraction < 1.0


async def test_a_key_of_a_wrong_type_concerns_its_workspace_alone(
    server: RedisServer, store: RedisRateStore
) -> None:
    """Other workspaces and the registration go on."""
    with server.client() as client:
        client.set(KEY, "a text")
    assert await kind_of(store) == ("type", True)
    assert (await store.lease(ASK._replace(workspace="other"))).tokens == 5
    assert await store.register() == 1


async def test_a_redis_that_is_not_there(store: RedisRateStore, server: RedisServer) -> None:
    """It is said at once, and the next lease after its return comes."""
    await store.lease(ASK)
    server.kill()
    assert await kind_of(store) == ("connection", False)
    server.start()
    assert (await store.lease(ASK)).tokens == 5


async def test_a_redis_that_hangs(store: RedisRateStore, server: RedisServer) -> None:
    """A lease ends in time, and late answers are not taken for those of later leases."""
    await store.lease(ASK)
    server.signal(signal.SIGSTOP)
    began = time.monotonic()
    assert await kind_of(store) == ("timeout", False)
    assert time.monotonic() - began < 1.0
    await asyncio.gather(*(kind_of(store) for _ in range(20)))
    server.signal(signal.SIGCONT)
    assert [(await store.lease(ASK._replace(wanted=n))).tokens for n in (1, 2, 3)] == [1, 2, 3]
    assert await store.register() == 1


async def test_a_slow_redis(server: RedisServer) -> None:
    """Slower than a fifth of a second is away; faster is used."""
    async with slow_proxy(server.port) as proxy, opened(proxy.url) as store:
        await store.lease(ASK)
        proxy.delay_s = TIMEOUT_S / 4
        assert (await store.lease(ASK)).tokens == 5
        proxy.delay_s = 2 * TIMEOUT_S
        assert await kind_of(store) == ("timeout", False)
        proxy.delay_s = 0.0
        assert (await store.lease(ASK._replace(wanted=2))).tokens == 2


def _read_only(client: redis.Redis) -> None:
    client.replicaof("127.0.0.1", str(free_port()))


def _full(client: redis.Redis) -> None:
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")


@pytest.mark.parametrize(
    ("trouble", "kind"), [(_read_only, "read_only"), (_full, "memory")], ids=["replica", "full"]
)
async def test_a_redis_that_takes_no_writes(
    server: RedisServer,
    store: RedisRateStore,
    trouble: Callable[[redis.Redis], None],
    kind: str,
) -> None:
    """Leases and registrations say so: the store is away for all workspaces."""
    await store.lease(ASK)
    with server.client() as client:
        trouble(client)
    assert await kind_of(store) == (kind, False)
    with pytest.raises(RateStoreError) as raised:
        await store.register()
    assert raised.value.kind == kind


async def test_a_password(tmp_path: Path) -> None:
    """A wrong one, or none, is an error of its own; the right one in the URL works."""
    with redis_server(tmp_path, "--requirepass", "p@ss/word") as server:
        place = f"127.0.0.1:{server.port}/0"
        for user in ("", ":wrong@"):
            async with opened(f"redis://{user}{place}") as store:
                assert await kind_of(store) == ("auth", False)
        async with opened(f"redis://:p%40ss%2Fword@{place}") as store:
            assert (await store.lease(ASK)).tokens == 5


async def test_tls_and_a_unix_socket(tmp_path: Path) -> None:
    """The certificate is verified; ssl_ca_certs in the URL names who signs it."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    tls_port = free_port()
    flags = [
        *("--tls-port", str(tls_port), "--tls-auth-clients", "no"),
        *(
            "--tls-cert-file",
            str(tmp_path / "cert.pem"),
            "--tls-key-file",
            str(tmp_path / "key.pem"),
        ),
        *("--tls-ca-cert-file", str(tmp_path / "ca.pem"), "--unixsocket", str(tmp_path / "socket")),
    ]
    with redis_server(tmp_path, *flags):
        url = f"rediss://127.0.0.1:{tls_port}/0"
        async with opened(f"{url}?ssl_ca_certs={tmp_path / 'ca.pem'}") as store:
            await store.register()
            assert (await store.lease(ASK)).tokens == 5
        async with opened(url) as store:
            with pytest.raises(RateStoreError) as raised:
                await store.register()
            assert raised.value.kind == "connection"
        async with opened(f"unix://{tmp_path / 'socket'}") as store:
            assert (await store.lease(ASK._replace(wanted=1))).tokens == 1


async def test_many_workspaces_at_once(store: RedisRateStore) -> None:
    """Leases that are asked for together go together."""
    asks = [ASK._replace(workspace=f"w{number}") for number in range(500)]
    leases = await asyncio.gather(*map(store.lease, asks))
    assert {lease.tokens for lease in leases} == {5}
