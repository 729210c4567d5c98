"""A connection that TLS finds corrupt is a lost connection: streams go on over a new one."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import trustme
from ciosidecar import AsyncClient, CallFailed, Client, Tls, Unavailable

from tests.chaos.proxy import Link, Proxy
from tests.client.both import plain, run_async, run_sync
from tests.client.scripted import Connection, scripted
from tests.processes import server
from tests.security.pem import NAMES, Files

CONFIG = {"siteID": "site", "apiKey": "key"}
TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
DICE = random.Random(1)
kinds = pytest.mark.parametrize("kind", ["corrupt before", "corrupt after"])


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Link, Tls]]:
    """A sidecar with TLS behind a proxy."""
    authority = trustme.CA()
    files = Files(tmp_path_factory.mktemp("tls")).write(authority.issue_cert(*NAMES))
    with server("--listen", "127.0.0.1:0", *files.flags) as sidecar, Proxy() as proxy:
        host, _, port = sidecar.addresses[0].rpartition(":")
        yield (
            proxy,
            proxy.link("caller", (host, int(port))),
            Tls(root_certificates=authority.cert_pem.bytes()),
        )


@pytest.mark.timeout(60)
@kinds
def test_a_stream_goes_on_over_a_new_connection(
    proxied: tuple[Proxy, Link, Tls], kind: str
) -> None:
    """The event that was on its way is sent again, and answered once."""
    proxy, link, tls = proxied
    with (
        Client(f"localhost:{link.port}", tls=tls) as client,
        client.stream(CONFIG) as stream,
    ):
        answers = iter(stream)
        stream.send(TRACK, "first")
        assert next(answers).attachment == "first"
        assert proxy.inject("caller", kind, DICE)
        stream.send(TRACK, "second")
        stream.finish()
        assert [(one.attachment, one.result.status) for one in answers] == [("second", 200)]
        assert stream.reconnects == 1


@pytest.mark.timeout(60)
@kinds
def test_an_async_stream_goes_on_over_a_new_connection(
    proxied: tuple[Proxy, Link, Tls], kind: str
) -> None:
    """As a stream of threads does."""
    proxy, link, tls = proxied

    async def run() -> Any:
        async with (
            AsyncClient(f"localhost:{link.port}", tls=tls) as client,
            client.stream(CONFIG) as stream,
        ):
            answers = aiter(stream)
            await stream.send(TRACK, "first")
            assert (await anext(answers)).attachment == "first"
            assert proxy.inject("caller", kind, DICE)
            await stream.send(TRACK, "second")
            stream.finish()
            return [(one.attachment, one.result.status) async for one in answers]

    assert asyncio.run(run()) == [("second", 200)]


@pytest.mark.timeout(60)
def test_a_call_is_unavailable(proxied: tuple[Proxy, Link, Tls]) -> None:
    """It is unknown what became of it, as with any lost connection: Unavailable, not CallFailed."""
    proxy, link, tls = proxied
    with Client(f"localhost:{link.port}", tls=tls) as client:
        for _ in range(20):
            assert client.transform([TRACK], CONFIG)[0].status == 200
            assert proxy.inject("caller", "corrupt after", DICE)
            # A frame that belongs to no call may be the corrupt one: then the call succeeds.
            try:
                client.transform([TRACK], CONFIG)
            except Unavailable:
                return
    pytest.fail("no call met the corrupt bytes")


@pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])
def test_the_status_that_grpc_makes_up_is_a_lost_connection(run: Any) -> None:
    """Whether gRPC makes it up depends on the byte that was changed: here every stream meets it once."""

    def breaks(connection: Connection) -> None:
        connection.open()
        assert connection.batch() is not None
        connection.fail(grpc.StatusCode.UNKNOWN, "Stream removed (TCP: 127.0.0.1:1)")

    def answers_all(connection: Connection) -> None:
        connection.open()
        connection.answer_everything()

    with scripted(breaks, answers_all) as (address, _):
        answers, reconnects = run(address, plain([TRACK]))
    assert ([one.result.status for one in answers], reconnects) == ([200], 1)


@pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])
def test_an_unknown_status_of_the_sidecar_is_none(run: Any) -> None:
    """The stream ends with it: what is not gRPC's own would come again."""

    def breaks(connection: Connection) -> None:
        connection.open()
        assert connection.batch() is not None
        connection.fail(grpc.StatusCode.UNKNOWN, "a defect")

    with (
        scripted(breaks) as (address, sidecar),
        pytest.raises(CallFailed, match="UNKNOWN: a defect"),
    ):
        run(address, plain([TRACK]))
    assert len(sidecar.connections) == 1
