"""CheckDestination with probe: what Customer.io says of a destination's credentials and region."""

import json
from typing import Any

import pytest
from ciosidecar import v1

from tests.conftest import Connect, Stub
from tests.delivery.caller import AUTHORIZATION, CONFIG
from tests.fake_customerio import (
    GONE,
    HOLD,
    Answer,
    Raw,
    Received,
    Reply,
    fake_customerio,
)

PATH = "/api/v1/accounts/region"
EU_CONFIG = b'{"siteID": "site", "apiKey": "a-secret-key", "datacenter": "EU"}'


def region(name: str, environment_id: Any = 42) -> Reply:
    told = {"url": "https://x", "region": name, "environment_id": environment_id}
    return Reply(200, json.dumps(told).encode())


async def check(stub: Stub, config: bytes = CONFIG, *, probe: bool = True) -> Any:
    request = v1.CheckDestinationRequest(
        destination=v1.Destination(reference_id=1, config_json=config), probe=probe
    )
    return await stub.CheckDestination(request, timeout=20)


async def test_good_credentials(connect: Connect) -> None:
    """Accepted, with region and workspace; one GET with the credentials, and no body."""
    async with fake_customerio() as customerio:
        customerio.answers(region("us"))
        found = await check(await connect(customerio_url=customerio.url))
        assert (found.usable, list(found.problems)) == (True, [])
        assert found.probe.credentials_accepted
        assert (found.probe.region, found.probe.environment_id) == (
            v1.Region.Value("REGION_US"),
            42,
        )
        assert found.probe.reason == ""
        (request,) = customerio.requests
        assert (request.method, request.path, request.body) == ("GET", PATH, b"")
        assert request.headers["authorization"] == AUTHORIZATION


@pytest.mark.parametrize("status", [401, 403])
async def test_wrong_credentials(connect: Connect, status: int) -> None:
    """Not accepted, in Customer.io's words; the settings as such are usable, and nothing is quoted."""
    async with fake_customerio() as customerio:
        customerio.answers(Reply(status, b'{"meta": {"error": "Unauthorized request"}}'))
        found = await check(await connect(customerio_url=customerio.url))
        assert not found.probe.credentials_accepted
        assert found.probe.reason == f"Customer.io answered {status}: Unauthorized request"
        assert found.probe.region == 0
        assert "secret" not in str(found)


async def test_another_region_is_a_problem(connect: Connect) -> None:
    """The workspace lives in the EU and the settings say US: usable, but it should be set."""
    async with fake_customerio() as us, fake_customerio() as eu:
        stub = await connect(customerio_url=us.url, customerio_eu_url=eu.url)
        us.answers(region("eu"))
        found = await check(stub)
        assert (found.usable, found.probe.credentials_accepted) == (True, True)
        assert found.probe.region == v1.Region.Value("REGION_EU")
        (problem,) = found.problems
        assert (problem.key, problem.fatal) == ("datacenter", False)
        assert "EU" in problem.message
        assert (len(us.requests), len(eu.requests)) == (1, 0)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (b'"datacenter": "EU"', "datacenter"),
        (b'"region": "EU"', "region"),
        (b'"datacenterEU": true', "datacenterEU"),
        (b'"datacenter": "", "datacenterEU": true', "datacenterEU"),
        (b'"datacenter": "EU", "datacenterEU": true', "datacenter"),
    ],
)
async def test_a_region_where_requests_fail_is_fatal(
    connect: Connect, settings: bytes, key: str
) -> None:
    """A workspace in the US and settings that say EU: not usable, under the key that says so."""
    config = b'{"siteID": "site", "apiKey": "a-secret-key", %b}' % settings
    async with fake_customerio() as us, fake_customerio() as eu:
        stub = await connect(customerio_url=us.url, customerio_eu_url=eu.url)
        eu.answers(region("us"))
        found = await check(stub, config)
        assert (found.usable, found.probe.credentials_accepted) == (False, True)
        (problem,) = found.problems
        assert (problem.key, problem.fatal) == (key, True)
        assert '"US"' in problem.message


