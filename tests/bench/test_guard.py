"""An event costs no more, relative to an echo of the same bytes, than was recorded; and a slowdown is noticed."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench import guard, load
from tests.bench.events import events
from tests.bench.implementations import ECHO, ENVIRONMENTS, SERVE, compiled_is_missing
from tests.bench.server_process import ServerProcess

# It is robust against other work on the machine, but its own servers share one core.
pytestmark = pytest.mark.serial

SLOWED = Path(__file__).parent / "slowed"
EVENTS = 2_000
ROUNDS = 60
"""As many as the guard adds at the most before it calls a server slower."""


@pytest.mark.parametrize("name", ENVIRONMENTS)
async def test_an_event_costs_no_more_than_recorded(name: str) -> None:
    """A ratio that is worse by more than a quarter fails, and says what to do."""
    if name == "compiled" and (reason := compiled_is_missing()):
        pytest.skip(reason)
    problem = await guard.checked(name, guard.recorded()[name])
    assert problem is None, problem


async def test_a_slowdown_is_noticed() -> None:
    """A server that is slower by 40 % fails, beside the same server as it is."""
    slowed = {"PYTHONPATH": str(SLOWED), "CIOSIDECAR_TEST_SLOWER_BY": "0.4"}
    mix = [event for _, event in events(EVENTS)]
    lowest = guard.Lowest()
    with ExitStack() as stack:
        servers = {"echo": stack.enter_context(ServerProcess(*ECHO))}
        for name, more in {"as it is": {}, "slowed": slowed}.items():
            environment = {**ENVIRONMENTS["python"], **more}
            servers[name] = stack.enter_context(ServerProcess(*SERVE, environment=environment))
        # All in each round, so that other work on the machine falls on all of them.
        for _ in range(ROUNDS):
            for name, server in servers.items():
                figures = await load.stream(server, mix, 100, 1)
                lowest.add(name, figures.server_cpu_us_per_event)
    as_it_is = lowest.ratio("as it is")
    assert guard.check("python", as_it_is, as_it_is) is None
    problem = guard.check("python", lowest.ratio("slowed"), as_it_is)
    assert problem is not None
    assert "--write" in problem
