"""The CPU time of hostile inputs grows with their size, and no faster."""

import pytest

from tests.resources.growth import MOST, growth
from tests.resources.hostile import KINDS

SIZE = 16_384


@pytest.mark.parametrize("name", KINDS)
def test_time_is_linear(name: str) -> None:
    """From 16 KB to 128 KB."""
    found = growth(name, KINDS[name], SIZE, repeats=1)
    if not found.linear:  # the processor may have been busy with something else
        found = growth(name, KINDS[name], SIZE, repeats=7)
    assert found.linear, found


def test_a_square_is_found() -> None:
    """What is quadratic is not taken for linear."""
    found = growth("square", lambda size: lambda: [0 for _ in range(size * size)], 100)
    assert found.exponent > MOST
