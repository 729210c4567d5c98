"""No caller makes the sidecar call another address, another path or another request than its event is about."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from ciosidecar import v1
from grpc import aio

from tests.conftest import opened
from tests.delivery.caller import AUTHORIZATION, Caller, put, track
from tests.fake_customerio import FakeCustomerio, fake_customerio
from tests.processes import server
from tests.telemetry.support import stream_of

pytestmark = pytest.mark.serial

CONFIG = {"siteID": "site", "apiKey": "a-secret-key"}
NASTY_IDS = (
    "..",
    ".",
    "../../../sandbox/reset",
    "%2e%2e",
    "%2e%2e%2fother",
    "a/b",
    "a?b=c",
    "a#b",
    "a;b",
    "a\\..\\b",
    "a\r\nHost: evil.example\r\n\r\n",
    "a\x00b",
    "a HTTP/1.1\r\nX: y",
    "\u202eevil",
    "a\uff0fb",
)


@pytest.fixture
async def both() -> AsyncIterator[tuple[FakeCustomerio, FakeCustomerio]]:
    """The Customer.io that the server was told of, and a server that nobody told it of."""
    async with fake_customerio() as customerio, fake_customerio() as elsewhere:
        yield customerio, elsewhere


async def test_an_id_is_one_segment_of_the_path(
    both: tuple[FakeCustomerio, FakeCustomerio],
) -> None:
    """Whatever it is: it is percent-encoded, or its event is refused; no request has another form."""
    customerio, _ = both
    with server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as running:
        async with stream_of(running, ("", json.dumps(CONFIG).encode())) as caller:
            events = [
                event
                for name in NASTY_IDS
                for event in (track("E", name), {"type": "identify", "userId": name})
            ]
            await caller.send(1, *events)
            told = await caller.told_all(1)
    assert {each.status for each in told} == {200, 400}
    assert len(customerio.requests) == sum(each.status == 200 for each in told) > len(NASTY_IDS)
    for request in customerio.requests:
        assert re.fullmatch(
            r"/api/v1/customers/[A-Za-z0-9._~%!$&'()*+,;=:@-]+(/events)?", request.path
        )
        assert request.headers["host"] == customerio.url.partition("//")[2]
        assert request.headers["authorization"] == AUTHORIZATION
        assert request.person not in (".", "..", "%2e%2e", "%2E%2E")


async def test_no_setting_of_a_destination_names_an_address(
    both: tuple[FakeCustomerio, FakeCustomerio],
) -> None:
    """Neither a setting that there is, nor one that a caller makes up."""
    customerio, elsewhere = both
    keys = ("datacenter", "region", "datacenterEU", "url", "host", "baseUrl", "customerio_url")
    with server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as running:
        for key in keys:
            config = json.dumps(CONFIG | {key: elsewhere.url}).encode()
            async with stream_of(running, ("", config)) as caller:
                await caller.send(1, track("E", "u1"))
                (told,) = await caller.told_all(1)
                assert told.status in (200, 400), key
    assert customerio.requests
    assert elsewhere.requests == []


def prepared(url: str, **headers: str) -> v1.BatchItem:
    """A prepared request with headers of the caller's own."""
    item = put(url)
    item.headers.update({name.replace("_", "-"): text for name, text in headers.items()})
    return v1.BatchItem(prepared=item)


async def test_a_prepared_request_goes_to_customerio_or_nowhere(
    both: tuple[FakeCustomerio, FakeCustomerio],
) -> None:
    """Other addresses, paths that climb, and header fields that would split or smuggle a request."""
    customerio, elsewhere = both
    good = "https://track.customer.io/api/v1/customers/u1"
    refused = [
        prepared(f"{elsewhere.url}/api/v1/customers/u1"),
        prepared(f"https://track.customer.io@{elsewhere.url[7:]}/api/v1/customers/u1"),
        prepared("https://track.customer.io/api/v1/../../sandbox/reset"),
        prepared("https://track.customer.io/api/v1/customers/%2e%2e/%2e%2e/x"),
        prepared(f"{good} HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
        prepared(good, Authorization="Basic x\r\nHost: evil.example"),
        prepared(good, Content_Type="text/plain\nTransfer-Encoding: chunked"),
        prepared(good, Authorization="Basic \x00"),
    ]
    smuggling = prepared(
        good,
        Host="evil.example",
        Content_Length="0",
        Transfer_Encoding="chunked",
        Connection="upgrade",
        User_Agent="a\r\nX-Injected: 1",
        X_Injected="1",
    )
    with server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as running:
        async with stream_of(running) as caller:
            await caller.send(1, *refused, smuggling)
            told = await caller.told_all(1)
    assert [each.code for each in told[:-1]] == ["INVALID_ITEM"] * len(refused)
    assert told[-1].status == 200
    (request,) = customerio.requests
    assert request.headers["host"] == customerio.url.partition("//")[2]
    assert request.headers["content-length"] == str(len(request.body))
    assert request.headers["user-agent"].startswith("ciosidecar/")
    assert not request.headers.keys() & {"transfer-encoding", "connection", "x-injected"}
    assert elsewhere.requests == []


async def test_credentials_cannot_split_a_header(
    both: tuple[FakeCustomerio, FakeCustomerio],
) -> None:
    """They are encoded as the Basic scheme has it, or refused."""
    customerio, _ = both
    with server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as running:
        for key in ("a\r\nHost: evil.example", "a\x00b", "a\u0085b"):
            config = json.dumps(CONFIG | {"apiKey": key, "siteID": key}).encode()
            async with stream_of(running, ("", config)) as caller:
                await caller.send(1, track("E", "u1"))
                (told,) = await caller.told_all(1)
            assert told.status in (200, 400)
    for request in customerio.requests:
        assert re.fullmatch(r"Basic [A-Za-z0-9+/=]+", request.headers["authorization"])
        assert request.headers["host"] == customerio.url.partition("//")[2]


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_a_caller_cannot_forge_a_log_line(log_format: str) -> None:
    """Its name, its version and its ref have control characters, which reach no terminal and begin no line."""
    forged = 'x\n{"level": "error", "message": "forged"}\r\x1b[31m\x1b]0;title\x07\u2028\x9b31m'
    async with fake_customerio() as customerio:
        flags = ("--log-format", log_format, "--log-level", "debug")
        url = ("--customerio-url", customerio.url)
        with server("--listen", "127.0.0.1:0", *flags, *url) as running:
            async with aio.insecure_channel(running.addresses[0]) as channel:
                destination: dict[str, Any] = {"config_json": b'{"siteID": "s"}'}
                call, _ = await opened(
                    v1.SidecarServiceStub(channel),
                    client_name=forged,
                    client_version=forged,
                    destinations=[
                        v1.Destination(reference_id=1, destination_ref=forged, **destination)
                    ],
                )
                caller = Caller(call)
                await caller.send(1, track("E", "u1"))
                await caller.told_all(1)
                await caller.vanish()
            running.process.terminate()
            _, errors = running.end()
    assert "forged" in errors  # the ref is named, as text
    for line in errors.split("\n"):
        assert all(character.isprintable() for character in line), line
        assert not line.startswith('{"level": "error", "message": "forged"')
