"""Draw the dashboard's panels from the answers of a real Prometheus: `make dashboard-picture`.

Grafana has no part in it: the picture shows the queries of deploy/grafana/ciosidecar.json, not Grafana's look.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from PIL import Image

from tests.deploy.observed import load, observed
from tests.deploy.prometheus import Prometheus, prometheus
from tests.deploy.test_dashboard import DASHBOARD, as_grafana_asks

DURATION_S = 75
_COLUMNS = 4
_LEGEND = 6
_UNITS = {
    "percentunit": "cores",
    "reqps": "requests/s",
    "eps": "events/s",
    "Bps": "bytes/s",
    "short": "number",
}


def draw(path: Path) -> None:
    """Run a load, and write a PNG of all panels that are drawn over time."""
    with (
        tempfile.TemporaryDirectory() as directory,
        observed() as (address, admin),
        prometheus(Path(directory), admin) as running,
    ):
        began_at = time.time()
        while time.time() < began_at + DURATION_S:
            load(address)
        _write(path, running, began_at + 10, time.time())


def _write(path: Path, running: Prometheus, start: float, end: float) -> None:
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] == "timeseries"]
    rows = -(-len(panels) // _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(16, 2.4 * rows), layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, panel in zip(axes.flat, panels, strict=False):
        _draw_panel(axis, panel, running, start, end)
    figure.savefig(path, dpi=70)
    # A palette of 64 colours halves the file.
    with Image.open(path) as picture:
        picture.quantize(64).save(path, optimize=True)


def _draw_panel(axis: Any, panel: Any, running: Prometheus, start: float, end: float) -> None:
    for target in panel["targets"]:
        expression = as_grafana_asks(target["expr"])
        for series in running.query_range(expression, start, end, 1.0):
            times = [float(at) - start for at, _ in series["values"]]
            values = [float(value) for _, value in series["values"]]
            axis.plot(times, values, label=_legend(target["legendFormat"], series["metric"]), lw=1)
    unit = panel["fieldConfig"]["defaults"]["unit"]
    axis.set_title(f"{panel['title']} ({_UNITS.get(unit, unit)})", fontsize=9, loc="left")
    axis.tick_params(labelsize=7)
    axis.set_ylim(bottom=0)
    handles, labels = axis.get_legend_handles_labels()
    axis.legend(handles[:_LEGEND], labels[:_LEGEND], fontsize=6, loc="upper left", ncols=2)


def _legend(template: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        template = template.replace("{{" + name + "}}", value)
    return template


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
