"""The page about metrics and the rules of alerts name the metrics that there are."""

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ciosidecar import v1
from ciosidecar_server.delivery.observer import (
    Attempt,
    Condition,
    WorkspaceLabel,
    WorkspaceSnapshot,
)
from ciosidecar_server.delivery.rate_store import RateStoreSnapshot
from ciosidecar_server.rpc.observer import (
    EventLabels,
    StreamCounts,
    StreamInfo,
    WarningLabels,
)
from ciosidecar_server.telemetry.destination_names import DestinationNames
from ciosidecar_server.telemetry.log_lines import CONDITIONS
from ciosidecar_server.telemetry.metrics import _PROTOCOL_ERROR, _REASONS, Metrics
from ciosidecar_server.telemetry.workspace_sums import WorkspaceReader
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.delivery.caller import CONFIG, track
from tests.fake_customerio import fake_customerio
from tests.telemetry.support import delivering_server, exposition, stream_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations/metrics.md").read_text(encoding="utf-8")
LOGS = (ROOT / "docs/operations/logs.md").read_text(encoding="utf-8")
ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
ROW = re.compile(r"^\| `((?:ciosidecar|process)_\w+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")


def _filled() -> Metrics:
    """Metrics of which every family has a sample."""
    label = WorkspaceLabel("https://track.customer.io", "ref")
    workspace = WorkspaceSnapshot(label, ["ref"], "ok", 9.0, 9.0, 0.0, 0, 0, 0, None, None)
    stream = StreamInfo("1", "a", "1", "ipv4:1", delivery=True, destinations=1, connections=0)
    store = RateStoreSnapshot(
        up=True,
        sidecars=4,
        exchanges=1,
        tokens=1,
        errors={"timeout": 1},
        last_error="timeout",
        fallback_s=0.0,
    )
    reader = WorkspaceReader(DestinationNames(10), lambda: [workspace])
    metrics = Metrics(reader, list, lambda: store, lambda: 1.9e9)
    metrics.events_answered(
        {EventLabels("ref", "track", "v1", "delivered", ""): 1}, {WarningLabels("ref", "X"): 1}
    )
    metrics.attempt_ended(label, Attempt("v2/batch", 429, 0.1, (), 1))
    metrics.stream_opened(stream)
    metrics.stream_closed(stream, StreamCounts(0, 0, 0, 0.0), "finished")
    metrics.call_ended("Transform", "OK", 0.1)
    return metrics


@pytest.fixture(scope="module")
def families() -> dict[str, Metric]:
    """Every family, by the name that samples and docs have."""
    text = asyncio.run(_filled().render())[0].decode()
    return {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(text)
    }


def test_the_page_lists_every_metric(families: dict[str, Metric]) -> None:
    """With its type and its labels, and no other metric."""
    listed = {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in ROW.findall(PAGE)
    }
    exposed = {
        name: (
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels) - {"le"},
        )
        for name, family in families.items()
    }
    assert listed == exposed


def test_the_alerts_use_metrics_that_there_are(families: dict[str, Metric]) -> None:
    """And the page says what to do about each alert."""
    rules = ALERTS.read_text(encoding="utf-8")
    used = set(re.findall(r"\bciosidecar_\w+", rules))
    known = {*families} | {f"{name}_bucket" for name in families}
    assert used
    assert used <= known
    alerts = re.findall(r"alert: (\w+)", rules)
    assert re.findall(r"^\| `(Ciosidecar\w+)` \|", PAGE, re.MULTILINE) == alerts


def test_the_page_about_logs_lists_every_condition() -> None:
    """By the words that its line begins with."""
    assert CONDITIONS.keys() == set(Condition)
    listed = re.findall(
        r"`([a-z][^`]*)`", "\n".join(re.findall(r"^\| (`.*?) \|", LOGS, re.MULTILINE))
    )
    for _, message in CONDITIONS.values():
        assert any(message.startswith(words) for words in listed), message


def promtool(*arguments: str, text: str = "") -> tuple[int, str]:
    """The exit code and the output of Prometheus's own tool."""
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


@needs_promtool
def test_promtool_accepts_the_rules() -> None:
    """Their expressions are read by Prometheus itself."""
    code, output = promtool("check", "rules", str(ALERTS))
    assert code == 0, output


@needs_promtool
def test_the_alert_of_a_certificate_fires_in_its_last_14_days(tmp_path: Path) -> None:
    """Also once the certificate has expired; for no other sidecar. Prometheus's clock begins at 1970."""
    day_s = 86_400
    name = "ciosidecar_certificate_not_after_seconds"
    series = {"expired": 60, "soon": 13 * day_s, "later": 15 * day_s}
    firing = [
        {
            "exp_labels": {"instance": instance, "severity": "warning"},
            "exp_annotations": {
                "summary": "The sidecar's TLS certificate expires within 14 days, or has expired"
            },
        }
        for instance in ("expired", "soon")
    ]
    rules = {
        "rule_files": [str(ALERTS)],
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {
                        "series": f'{name}{{instance="{instance}"}}',
                        "values": f"{not_after}+0x20",
                    }
                    for instance, not_after in series.items()
                ],
                "alert_rule_test": [
                    {
                        "eval_time": "10m",
                        "alertname": "CiosidecarCertificateExpires",
                        "exp_alerts": firing,
                    }
                ],
            }
        ],
    }
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps(rules))
    code, output = promtool("test", "rules", str(file))
    assert code == 0, output


@needs_promtool
@pytest.mark.serial
def test_promtool_accepts_the_metrics() -> None:
    """`promtool check metrics` has nothing to say of what a real server exposes."""

    async def of_a_server() -> str:
        async with (
            fake_customerio() as customerio,
            delivering_server(customerio.url) as running,
            stream_of(running, ("ref", CONFIG)) as caller,
        ):
            await caller.send(1, track("E"), v1.BatchItem(json=b"{"))
            await caller.told_all(1)
            text, _ = await exposition(running)
            return text

    for text in (asyncio.run(of_a_server()), asyncio.run(_filled().render())[0].decode()):
        assert promtool("check", "metrics", text=text) == (0, "")


def test_the_page_lists_why_streams_close() -> None:
    """Each reason of the log with its label; a broken contract is told in words of its own."""
    _, _, section = LOGS.partition("## Why streams close")
    rows = re.findall(r"^\| ([^|]+) \| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE)
    listed = {reason.strip("`"): label for reason, label in rows}
    assert listed.pop("a field and a text: `batch: must be set") == _PROTOCOL_ERROR
    assert listed == _REASONS
