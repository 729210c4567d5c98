"""The metric of the HorizontalPodAutoscaler: as prometheus-adapter's rule reads it from a real Prometheus."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from ciosidecar import AsyncClient

from tests.deploy.kustomize import BUILD_LIMIT_S, KUBERNETES, Resource, build, the_only
from tests.deploy.prometheus import Prometheus, need, prometheus
from tests.fake_customerio import HOLD, Answer, Received, Reply, fake_customerio
from tests.processes import server
from tests.security.watching import wait_until

POD = {"namespace": "events", "pod": "ciosidecar-0"}
PAUSED = "Basic cGF1c2VkOmtleQ=="  # paused:key
pytestmark = pytest.mark.timeout(BUILD_LIMIT_S + 60)


@pytest.fixture(scope="module")
def resources() -> list[Resource]:
    """The service with all components."""
    return build(KUBERNETES / "example/service")


@pytest.fixture(scope="module")
def rule() -> Any:
    """The rule, of which there is one."""
    (found,) = yaml.safe_load((KUBERNETES / "prometheus-adapter.yaml").read_text())["rules"]
    return found


def as_the_adapter_asks(rule: Any) -> str:
    """Fill in the template of a rule, as the adapter does for the metric of one pod."""
    series = rule["seriesQuery"].partition("{")[0]
    query = rule["metricsQuery"]
    query = query.replace("<<.Series>>", series).replace("<<.GroupBy>>", "pod")
    matchers = ",".join(f'{name}="{value}"' for name, value in POD.items())
    return str(query.replace("<<.LabelMatchers>>", matchers))


def test_the_autoscaler_asks_for_the_metric_of_the_rule(
    resources: list[Resource], rule: Any
) -> None:
    """By its name in the adapter, for each pod."""
    autoscaler = the_only(resources, "HorizontalPodAutoscaler")["spec"]
    (pods,) = (each["pods"] for each in autoscaler["metrics"] if each["type"] == "Pods")
    assert pods["metric"]["name"] == rule["name"]["as"]
    assert rule["name"]["matches"] == f"^{rule['seriesQuery'].partition('{')[0]}$"
    resource_of = {
        name: label["resource"] for name, label in rule["resources"]["overrides"].items()
    }
    assert resource_of == {"namespace": "namespace", "pod": "pod"}


def answer(request: Received) -> Answer:
    """Ask for a pause of one workspace, and never answer the other."""
    if request.headers["authorization"] == PAUSED:
        return Reply(429, headers={"Retry-After": "30"})
    return HOLD


async def test_the_rule_counts_events_that_more_pods_would_send(
    resources: list[Resource], rule: Any, tmp_path: Path
) -> None:
    """Those that wait for their turn, and not those of a workspace that Customer.io has paused."""
    need("prometheus")
    (endpoint,) = the_only(resources, "ServiceMonitor")["spec"]["endpoints"]
    events = [{"type": "track", "userId": f"u{number}", "event": "E"} for number in range(20)]
    async with fake_customerio() as customerio:
        customerio.rule = answer
        limits = ("--delivery-concurrency", "5", "--request-timeout-s", "60")
        listen = ("--listen", "127.0.0.1:0", "--customerio-url", customerio.url)
        with server(*listen, *limits) as sidecar:
            (address,) = sidecar.addresses
            admin = sidecar.ready_line["admin"]
            with prometheus(tmp_path, admin, endpoint["path"], **POD) as running:
                async with AsyncClient(address) as client:
                    calls = [
                        asyncio.ensure_future(
                            client.deliver(events, {"siteID": site, "apiKey": "key"})
                        )
                        for site in ("busy", "paused")
                    ]
                    try:
                        await asyncio.to_thread(wait_until, lambda: counted(running, rule) == [15])
                        total = sample(running, "sum(ciosidecar_events_waiting)")
                        assert total[0] > 15
                    finally:
                        for call in calls:
                            call.cancel()
                        await asyncio.gather(*calls, return_exceptions=True)


def counted(running: Prometheus, rule: Any) -> list[float]:
    """What the adapter would tell the autoscaler of the pod."""
    return sample(running, as_the_adapter_asks(rule))


def sample(running: Prometheus, query: str) -> list[float]:
    """The values of an expression."""
    return [float(each["value"][1]) for each in running.query(query)]
