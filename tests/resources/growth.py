"""How the CPU time of hostile inputs grows with their size: the exponent of a power law through doubled sizes."""

import gc
import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

Work = Callable[[], object]
MakeWork = Callable[[int], Work]
DOUBLINGS = (1, 2, 4, 8)
MOST = 1.5
"""The greatest exponent that counts as linear: caches make large inputs dearer for each byte."""
NOTHING_S = 0.004
"""An input whose eightfold size takes less CPU time than this shows nothing but the clock's noise."""


class Growth(NamedTuple):
    """The CPU times of one kind of input."""

    name: str
    sizes: tuple[int, ...]
    times_s: tuple[float, ...]

    @property
    def exponent(self) -> float:
        """Return the slope of the times over the sizes, both as logarithms: 1 is linear, 2 is quadratic."""
        xs = [math.log(size) for size in self.sizes]
        ys = [math.log(max(took, 1e-7)) for took in self.times_s]
        x, y = sum(xs) / len(xs), sum(ys) / len(ys)
        return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum(
            (a - x) ** 2 for a in xs
        )

    @property
    def linear(self) -> bool:
        """Return whether the time grows no faster than the size, as far as the clock can tell."""
        return self.times_s[-1] < NOTHING_S or self.exponent <= MOST


def growth(name: str, make: MakeWork, size: int, *, repeats: int = 3) -> Growth:
    """Measure one kind of input.

    Args:
        name: the name of the kind.
        make: returns the work on an input of a size.
        size: the first size. It is doubled three times.
        repeats: how often each is measured; the least time counts.
    """
    sizes = tuple(size * factor for factor in DOUBLINGS)
    return Growth(name, sizes, tuple(_least_s(make(each), repeats) for each in sizes))


def _least_s(work: Work, repeats: int) -> float:
    work()
    times = []
    # A collection would count the objects of all other tests, too.
    gc.disable()
    try:
        for _ in range(repeats):
            begun_s = time.process_time()
            work()
            times.append(time.process_time() - begun_s)
    finally:
        gc.enable()
    return min(times)


def table(growths: Sequence[Growth]) -> str:
    """Return the figures as a table of Markdown."""
    rows = [
        "| input | size | CPU time | at eight times the size | exponent |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {one.name} | {one.sizes[0]:,} | {one.times_s[0] * 1e3:.2f} ms"
        f" | {one.times_s[-1] * 1e3:.2f} ms | {one.exponent:.2f} |"
        for one in growths
    ]
    return "\n".join(rows)
