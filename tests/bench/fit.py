"""How a cost grows: the exponent of a power law, by least squares of the logarithms."""

import math
from collections.abc import Sequence


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return k of the power law cost = c * size ** k that fits best: 0 for a flat cost, 1 for a linear one.

    Raises:
        ValueError: There are fewer than two different sizes, or a number is not positive.
    """
    if len(set(sizes)) < 2 or min(*sizes, *costs) <= 0:
        raise ValueError("an exponent needs positive costs of two different sizes")
    xs, ys = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return covariance / sum((x - mean_x) ** 2 for x in xs)


def spread(costs: Sequence[float]) -> float:
    """Return how far the highest cost is above the lowest: 0.15 for 15 %."""
    return max(costs) / min(costs) - 1
