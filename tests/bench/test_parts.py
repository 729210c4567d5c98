"""Each kind of load that the bench sends works with the server as it is: a few events of each, nothing measured."""

import pytest

from tests.bench import delivery, destinations, load
from tests.bench.events import events
from tests.bench.implementations import ECHO, SERVE
from tests.bench.server_process import ServerProcess

MIX = [event for _, event in events(200)]


async def test_a_stream_and_unary_calls() -> None:
    """Every event of the mix is answered."""
    with ServerProcess(*SERVE) as server:
        for drive in (load.stream, load.unary):
            figures = await drive(server, MIX, 10, 2)
            assert figures.events == 400
            assert figures.server_cpu_s > 0
        alone, beside = await load.beside_bad_peers(server, MIX, 3)
    assert len(alone) == len(beside) == 3


async def test_the_echo_answers_the_same_load() -> None:
    """The echo that ratios refer to understands the contract of today."""
    with ServerProcess(*ECHO) as echo:
        for drive in (load.stream, load.unary):
            assert (await drive(echo, MIX, 10, 1)).events == 200


@pytest.mark.parametrize("api_version", [b"v1", b"v2"])
async def test_delivery(api_version: bytes) -> None:
    """`deliver` raises unless every event was delivered."""
    with delivery.NullCustomerio() as null, delivery.sidecar(null) as server:
        _, took = await delivery.deliver(server, delivery.orders(50), api_version, size=10)
    assert len(took) == 5


async def test_destinations_good_and_bad() -> None:
    """`run` raises unless every event of a good destination was delivered."""
    configs = destinations.configs(destinations.BAD, good=3)
    figures = await destinations.run(configs, good=3, per_destination_s=50, seconds=0.1)
    assert figures["events_per_s"] > 0
