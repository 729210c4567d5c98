"""What leaks in a life of the server: each resource by hours, events and streams."""

from collections.abc import Sequence
from typing import NamedTuple

from tests.soak.samples import Sample
from tests.soak.slopes import Slope, floor_slope

HOURLY_AFTER_S = 600.0
"""A slope by the hour is tested from this length on: a minute's noise would be megabytes an hour."""


class Tolerance(NamedTuple):
    """The growth that is taken for noise."""

    resource: str
    by: str
    most: float


TOLERANCES = (
    Tolerance("memory_bytes", "events", 128.0),
    Tolerance("memory_bytes", "streams", 16_384.0),
    Tolerance("memory_bytes", "hours", 48e6),
    Tolerance("descriptors", "streams", 0.05),
    Tolerance("descriptors", "hours", 120.0),
    Tolerance("tasks", "streams", 0.05),
    Tolerance("tasks", "hours", 120.0),
    Tolerance("threads", "streams", 0.05),
    Tolerance("threads", "hours", 60.0),
)
"""docs/testing/soak.md says why each of them is what it is."""


class Growth(NamedTuple):
    """A resource's slope in one life, and what was tolerated."""

    tolerance: Tolerance
    slope: Slope

    @property
    def leaks(self) -> bool:
        """Return whether even the lower end of the interval is above what is tolerated."""
        return self.slope.lowest > self.tolerance.most

    def __str__(self) -> str:
        resource, by, most = self.tolerance
        estimate, lowest, highest = self.slope
        return f"{resource} by {by}: {estimate:.4g} ({lowest:.4g} to {highest:.4g}), tolerated {most:g}"


def growths(samples: Sequence[Sample]) -> list[Growth]:
    """Return the slopes of a life, those that it is long enough for."""
    if not samples:
        return []
    found = []
    long = samples[-1].at_s - samples[0].at_s >= HOURLY_AFTER_S
    for tolerance in TOLERANCES:
        if tolerance.by == "hours" and not long:
            continue
        positions = [getattr(sample, tolerance.by) for sample in samples]
        values = [float(getattr(sample, tolerance.resource)) for sample in samples]
        slope = floor_slope(positions, values)
        if slope is not None:
            found.append(Growth(tolerance, slope))
    return found
