"""A client whose first connection never comes: its calls fail in time and say why."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trustme
from ciosidecar import AsyncClient, Client, Closed, StreamOptions, Tls, Unavailable
from ciosidecar_server.testing import async_server, server

from tests.client.both import CONFIG, TRACK, plain, run_async, run_sync
from tests.client.scripted import Connection, scripted

both_streams = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])
both_clients = pytest.mark.parametrize("make", [Client, AsyncClient], ids=["sync", "async"])


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address whose port is taken, and at which nobody listens."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """An address at which connections are accepted and never answered."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def fails(run: Any, address: str, timeout_s: float = 0.5, **options: Any) -> str:
    """Return the error of a stream, which must come soon after the time limit."""
    began = time.monotonic()
    with pytest.raises(Unavailable) as raised:
        run(address, plain([TRACK]), connect_timeout_s=timeout_s, **options)
    assert timeout_s <= time.monotonic() - began < timeout_s + 5
    return str(raised.value)


@both_streams
def test_nobody_listens(run: Any, nobody: str) -> None:
    """The error has the address and the reason."""
    error = fails(run, nobody)
    assert error.startswith(f"no answer for 0.5 s from {nobody}: ")
    assert "Connection refused" in error


@both_streams
def test_a_listener_that_never_answers(run: Any, silent: str) -> None:
    """An attempt to connect takes no longer than the time limit."""
    assert f"from {silent}" in fails(run, silent)


@both_streams
def test_a_name_that_is_not_found(run: Any) -> None:
    """No name ends in .invalid (RFC 2606)."""
    error = fails(run, "sidecar.invalid:50550", 1)
    assert re.search("DNS|resol|not known|not found", error), error


@both_streams
def test_an_authority_that_the_client_does_not_know(run: Any, tmp_path: Path) -> None:
    """The reason is TLS's."""
    ours, theirs = trustme.CA(), trustme.CA()
    leaf = theirs.issue_cert("127.0.0.1")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    leaf.private_key_pem.write_to_path(key)
    leaf.cert_chain_pems[0].write_to_path(certificate)
    with server(tls_key=key, tls_cert=certificate) as sidecar:
        tls = Tls(root_certificates=ours.cert_pem.bytes())
        assert "CERTIFICATE_VERIFY_FAILED" in fails(run, sidecar.address, 2, tls=tls)


@both_streams
def test_a_sidecar_that_starts_late_is_in_time(run: Any, nobody: str) -> None:
    """The stream tries again until then."""
    # Another loopback address: the port is free there.
    address = nobody.replace("127.0.0.1", "127.0.0.2")
    late = server(listen=(address,))
    starting = threading.Timer(0.3, late.__enter__)
    starting.start()
    try:
        answers, reconnects = run(address, plain([TRACK]))
    finally:
        starting.join()
        late.__exit__(None, None, None)
    assert answers[0].result.ok
    assert reconnects > 0


@both_streams
def test_a_lost_connection_has_the_streams_own_time_limit(run: Any) -> None:
    """Once a sidecar answered, the time limit of the first connection is over."""

    def lose(connection: Connection) -> None:
        connection.open()

    begins = time.monotonic()
    with scripted(lose) as (address, _), pytest.raises(Unavailable, match="no answer for 1 s"):
        run(
            address,
            plain([TRACK]),
            StreamOptions(reconnect_for_s=1),
            connect_timeout_s=0.05,
        )
    assert time.monotonic() - begins > 1


def test_a_call_to_nobody_fails_at_once(nobody: str) -> None:
    """After the retries of the call."""
    began = time.monotonic()
    with Client(nobody) as client, pytest.raises(Unavailable, match="Connection refused"):
        client.capabilities()
    assert time.monotonic() - began < 10


def test_a_call_to_a_listener_that_never_answers_fails_in_time(silent: str) -> None:
    """The time limit of the call is thirty seconds, that of connecting less."""
    began = time.monotonic()
    with Client(silent, connect_timeout_s=0.5) as client, pytest.raises(Unavailable):
        client.capabilities()
    assert time.monotonic() - began < 10


@both_clients
@pytest.mark.parametrize("timeout_s", [0, -1])
async def test_a_time_limit_for_connecting_is_above_zero(make: Any, timeout_s: float) -> None:
    """The error names the option."""
    with pytest.raises(ValueError, match="connect_timeout_s"):
        make(connect_timeout_s=timeout_s)


def test_a_closed_client_raises_closed() -> None:
    """Calls and streams alike, also those that are under way."""
    with server() as sidecar:
        client = Client(sidecar.address)
        stream = client.stream(CONFIG)
        client.close()
        with pytest.raises(Closed, match="client was closed"):
            client.capabilities()
        with stream, pytest.raises(Closed):
            list(stream.map([TRACK]))


async def test_a_closed_asynchronous_client_raises_closed() -> None:
    """The same with asyncio."""
    async with async_server() as sidecar:
        client = AsyncClient(sidecar.address)
        stream = client.stream(CONFIG)
        await client.close()
        with pytest.raises(Closed, match="client was closed"):
            await client.capabilities()
        async with stream:
            with pytest.raises(Closed):
                [answer async for answer in stream.map([TRACK])]


def test_a_call_under_way_is_closed_with_its_client(silent: str) -> None:
    """From another thread."""
    client = Client(silent)
    closing_soon = threading.Timer(0.2, client.close)
    closing_soon.start()
    with pytest.raises(Closed):
        client.capabilities()
    closing_soon.join()
