"""The picture of the service: server CPU an event by events a message, drawn as SVG.

The same figures give the same bytes. The picture has a style for light and one for dark surroundings, and asks for no
font, script or other file.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from .implementations import LABELS
from .tables import micros

PANELS = {"stream": "One stream", "unary": "Unary calls"}
_WIDTH, _HEIGHT = 900, 420
_TOP, _BOTTOM, _LEFT, _RIGHT, _GAP = 84, 56, 56, 108, 132
_NAME_HEIGHT, _INDENT = 17, 22
_LOWEST_US, _HIGHEST_US = 1.0, 1_000.0
_TICKS_US = (1, 3, 10, 30, 100, 300, 1_000)
# Okabe and Ito's colours, which people with any kind of colour vision can tell apart.
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 16px; font-weight: 600; }
.panel { font-weight: 600; }
.axis { fill: #57606a; font-size: 12px; }
.ground { fill: #ffffff; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.line { fill: none; stroke-width: 2.5; }
.value { font-size: 11px; paint-order: stroke; stroke: #ffffff; stroke-width: 3px; }
.name { font-weight: 600; font-size: 13px; }
.line.echo { stroke: #57606a; } .dot.echo, .value.echo { fill: #57606a; }
.line.compiled { stroke: #0072b2; } .dot.compiled, .value.compiled { fill: #0072b2; }
.line.python { stroke: #b34700; } .dot.python, .value.python { fill: #b34700; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .axis { fill: #9198a1; } .ground { fill: #0d1117; } .grid { stroke: #30363d; }
  .value { stroke: #0d1117; }
  .line.echo { stroke: #9198a1; } .dot.echo, .value.echo { fill: #9198a1; }
  .line.compiled { stroke: #56b4e9; } .dot.compiled, .value.compiled { fill: #56b4e9; }
  .line.python { stroke: #e69f00; } .dot.python, .value.python { fill: #e69f00; }
}
"""


class _Panel(NamedTuple):
    """Where a panel stands, and how its figures become places: sizes in equal steps, µs by their logarithm."""

    left: float
    right: float
    sizes: Sequence[str]

    def x(self, size: str) -> float:
        """Return the place of a message size."""
        first, last = self.left + _INDENT, self.right - _INDENT
        return first + self.sizes.index(size) * (last - first) / max(1, len(self.sizes) - 1)

    @staticmethod
    def y(cpu_us: float) -> float:
        """Return the place of µs. What is outside the axis is drawn at its end."""
        within = min(max(cpu_us, _LOWEST_US), _HIGHEST_US)
        share = math.log(within / _LOWEST_US) / math.log(_HIGHEST_US / _LOWEST_US)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def draw(service: dict[str, Any]) -> str:
    """Return the picture of the figures of `service.measure`, of Track API v1."""
    servers = [name for name in LABELS if name in service]
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        ' aria-labelledby="title desc">'
    )
    lines = [
        root,
        '<title id="title">Server CPU for each event</title>',
        f'<desc id="desc">{escape(_description(service, servers))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>',
        _text(_LEFT - 36, 30, "Server CPU for each event, in µs, by events a message", "title"),
    ]
    width = (_WIDTH - _LEFT - _RIGHT - _GAP) / len(PANELS)
    for number, (call, heading) in enumerate(PANELS.items()):
        sizes = list(service[servers[0]][call])
        left = _LEFT + number * (width + _GAP)
        panel = _Panel(left, left + width, sizes)
        lines += _frame(panel, heading)
        lines += _series(panel, {name: service[name][call] for name in servers})
    return "\n".join([*lines, "</svg>"]) + "\n"


def _description(service: dict[str, Any], servers: Sequence[str]) -> str:
    found = []
    for call, heading in PANELS.items():
        for name in servers:
            points = (
                f"{micros(one['server_cpu_us'])} at {size}"
                for size, one in service[name][call].items()
            )
            found.append(f"{heading}, {LABELS[name]}: {', '.join(points)}.")
    return " ".join(found)


def _frame(panel: _Panel, heading: str) -> list[str]:
    lines = [_text(panel.left, _TOP - 20, heading, "panel")]
    for cpu_us in _TICKS_US:
        y = panel.y(cpu_us)
        lines.append(
            f'<line class="grid" x1="{panel.left:.1f}" y1="{y:.1f}" x2="{panel.right:.1f}" y2="{y:.1f}"/>'
        )
        lines.append(_text(panel.left - 8, y + 4, f"{cpu_us:,}", "axis", "end"))
    below = _HEIGHT - _BOTTOM + 20
    lines += [
        _text(panel.x(size), below, f"{int(size):,}", "axis", "middle") for size in panel.sizes
    ]
    middle = (panel.left + panel.right) / 2
    lines.append(_text(middle, _HEIGHT - 16, "events a message", "axis", "middle"))
    return lines


def _series(panel: _Panel, by_server: dict[str, Any]) -> list[str]:
    """Return the line of each server with its values, and its name at the end.

    Values stand above the line of pure Python and below the others, because those of the sidecar may be close.
    """
    lines = []
    ends = {}
    for name, by_size in by_server.items():
        points = [(panel.x(size), one["server_cpu_us"]) for size, one in by_size.items()]
        path = " ".join(f"{x:.1f},{panel.y(cpu_us):.1f}" for x, cpu_us in points)
        lines.append(f'<polyline class="line {name}" points="{path}"/>')
        for x, cpu_us in points:
            y = panel.y(cpu_us)
            lines.append(f'<circle class="dot {name}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
            away = -9 if name == "python" else 19
            lines.append(_text(x, y + away, micros(cpu_us), f"value {name}", "middle"))
        ends[name] = panel.y(points[-1][1]) + 4
    for name, y in _apart(ends).items():
        lines.append(_text(panel.right + 6, y, LABELS[name], f"value name {name}"))
    return lines


def _apart(places: dict[str, float]) -> dict[str, float]:
    """Return the places of names from the lowest up, moved up where two would overlap."""
    found: dict[str, float] = {}
    lowest = float("inf")
    for name, y in sorted(places.items(), key=lambda place: -place[1]):
        found[name] = lowest = min(y, lowest - _NAME_HEIGHT)
    return found


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'
