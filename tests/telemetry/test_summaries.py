"""The lines of the log that stand for many: once a minute, and however many workspaces change at once."""

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
from ciosidecar_server.delivery.observer import Condition, WorkspaceLabel, WorkspaceSnapshot
from ciosidecar_server.delivery.rate_store import RateStoreSnapshot
from ciosidecar_server.rpc.observer import EventLabels
from ciosidecar_server.telemetry import log_lines
from ciosidecar_server.telemetry.log_lines import LogObserver
from ciosidecar_server.telemetry.logging import formatter


class Lines(logging.Handler):
    """The lines of the log as an operator gets them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(formatter("json"))
        self.lines: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    """The lines that are logged."""
    handler = Lines()
    logger = logging.getLogger("ciosidecar")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def _change(log: LogObserver, condition: Condition, number: int) -> None:
    label = WorkspaceLabel("https://track.customer.io", f"ref-{number}")
    refs = [label.destination_ref]
    snapshot = WorkspaceSnapshot(label, refs, "down", 9.0, 9.0, 0.0, 1, 0, 0, None, None)
    log.condition_changed(label, condition, snapshot)


async def test_an_outage_of_all_workspaces_is_a_few_lines(lines: list[dict[str, object]]) -> None:
    """Twenty lines of each kind, then their number; after the summary, the next ones have lines again."""
    log = LogObserver()
    for condition in (Condition.DOWN, Condition.UP):
        for number in range(10_000):
            _change(log, condition, number)
    _change(log, Condition.CREDENTIALS_REFUSED, 1)
    assert [line["level"] for line in lines] == ["error"] * 20 + ["info"] * 20 + ["error"]
    lines.clear()
    log.summarise()
    assert [(line["message"], line["level"], line["changes"]) for line in lines] == [
        ("further changes of workspaces", "error", 9_980),
        ("further changes of workspaces", "info", 9_980),
    ]
    assert "workspace down" in str(lines[0]["change"])
    lines.clear()
    _change(log, Condition.DOWN, 1)
    log.summarise()
    assert [line.get("destination_ref") for line in lines] == ["ref-1"]


async def test_a_rate_store_that_comes_and_goes_is_a_few_lines(
    lines: list[dict[str, object]],
) -> None:
    """Twenty lines of each kind in a minute, each with the reason and the number of sidecars, then their number."""
    log = LogObserver()
    store = RateStoreSnapshot(
        up=False,
        sidecars=4,
        exchanges=1,
        tokens=1,
        errors={"timeout": 1},
        last_error="timeout",
        fallback_s=1.26,
    )
    for _ in range(30):
        log.rate_store_changed(store)
        log.rate_store_changed(store._replace(up=True))
    assert [line["level"] for line in lines] == ["warning", "info"] * 20
    down, up = lines[:2]
    assert (down["error"], down["sidecars"], down["fallback_s"]) == ("timeout", 4, 1.3)
    assert "error" not in up
    lines.clear()
    log.summarise()
    assert [(line["message"], line["level"], line["changes"]) for line in lines] == [
        ("further changes of the rate store", "warning", 10),
        ("further changes of the rate store", "info", 10),
    ]


async def test_the_summary_comes_by_itself(
    lines: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of each interval in which something was refused, and in no other."""
    monkeypatch.setattr(log_lines, "SUMMARY_S", 0.1)
    log = LogObserver()
    labels = EventLabels("ref", "track", "v1", "rejected", "INVALID_EVENT")
    for summaries in (1, 2):
        log.events_answered({labels: 3}, {})
        log.events_answered({labels: 4}, {})
        for _ in range(1_000):
            if len(lines) >= summaries:
                break
            await asyncio.sleep(0.01)
        assert (lines[-1]["message"], lines[-1]["events"]) == ("events failed", 7)
    await asyncio.sleep(0.3)
    assert len(lines) == 2


async def _grow_to(lines: list[dict[str, object]], number: int) -> None:
    """Wait until there are so many lines."""
    for _ in range(1_000):
        if len(lines) >= number:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(lines)


async def test_the_first_refusals_are_logged_long_before_the_summary(
    lines: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for each destination and code; the summary has the rest, and a code that goes on is not told again."""
    monkeypatch.setattr(log_lines, "FIRST_S", 0.05)
    log = LogObserver()
    labels = EventLabels("ref", "track", "v1", "rejected", "INVALID_EVENT")
    other = labels._replace(code="TOO_LARGE")

    log.events_answered({labels: 1}, {})
    await _grow_to(lines, 1)
    log.events_answered({labels: 5}, {})
    log.events_answered({other: 2}, {})
    await _grow_to(lines, 2)
    log.summarise()
    log.events_answered({labels: 4}, {})
    await asyncio.sleep(0.3)  # a second announcement would come by now
    log.summarise()
    told = [(line["code"], line["events"]) for line in lines]
    assert told == [
        ("INVALID_EVENT", 1),
        ("TOO_LARGE", 2),
        ("INVALID_EVENT", 5),
        ("INVALID_EVENT", 4),
    ]
    lines.clear()
    log.summarise()  # a minute without refusals
    log.events_answered({labels: 1}, {})
    await _grow_to(lines, 1)
    log.summarise()
    assert len(lines) == 1


async def test_many_codes_are_not_many_lines(
    lines: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were logged at once keep their place among the hundred that are told apart."""
    monkeypatch.setattr(log_lines, "FIRST_S", 0.01)
    log = LogObserver()
    for begin in range(0, 1_000, 100):
        for number in range(begin, begin + 100):
            log.events_answered({EventLabels(f"ref-{number}", "", "", "rejected", "X"): 1}, {})
        await asyncio.sleep(0.05)
    log.summarise()
    assert len(lines) <= 102
    assert sum(int(str(line["events"])) for line in lines) == 1_000
