"""The Grafana dashboard, the alerts and the metrics, as a real Prometheus reads them."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from tests.deploy.observed import load, observed
from tests.deploy.prometheus import WITHIN_S, Prometheus, need, prometheus

pytestmark = pytest.mark.serial
DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/ciosidecar.json").read_text())


def queries() -> list[tuple[str, str]]:
    """Return the title and the expression of each query of the dashboard."""
    return [
        (panel["title"], target["expr"])
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    ]


def as_grafana_asks(expression: str) -> str:
    """Return an expression with its variables filled in: all destinations, and the interval of the test."""
    return expression.replace("$__rate_interval", "10s").replace("$destination", ".*")


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Prometheus]]:
    """A sidecar's address and admin port, and the Prometheus that scrapes it."""
    need("prometheus")
    directory = tmp_path_factory.mktemp("prometheus")
    with observed() as (address, admin), prometheus(directory, admin) as running:
        yield address, admin, running


def test_every_query_of_the_dashboard_has_an_answer(scraped: tuple[str, str, Prometheus]) -> None:
    """Under a load that has something of everything, no panel is empty."""
    address, _, running = scraped
    unanswered = queries()
    deadline = time.monotonic() + WITHIN_S
    while unanswered and time.monotonic() < deadline:
        load(address)
        unanswered = [
            (title, expression)
            for title, expression in unanswered
            if not running.query(as_grafana_asks(expression))
        ]
    assert not unanswered


def test_every_metric_of_the_dashboard_is_exported(scraped: tuple[str, str, Prometheus]) -> None:
    """The variable's query, too, which only Grafana understands."""
    _, admin, _ = scraped
    (variable,) = [one for one in DASHBOARD["templating"]["list"] if one["name"] == "destination"]
    metric = variable["query"]["query"].removeprefix("label_values(").partition(",")[0]
    assert metric in exposition(admin)


def exposition(admin: str) -> str:
    """Return what /metrics says."""
    with build_opener(ProxyHandler({})).open(f"http://{admin}/metrics", timeout=60) as response:
        return str(response.read().decode())


def test_promtool_finds_nothing_wrong_with_the_metrics(
    scraped: tuple[str, str, Prometheus],
) -> None:
    """Names, units, help texts."""
    address, admin, _ = scraped
    load(address)
    checked = subprocess.run(
        [need("promtool"), "check", "metrics"],
        input=exposition(admin),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    complaints = [line for line in checked.stderr.splitlines() if "ciosidecar" in line]
    assert (checked.returncode, complaints) == (0, [])


def test_panels_do_not_overlap() -> None:
    """Each panel has a place, a title and a unit of its own."""
    places = [tuple(panel["gridPos"].values()) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in DASHBOARD["panels"])
