"""Whether a resource of the server grows: the slope of its floor, with the confidence of that slope.

A server's memory, descriptors, tasks and threads go up and down with its load. A leak raises their
floor. So the samples of a life are cut into blocks, and each block counts with its lowest value. The
slope of these minima is Theil and Sen's: the median of the slopes between all pairs. A few wild
values do not move it. A resource leaks if the lower end of the slope's confidence interval is above
what is tolerated.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import theilslopes

BLOCKS = 24
"""Blocks of the samples after the warm-up. Minima of fewer would leave the interval wide."""
WARM_UP = 0.3
"""The share of a life that is left out: caches fill, and glibc's arenas reach their size."""
CONFIDENCE = 0.998
"""Of the two-sided interval. Of 1,000 flat lives, one is blamed if the minima are independent."""


class Slope(NamedTuple):
    """A slope and the ends of its confidence interval."""

    estimate: float
    lowest: float
    highest: float


def floor_slope(at: Sequence[float], values: Sequence[float]) -> Slope | None:
    """Return the slope of the floor of values, after the warm-up.

    Args:
        at: where the values were taken: seconds, events or streams. Never decreasing.
        values: the values, one for each element of `at`.

    Returns:
        The slope per unit of `at`. None if there are too few samples, or if `at` stands still.
    """
    begin = int(len(values) * WARM_UP)
    length = (len(values) - begin) // BLOCKS
    if length < 2:
        return None
    kept = slice(len(values) - length * BLOCKS, None)
    minima = np.asarray(values, float)[kept].reshape(BLOCKS, length).min(axis=1)
    positions = np.asarray(at, float)[kept].reshape(BLOCKS, length).mean(axis=1)
    # The interval's formula fails for equal positions and for values that are all equal.
    positions, first = np.unique(positions, return_index=True)
    minima = minima[first]
    if positions.size < BLOCKS // 2:
        return None
    if np.ptp(minima) == 0.0:
        return Slope(0.0, 0.0, 0.0)
    found = theilslopes(minima, positions, alpha=CONFIDENCE)
    return Slope(float(found.slope), float(found.low_slope), float(found.high_slope))
