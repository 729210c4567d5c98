"""What strains a server costs bounded memory, and keeps no other caller waiting for long.

These are the short forms; `.venv/bin/python -m tests.resources` has the long ones, and docs/testing/resources.md
their figures. The bounds of time are wide: the machine may be busy.
"""

import gzip

import pytest
from ciosidecar import v1

from tests.conftest import CONFIG, batch, destination
from tests.fake_customerio import Reply, fake_customerio
from tests.processes import server
from tests.resources import scenarios
from tests.resources.others import TRACK
from tests.resources.process import MB, memory_bytes, others_of, stub_of
from tests.resources.scenarios import Figures

WAIT_S = 5.0


def bounded(found: Figures, most_bytes: int) -> None:
    assert found.grown_bytes < most_bytes, found
    assert found.p99_s < WAIT_S, found


async def test_events_nested_100_000_deep() -> None:
    """Twenty of them, of arrays and of objects."""
    bounded(await scenarios.nested(100_000), 60 * MB)


@pytest.mark.parametrize("event", [scenarios.keys, scenarios.struct_keys])
async def test_events_of_many_keys(event: object) -> None:
    """About as many as an event may have."""
    assert callable(event)
    bounded(await event(60_000), 120 * MB)


async def test_a_struct_of_too_many_keys_is_not_read() -> None:
    """Five times as many keys as an event may have about. What they would become takes 200 MB."""
    bounded(await scenarios.struct_keys_too_many(300_000), 120 * MB)


async def test_idle_streams() -> None:
    """40 KB each."""
    bounded(await scenarios.idle_streams(500), 25 * MB)


async def test_readers_that_never_read() -> None:
    """The server stops reading from each: 5 to 8 MB, with batches of 400 KB."""
    bounded(await scenarios.readers_that_never_read(4), 4 * 20 * MB)


async def test_half_open_connections() -> None:
    """They are cheap until they are closed."""
    bounded(await scenarios.half_open_connections(200), 20 * MB)


async def test_destinations_with_an_event_each() -> None:
    """Delivered to a Customer.io that never answers."""
    bounded(await scenarios.destinations(2, 1_500), 120 * MB)


async def test_a_bomb_of_customerio_is_not_unpacked() -> None:
    """200 MB of blanks that travel as 200 KB: the event has its result, and memory is bounded."""
    bomb = gzip.compress(bytes(200 * MB), 1)
    async with fake_customerio() as customerio:
        customerio.rule = lambda _: Reply(200, bomb, {"Content-Encoding": "gzip"})
        with server("--listen", "127.0.0.1:0", "--customerio-url", customerio.url) as running:
            async with others_of(running), stub_of(running) as stub:
                before = memory_bytes(running)
                request = v1.DeliverRequest(
                    destinations=[destination(config=CONFIG)], batch=batch(*[TRACK] * 20)
                )
                response = await stub.Deliver(request, timeout=60)
                assert len(response.results.statuses) == 20
                assert memory_bytes(running) - before < 40 * MB
