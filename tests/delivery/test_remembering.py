"""What is known of a workspace is kept while it means something, and no longer."""

import gc
import json

import pytest
from ciosidecar_server.delivery import dispatcher
from ciosidecar_server.delivery.workspace_queue import WorkspaceQueue

from tests.conftest import Connect
from tests.delivery.caller import caller, track
from tests.fake_customerio import HOLD, OK, Received, Reply, fake_customerio

MANY = 1_100
# As long as a hundred requests at a time take on a busy machine, and less than any pause below.
LONG_S = 60


def configs(number: int) -> list[bytes]:
    return [json.dumps({"siteID": f"site-{n}", "apiKey": "key"}).encode() for n in range(number)]


def workspaces() -> set[WorkspaceQueue]:
    """The workspaces that are kept. Those of an earlier test may go at any time: count what is new."""
    gc.collect()
    return {found for found in gc.get_objects() if type(found) is WorkspaceQueue}


async def test_pauses_of_many_workspaces_are_not_forgotten(connect: Connect) -> None:
    """1,100 that are throttled for ten minutes are each asked once, however often there is something for them."""
    async with fake_customerio() as customerio:
        customerio.rule = lambda _request: Reply(429, headers={"Retry-After": "300"})
        stub = await connect(customerio_url=customerio.url)
        async with caller(stub, *configs(MANY)) as one:
            for turn in range(3):
                for n in range(1, MANY + 1):
                    await one.send(turn * MANY + n, track("1"), number=n, timeout_s=LONG_S)
                for n in range(1, MANY + 1):
                    assert (await one.told(turn * MANY + n)).code == "THROTTLED"
            assert len(customerio.requests) == MANY


async def test_the_regions_of_many_workspaces_are_not_forgotten(connect: Connect) -> None:
    """Each is redirected once."""
    async with fake_customerio() as us, fake_customerio() as eu:

        def elsewhere(request: Received) -> Reply:
            return Reply(307, headers={"Location": eu.url + request.path})

        us.rule = elsewhere
        stub = await connect(customerio_url=us.url, customerio_eu_url=eu.url)
        async with caller(stub, *configs(MANY)) as one:
            for turn in range(2):
                for n in range(1, MANY + 1):
                    await one.send(turn * MANY + n, track("1"), number=n, timeout_s=LONG_S)
                for n in range(1, MANY + 1):
                    assert (await one.told(turn * MANY + n)).status == 200
            assert (len(us.requests), len(eu.requests)) == (MANY, 2 * MANY)


async def test_what_is_used_of_a_rate_is_not_forgotten(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workspace that has used its rate waits for more of it, however many others came since."""
    monkeypatch.setattr(dispatcher, "_FEW_WORKSPACES", 2)
    async with fake_customerio() as customerio:
        stub = await connect(customerio_url=customerio.url, delivery_rate=0.01)
        async with caller(stub, *configs(4)) as one:
            for n in range(1, 5):
                await one.send(n, track("1"), number=n, timeout_s=LONG_S)
                assert (await one.told(n)).status == 200
            await one.send(5, track("2"), number=1, timeout_s=0.2)
            assert (await one.told(5)).code == "UPSTREAM_TIMEOUT"
            assert len(customerio.requests) == 4


async def test_a_workspace_with_events_is_never_forgotten(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's second event waits for the first one, though more workspaces came than are remembered. Others go."""
    before = workspaces()
    monkeypatch.setattr(dispatcher, "_FEW_WORKSPACES", 2)
    monkeypatch.setattr(dispatcher, "_MOST_REMEMBERED", 0)
    async with fake_customerio() as customerio:
        customerio.answers(HOLD, then=OK)
        stub = await connect(customerio_url=customerio.url)
        async with caller(stub, *configs(4)) as one:
            await one.send(1, track("first"), number=1)
            (held,) = await customerio.arrived(1)
            for n in range(2, 5):
                await one.send(n, track("other"), number=n)
                assert (await one.told(n)).status == 200
            await one.send(5, track("second"), number=1)
            await one.send(6, track("other"), number=4)
            assert (await one.told(6)).status == 200
            assert "second" not in customerio.names
            assert len(workspaces() - before) == 2
            held.release()
            assert (await one.told(5)).status == 200


async def test_of_workspaces_that_do_well_nothing_is_kept(connect: Connect) -> None:
    """Of 2,500, one after another, a thousand at the most."""
    before = workspaces()
    async with fake_customerio() as customerio:
        customerio.rule = lambda _request: OK
        stub = await connect(customerio_url=customerio.url)
        async with caller(stub, *configs(2_500)) as one:
            for n in range(1, 2_501):
                await one.send(n, track("1"), number=n, timeout_s=LONG_S)
                await one.told(n)
            assert len(workspaces() - before) <= 1_001
