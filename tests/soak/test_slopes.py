"""The slope of a resource's floor: flat lives pass, whatever their noise, and growing ones do not."""

import numpy as np
import pytest

from tests.soak.leaks import growths
from tests.soak.samples import Sample
from tests.soak.slopes import floor_slope

SEEDS = 1_000
SAMPLES = 240


def white(dice: np.random.Generator) -> np.ndarray:
    return dice.normal(0.0, 1.0, SAMPLES)


def bursts(dice: np.random.Generator) -> np.ndarray:
    """Batches that come and go: most samples are low, some are very high."""
    return dice.pareto(1.5, SAMPLES)


def lingering(dice: np.random.Generator) -> np.ndarray:
    """Noise in which each value resembles the one before, as the memory of a process does."""
    steps = dice.normal(0.0, 1.0, SAMPLES)
    values = np.zeros(SAMPLES)
    for index in range(1, SAMPLES):
        values[index] = 0.7 * values[index - 1] + steps[index]
    return values


def warming(dice: np.random.Generator) -> np.ndarray:
    """Caches that fill in the first quarter."""
    return white(dice) + 100.0 * np.minimum(np.arange(SAMPLES) / (SAMPLES / 4), 1.0)


def lowest(values: np.ndarray) -> float:
    slope = floor_slope(list(range(SAMPLES)), list(values))
    assert slope is not None
    return slope.lowest


@pytest.mark.parametrize("noise", [white, bursts, lingering, warming])
def test_flat_lives_are_hardly_ever_blamed(noise: object) -> None:
    """Of 1,000 flat lives at most 10 have a slope whose whole interval is above zero."""
    assert callable(noise)
    blamed = sum(lowest(noise(np.random.default_rng(seed))) > 0.0 for seed in range(SEEDS))
    assert blamed <= SEEDS // 100


@pytest.mark.parametrize("noise", [white, bursts, lingering])
def test_a_ramp_is_found(noise: object) -> None:
    """A growth of 20 times the noise over a life is found in each of 100 lives."""
    assert callable(noise)
    ramp = np.linspace(0.0, 20.0, SAMPLES)
    assert all(lowest(noise(np.random.default_rng(seed)) + ramp) > 0.0 for seed in range(100))


def test_a_life_that_is_too_short_has_no_slope() -> None:
    """Nor one in which nothing happened."""
    assert floor_slope(list(range(10)), [1.0] * 10) is None
    assert floor_slope([3.0] * SAMPLES, [1.0] * SAMPLES) is None


def life(minutes: float, end_bytes: float) -> list[Sample]:
    """A life of 5,000 events a second that begins with 40 MB."""
    dice = np.random.default_rng(1)
    shares = np.linspace(0.0, 1.0, SAMPLES)
    memory = 40e6 + shares * (end_bytes - 40e6) + dice.exponential(2e6, SAMPLES)
    return [
        Sample(share * minutes * 60, int(held), 40, 10, 30.0, share * minutes * 3e5, share * 1e3)
        for share, held in zip(shares, memory, strict=True)
    ]


@pytest.mark.parametrize("minutes", [1, 10])
def test_memory_that_grows_2_35_times_is_a_leak(minutes: float) -> None:
    """In a life of a minute by its events, in one of ten minutes by its hours, too."""
    leaking = [growth for growth in growths(life(minutes, 2.35 * 40e6)) if growth.leaks]
    assert leaking
    assert not [growth for growth in growths(life(minutes, 41e6)) if growth.leaks]


def test_a_resource_that_never_changes_has_no_slope() -> None:
    """Also if some samples were taken at the same number of events, with a warning an error."""
    at = [float(index // 30) for index in range(SAMPLES)]
    assert floor_slope([index + at[index] for index in range(SAMPLES)], [13.0] * SAMPLES) == (
        0,
        0,
        0,
    )
    steps = [13.0] * (SAMPLES - 12) + [14.0] * 12
    slope = floor_slope([float(index // 15) for index in range(SAMPLES)], steps)
    assert slope is not None
