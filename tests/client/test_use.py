"""Mistakes of callers raise at the caller's own line."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from ciosidecar import (
    AsyncClient,
    Client,
    Destination,
    StreamOptions,
    Tls,
)
from ciosidecar_server.testing import async_server, server

from tests.client.both import CONFIG, TRACK

both_clients = pytest.mark.parametrize("make", [Client, AsyncClient], ids=["sync", "async"])


USES: dict[str, Callable[[Any], Any]] = {
    "send": lambda stream: stream.send(TRACK),
    "send_batch": lambda stream: stream.send_batch([TRACK]),
    "finish": lambda stream: stream.finish(),
    "map": lambda stream: stream.map([TRACK]),
    "cancel": lambda stream: stream.cancel(),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("use", [*USES, "iterate"])
def test_a_stream_without_its_block_raises_at_once(use: str) -> None:
    """Whatever is called first says that a with block is missing."""
    with server() as sidecar, Client(sidecar.address) as client:
        stream = client.stream(CONFIG)
        with pytest.raises(RuntimeError, match=r"`with client\.stream"):
            iter(stream) if use == "iterate" else USES[use](stream)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("use", [*USES, "iterate"])
async def test_an_async_stream_without_its_block_raises_at_once(use: str) -> None:
    """Whatever is called first says that an async with block is missing."""
    async with async_server() as sidecar, AsyncClient(sidecar.address) as client:
        stream = client.stream(CONFIG)

        async def use_it() -> None:
            awaitable = aiter(stream) if use == "iterate" else USES[use](stream)
            if asyncio.iscoroutine(awaitable):
                await awaitable

        with pytest.raises(RuntimeError, match=r"`async with client\.stream"):
            await use_it()


def test_a_stream_is_entered_once() -> None:
    """A second block says that another stream is needed."""
    with server() as sidecar, Client(sidecar.address) as client, client.stream(CONFIG) as stream:
        with pytest.raises(RuntimeError, match="another one"):
            stream.__enter__()
        stream.finish()


async def test_an_async_stream_is_entered_once() -> None:
    """A second block says that another stream is needed."""
    async with (
        async_server() as sidecar,
        AsyncClient(sidecar.address) as client,
        client.stream(CONFIG) as stream,
    ):
        with pytest.raises(RuntimeError, match="another one"):
            await stream.__aenter__()


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_batch_events": 0},
        {"max_batch_bytes": 0},
        {"max_outstanding_events": -1},
        {"max_outstanding_bytes": 0},
        {"linger_s": -0.1},
        {"reconnect_for_s": -1},
        {"timeout_s": -1},
        {"max_receive_bytes": 65_535},
        {"max_receive_bytes": (64 << 20) + 1},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """The error names the option."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StreamOptions(**wrong)


@both_clients
@pytest.mark.parametrize(
    "address",
    [
        *("", "localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "http://127.0.0.1:1"),
        *("host name:1", "unix:", "dns:///name", "::1:50550", "127.0.0.1:port", "127.0.0.1:1\n"),
    ],
)
async def test_a_malformed_address_is_refused_when_it_is_given(make: Any, address: str) -> None:
    """Not by a call that goes nowhere for a minute."""
    with pytest.raises(ValueError, match="no address"):
        make(address)
    with pytest.raises(ValueError, match="no address"):
        make(["127.0.0.1:1", address])


@both_clients
async def test_a_unix_socket_has_no_tls(make: Any) -> None:
    """A sidecar speaks none there: the calls could only fail."""
    with pytest.raises(ValueError, match="no TLS"):
        make("unix:/run/sidecar.sock", tls=Tls())


@pytest.mark.parametrize(
    "make",
    [lambda: Destination("{}"), lambda: Destination(b"{}", ref=5)],  # type: ignore[arg-type]
    ids=["config", "ref"],
)
def test_a_destination_of_a_wrong_type_is_refused(make: Any) -> None:
    """At the caller's own line."""
    with pytest.raises(TypeError, match=r"bytes|string"):
        make()


@pytest.mark.parametrize("make", [lambda: Destination(None), lambda: Destination.by_ref("")])
def test_a_destination_with_neither_config_nor_ref_is_refused(make: Any) -> None:
    """Its declaration would fail the whole stream."""
    with pytest.raises(ValueError, match="needs the ref"):
        make()


async def test_a_destination_may_be_named_by_its_ref_alone() -> None:
    """It equals only another one of the same ref without config."""
    named = Destination.by_ref("shop")
    assert (named.config, named.ref) == (None, "shop")
    assert named == Destination.by_ref("shop") != Destination(b"{}", "shop")
