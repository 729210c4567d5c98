"""What the metrics and the page say of workspaces: many of them, and those that several destinations share."""

import asyncio
from collections.abc import Iterator

import pytest
from ciosidecar_server.delivery.observer import WorkspaceLabel, WorkspaceSnapshot
from ciosidecar_server.telemetry.destination_names import DestinationNames
from ciosidecar_server.telemetry.workspace_sums import WorkspaceReader

from tests.admin.observed import row, state
from tests.delivery.caller import CONFIG, track
from tests.fake_customerio import Reply, fake_customerio
from tests.telemetry.support import delivering_server, metrics_of, stream_of, value

pytestmark = pytest.mark.serial
MANY = 50_000


class Workspaces:
    """Many workspaces, each with one job that waits, and the number of times that they were read."""

    def __init__(self) -> None:
        self.readings = 0

    def __call__(self) -> Iterator[WorkspaceSnapshot]:
        """Yield them."""
        self.readings += 1
        for number in range(MANY):
            label = WorkspaceLabel("https://track.customer.io", f"ref-{number}")
            refs = [label.destination_ref]
            yield WorkspaceSnapshot(label, refs, "ok", 9.0, 9.0, 0.0, 1, 0, 0, None, None)


async def test_a_reading_of_many_workspaces_lets_others_have_their_turns() -> None:
    """Those who ask meanwhile share it, also if the first of them goes away; every workspace is counted."""
    workspaces = Workspaces()
    reader = WorkspaceReader(DestinationNames(100), workspaces)
    impatient, *others = [asyncio.ensure_future(reader.read()) for _ in range(10)]
    turns = 0
    while not all(reading.done() for reading in others):
        await asyncio.sleep(0)
        turns += 1
        impatient.cancel()
    assert turns > 20
    sums = [reading.result() for reading in others]
    assert len(sums[0]) == 101
    assert sum(found.waiting for found in sums[0].values()) == MANY
    assert sums[0]["other"].states == {"ok": MANY - 100}
    assert all(found is sums[0] for found in sums)
    assert workspaces.readings == 1


async def test_who_asks_again_does_not_wait_for_the_next_reading() -> None:
    """The sums of the reading before are there at once: a scrape must not take as long as 100,000 workspaces."""
    workspaces = Workspaces()
    reader = WorkspaceReader(DestinationNames(100), workspaces)
    first = await reader.read()
    while workspaces.readings == 1:
        asking = reader.read()
        with pytest.raises(StopIteration) as answer:
            asking.send(None)
        assert answer.value.value is first
        await asyncio.sleep(0)


async def test_every_destination_of_a_workspace_shows_its_state() -> None:
    """Three destinations with the same credentials: each is refused, and an event in flight is counted once."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url, "--metrics-destinations", "2") as running,
        stream_of(running, *((ref, CONFIG) for ref in ("a", "b", "c", "d"))) as caller,
    ):
        customerio.answers(then=Reply(401))
        for number in range(1, 5):
            await caller.send(number, track("E", f"u{number}"), number=number)
            await caller.told_all(number)
        metrics = await metrics_of(running)
        found = await asyncio.to_thread(state, running)
    for ref in ("a", "b", "other"):
        labels = {"destination_ref": ref, "state": "credentials_refused"}
        assert value(metrics, "workspaces", **labels) == 1
        assert value(metrics, "rate_limit_full_requests_per_second", destination_ref=ref) == 900
        assert row(found, ref)["state"] == "credentials_refused"
        assert row(found, ref)["workspaces"] == 1
        assert row(found, ref)["more_destinations"] == 3
        assert row(found, ref)["last_failure"]["http_status"] == 401
