"""The outcomes of a batch on their way to the observer."""

from collections.abc import Mapping

from ciosidecar_server.rpc.counting import EventCounts, destination_label
from ciosidecar_server.rpc.observer import EventLabels, NoRpcObserver, WarningLabels
from ciosidecar_server.rpc.tap import StreamTap
from ciosidecar_server.telemetry.tap import TapHub
from ciosidecar_transform import Outcome
from ciosidecar_transform.outcomes import ErrorCode, EventRejected, rejected
from ciosidecar_transform.pipeline import WITHOUT_WARNINGS


class Reports(NoRpcObserver):
    """The number of events in each report."""

    def __init__(self) -> None:
        self.reports: list[Mapping[EventLabels, int]] = []

    def events_answered(
        self, events: Mapping[EventLabels, int], warnings: Mapping[WarningLabels, int]
    ) -> None:
        """Keep a report."""
        del warnings
        self.reports.append(events)


def refused() -> Outcome:
    """An outcome of its own, as each rejected event has."""
    return rejected(EventRejected(ErrorCode.MISSING_IDENTITY, "no user (rule 3.1)"))


def test_a_large_batch_is_reported_in_parts() -> None:
    """10,000 different outcomes at once would hold the event loop for tens of milliseconds. Each is counted once."""
    observer = Reports()
    counts = EventCounts(observer, StreamTap(TapHub()), 1, delivery=False)
    labels = [destination_label(ref, None) for ref in ("a", "b", "c")]
    for label, number in zip(labels, (10, 4_500, 700), strict=True):
        counts.outcomes[label] += [refused() for _ in range(number)]
    counts.outcomes[labels[0]] += [WITHOUT_WARNINGS["track"]] * 5
    more = [counts.report_some()]
    assert 0 < sum(observer.reports[0].values()) <= 1_000
    while more[-1]:
        more.append(counts.report_some())
    assert max(sum(report.values()) for report in observer.reports) <= 1_000
    found: dict[tuple[str, str], int] = {}
    for report in observer.reports:
        for events, number in report.items():
            key = (events.destination_ref, events.outcome)
            found[key] = found.get(key, 0) + number
    assert found == {
        ("a", "rejected"): 10,
        ("a", "transformed"): 5,
        ("b", "rejected"): 4_500,
        ("c", "rejected"): 700,
    }
    assert not counts.outcomes
    assert counts.report_some() is False
