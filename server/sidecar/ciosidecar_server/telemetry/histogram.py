"""A histogram that costs a binary search and two additions for each value."""

from bisect import bisect_left
from itertools import accumulate

SHORT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds for work in the process. Unit: seconds."""
LONG_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds for requests and queues. Unit: seconds."""


class Histogram:
    """Counts of values by size."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Begin without values. bounds: the upper bounds of the buckets, in order."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, number: int = 1) -> None:
        """Count a value. number: how many times it occurred."""
        self._counts[bisect_left(self._bounds, value)] += number
        self.sum += value * number

    def buckets(self) -> list[tuple[str, float]]:
        """Return each upper bound, with the number of values up to it."""
        names = [*map(str, self._bounds), "+Inf"]
        return list(zip(names, accumulate(map(float, self._counts)), strict=True))