async def test_the_region_that_is_set_is_asked(connect: Connect) -> None:
    """EU settings ask the EU host."""
    async with fake_customerio() as us, fake_customerio() as eu:
        stub = await connect(customerio_url=us.url, customerio_eu_url=eu.url)
        eu.answers(region("eu"))
        found = await check(stub, EU_CONFIG)
        assert found.probe.credentials_accepted
        assert list(found.problems) == []
        assert (len(us.requests), len(eu.requests)) == (0, 1)


async def test_a_redirect_to_the_other_region_is_followed(connect: Connect) -> None:
    """With the credentials, as Customer.io may answer instead."""
    async with fake_customerio() as us, fake_customerio() as eu:
        stub = await connect(customerio_url=us.url, customerio_eu_url=eu.url)
        us.answers(Reply(301, b"", {"Location": eu.url + PATH}))
        eu.answers(region("eu"))
        found = await check(stub)
        assert found.probe.region == v1.Region.Value("REGION_EU")
        assert [problem.key for problem in found.problems] == ["datacenter"]
        assert eu.requests[0].headers["authorization"] == AUTHORIZATION


async def test_a_redirect_elsewhere_is_not_followed(connect: Connect) -> None:
    """Its status is the reason; the third server sees nothing."""
    async with fake_customerio() as us, fake_customerio() as elsewhere:
        stub = await connect(customerio_url=us.url)
        us.answers(Reply(302, b"", {"Location": elsewhere.url + PATH}))
        found = await check(stub)
        assert not found.probe.credentials_accepted
        assert found.probe.reason == "Customer.io answered 302"
        assert elsewhere.requests == []


async def test_redirects_without_end_are_left(connect: Connect) -> None:
    """After a few."""

    def around(request: Received) -> Answer:
        return Reply(307, b"", {"Location": f"http://{request.headers['host']}{PATH}"})

    async with fake_customerio() as customerio:
        customerio.rule = around
        found = await check(await connect(customerio_url=customerio.url))
        assert found.probe.reason == "Customer.io answered 307"
        assert len(customerio.requests) <= 4


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Reply(200, b"<html>hello</html>"), "is not Customer.io"),
        (Reply(200, b""), "is not Customer.io"),
        (Reply(200, b"{}"), "is not Customer.io"),
        (Reply(200, b"[]"), "is not Customer.io"),
        (Reply(200, b'{"region": 1}'), "is not Customer.io"),
        (Reply(404, b"nothing here"), "Customer.io answered 404"),
        (Reply(500), "Customer.io answered 500"),
        (Raw(b"garbage\r\n\r\n"), "no complete HTTP answer"),
        (GONE, "127.0.0.1"),
        (HOLD, "no answer from"),
    ],
    ids=["HTML", "empty", "object", "array", "number", "404", "500", "garbage", "closed", "silent"],
)
async def test_what_is_not_customerio_accepts_nothing(
    connect: Connect, answer: Answer, reason: str
) -> None:
    """Whatever answers, or does not: the credentials are not known to be good, and why."""
    async with fake_customerio() as customerio:
        customerio.answers(then=answer)
        # A short time limit only where no answer comes: a busy machine may take longer for one.
        timeout_s = 0.5 if answer is HOLD else 15
        stub = await connect(customerio_url=customerio.url, request_timeout_s=timeout_s)
        found = await check(stub)
        assert found.usable
        assert not found.probe.credentials_accepted
        assert reason in found.probe.reason


@pytest.mark.parametrize("environment_id", [-1, 2**64, "7", True, None, 1.5])
async def test_a_strange_workspace_number_is_left_out(
    connect: Connect, environment_id: Any
) -> None:
    """0 in its place; the rest counts. A region that is not known yet is none."""
    async with fake_customerio() as customerio:
        customerio.answers(region("apac", environment_id))
        found = await check(await connect(customerio_url=customerio.url))
        assert found.probe.credentials_accepted
        assert (found.probe.region, found.probe.environment_id) == (0, 0)


async def test_without_probe_nobody_is_asked(connect: Connect) -> None:
    """Nor where the settings cannot work at all."""
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url)
        assert not (await check(stub, probe=False)).HasField("probe")
        assert not (await check(stub, b"{}")).HasField("probe")
        assert customerio.requests == []
