"""Each kind of load that the bench sends works with the server as it is: a few events of each, nothing measured."""

import subprocess
import sys

import pytest

from tests.bench import delivery, destinations, load
from tests.bench.events import events

SERVE = (
    *("-m", "ciosidecar_server", "serve", "--listen", "127.0.0.1:0"),
    *("--admin-listen", "127.0.0.1:0", "--log-level", "error"),
)
MIX = [event for _, event in events(200)]


async def test_a_stream_and_unary_calls() -> None:
    """Every event of the mix is answered."""
    with load.ServerProcess(*SERVE) as server:
        for drive in (load.stream, load.unary):
            figures = await drive(server, MIX, 10, 2)
            assert figures.events == 400
            assert figures.server_cpu_s > 0
        alone, beside = await load.beside_bad_peers(server, MIX, 3)
    assert len(alone) == len(beside) == 3


async def test_the_echo_answers_the_same_load() -> None:
    """The echo that ratios refer to understands the contract of today."""
    with load.ServerProcess("-m", "tests.bench.echo_server") as echo:
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


def test_an_unknown_part_is_named() -> None:
    """A part that does not exist is an error of usage."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.bench", "nothing"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    assert "there is no nothing" in run.stderr
