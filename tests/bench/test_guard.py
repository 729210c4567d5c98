"""An event costs no more, relative to an echo of the same bytes, than was recorded; and a slowdown is noticed."""

from pathlib import Path

import pytest

from tests.bench import guard
from tests.bench.implementations import ENVIRONMENTS, compiled_is_missing

# It is robust against other work on the machine, but its own servers share one core.
pytestmark = pytest.mark.serial

SLOWED = Path(__file__).parent / "slowed"


@pytest.mark.parametrize("name", ENVIRONMENTS)
async def test_an_event_costs_no_more_than_recorded(name: str) -> None:
    """A ratio that is worse by more than a quarter fails, and says what to do."""
    if name == "compiled" and (reason := compiled_is_missing()):
        pytest.skip(reason)
    problem = await guard.checked(name, guard.recorded()[name])
    assert problem is None, problem


async def test_a_slowdown_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is slower by 40 % fails, however often it is measured."""
    monkeypatch.setenv("PYTHONPATH", str(SLOWED))
    monkeypatch.setenv("CIOSIDECAR_TEST_SLOWER_BY", "0.4")
    problem = await guard.checked("python", guard.recorded()["python"])
    assert problem is not None
    assert "--write" in problem
