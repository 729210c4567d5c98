"""A line of events a second, as SVG."""

from collections.abc import Sequence
from typing import Any

_WIDTH = 600
_HEIGHT = 100
_POINTS = 119


def chart(throughput: dict[str, Any]) -> str:
    """Return a picture of a throughput: accepted and failed events a second, the latest at the right."""
    accepted: list[float] = throughput["accepted_per_s"]
    failed: list[float] = throughput["failed_per_s"]
    most = max(*accepted, *failed, 1.0) if accepted else 1.0
    grid = "".join(
        f'<line class="grid" x1="0" x2="{_WIDTH}" y1="{y}" y2="{y}"/>' for y in (0, 50, 100)
    )
    return (
        f'<p class="dim">{most:,.0f} events a second at the upper line</p>'
        f'<svg viewBox="0 -2 {_WIDTH} {_HEIGHT + 4}" preserveAspectRatio="none" role="img"'
        ' aria-label="Events a second of the last ten minutes">'
        f"{grid}{_line('accepted-line', accepted, most)}{_line('failed-line', failed, most)}</svg>"
    )


def _line(name: str, values: Sequence[float], most: float) -> str:
    first = _POINTS - len(values)
    points = " ".join(
        f"{_WIDTH * (first + index) / (_POINTS - 1):.1f},{_HEIGHT * (1 - value / most):.1f}"
        for index, value in enumerate(values)
    )
    return f'<polyline class="{name}" points="{points}" vector-effect="non-scaling-stroke"/>'
