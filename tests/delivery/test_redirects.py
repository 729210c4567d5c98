"""Redirects between Customer.io's two regions are followed by hand, and no others."""

import logging

import pytest

from tests.conftest import Connect
from tests.delivery.caller import AUTHORIZATION, CONFIG, CONFIG_V2, caller, group, track
from tests.fake_customerio import Reply, fake_customerio


def redirect(to: str, status: int = 301) -> Reply:
    return Reply(status, b"", {"Location": to})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_the_other_region_gets_the_same_request(connect: Connect, status: int) -> None:
    """Method, path, body and credentials are kept; the event is delivered, with a warning."""
    async with fake_customerio() as us, fake_customerio() as eu:
        stub = await connect(customerio_url=us.url, customerio_eu_url=eu.url)
        async with caller(stub) as one:
            us.rule = lambda request: redirect(eu.url + request.path, status)
            await one.send(1, track("1"))
            told = await one.told(1)
            assert (told.status, told.warnings) == (200, ["WRONG_REGION"])
            assert told.delivery.attempts == 1
            (sent,), (followed,) = us.requests, eu.requests
            assert (followed.method, followed.path, followed.body) == (
                sent.method,
                sent.path,
                sent.body,
            )
            assert followed.headers["authorization"] == AUTHORIZATION


async def test_the_region_is_remembered(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """Later requests go there at once; the log says what to set."""
    async with fake_customerio() as us, fake_customerio() as eu:
        stub = await connect(customerio_url=us.url, customerio_eu_url=eu.url)
        async with caller(stub) as one:
            us.rule = lambda request: redirect(eu.url + request.path)
            with caplog.at_level(logging.WARNING, "ciosidecar_server"):
                await one.send(1, track("1"))
                assert (await one.told(1)).status == 200
            assert "set its destination's region" in caplog.text
            await one.send(2, track("2"), track("3"))
            assert [(told.status, told.warnings) for told in await one.told_all(2)] == [
                (200, [])
            ] * 2
            assert (len(us.requests), eu.names) == (1, ["1", "2", "3"])


async def test_a_batch_that_was_redirected_warns_every_item(connect: Connect) -> None:
    """Also where it has to be halved afterwards."""
    async with fake_customerio() as us, fake_customerio() as eu:
        stub = await connect(customerio_url=us.url, customerio_eu_url=eu.url)
        async with caller(stub, CONFIG_V2) as one:
            us.rule = lambda request: redirect(eu.url + request.path)
            eu.answers(Reply(413))
            await one.send(1, *(group(f"u{number}", f"g{number}") for number in range(4)))
            told = await one.told_all(1)
            assert [(each.status, each.warnings) for each in told] == [(200, ["WRONG_REGION"])] * 4


async def test_an_answer_of_the_other_region_counts(connect: Connect) -> None:
    """A refusal there is the event's refusal."""
    async with fake_customerio() as us, fake_customerio() as eu:
        stub = await connect(customerio_url=us.url, customerio_eu_url=eu.url)
        async with caller(stub) as one:
            us.rule = lambda request: redirect(eu.url + request.path)
            eu.answers(Reply(400))
            await one.send(1, track("1"))
            assert (await one.told(1)).status == 400


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_elsewhere_is_not_followed(connect: Connect, status: int) -> None:
    """A third server sees nothing: not the event and not the credentials. 503, worth another try."""
    async with fake_customerio() as us, fake_customerio() as elsewhere:
        stub = await connect(customerio_url=us.url, customerio_eu_url=us.url)
        async with caller(stub) as one:
            us.rule = lambda request: Reply(
                status, b"", {"Location": elsewhere.url + request.path, "Retry-After": "300"}
            )
            await one.send(1, track("1"))
            told = await one.told(1)
            assert (told.status, told.code, told.delivery.http_status) == (
                503,
                "UPSTREAM_FAILED",
                status,
            )
            assert told.detail.error.retryable
            # A proxy's login page redirects, too: without Customer.io's error, it is no region.
            assert "region" not in told.detail.error.message
            assert told.warnings == []
            assert elsewhere.requests == []


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "/api/v1/customers/u1/events",
        "//127.0.0.1/api",
        "javascript:alert(1)",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "{url}.evil.example/",
        "{user}/api/v1/customers/u1/events",
    ],
)
async def test_a_location_that_is_no_region_is_not_followed(
    connect: Connect, location: str | None
) -> None:
    """None, relative, of another scheme, broken, with a user in front: 503 with the redirect's status."""
    async with fake_customerio() as us:
        stub = await connect(customerio_url=us.url)
        async with caller(stub) as one:
            headers = {"Retry-After": "300"}
            if location is not None:
                user = us.url.replace("http://", "http://somebody@")
                headers["Location"] = location.format(url=us.url, user=user)
            us.rule = lambda _request: Reply(307, b"", headers)
            await one.send(1, track("1"))
            told = await one.told(1)
            assert (told.status, told.delivery.http_status) == (503, 307)
            assert len(us.requests) == 1


async def test_a_loop_of_redirects_ends(connect: Connect) -> None:
    """Two regions that send everything to each other: a bounded number of requests, and 503."""
    async with fake_customerio() as us, fake_customerio() as eu:
        stub = await connect(customerio_url=us.url, customerio_eu_url=eu.url)
        async with caller(stub, CONFIG) as one:
            us.rule = lambda request: Reply(
                308, b"", {"Location": eu.url + request.path, "Retry-After": "300"}
            )
            eu.rule = lambda request: Reply(
                308, b"", {"Location": us.url + request.path, "Retry-After": "300"}
            )
            await one.send(1, track("1"))
            told = await one.told(1)
            assert (told.status, told.delivery.http_status) == (503, 308)
            assert len(us.requests) + len(eu.requests) <= 4
