"""The counts of answered events, added up before the log, the metrics and the page receive them."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from ciosidecar_server.rpc.observer import EventLabels, WarningLabels
from ciosidecar_server.telemetry.event_sums import EventSums

TRACK = EventLabels("ref", "track", "v1", "transformed", "")
PAGE = TRACK._replace(event_type="page")
WARNING = WarningLabels("ref", "UNUSABLE_TIME")


class Reports:
    """The reports that a listener receives."""

    def __init__(self) -> None:
        self.events: list[Mapping[EventLabels, int]] = []
        self.warnings: Counter[WarningLabels] = Counter()
        self.received = asyncio.Event()

    def events_answered(
        self, events: Mapping[EventLabels, int], warnings: Mapping[WarningLabels, int]
    ) -> None:
        """Keep a report."""
        self.events.append(events)
        self.warnings.update(warnings)
        self.received.set()


async def test_many_messages_are_one_report() -> None:
    """It is complete when somebody reads, and comes once."""
    reports = Reports()
    sums = EventSums(reports.events_answered)
    for _ in range(1_000):
        sums.add({TRACK: 1, PAGE: 2}, {WARNING: 1})
    sums.hand_on()
    sums.stop()
    assert reports.events == [{TRACK: 1_000, PAGE: 2_000}]
    assert reports.warnings == {WARNING: 1_000}


async def test_a_report_comes_by_itself_again_and_again() -> None:
    """The last message before a pause is not left out."""
    reports = Reports()
    sums = EventSums(reports.events_answered)
    for number in (1, 2, 3):
        reports.received.clear()
        sums.add({TRACK: number}, {})
        await asyncio.wait_for(reports.received.wait(), 30)
    assert reports.events == [{TRACK: 1}, {TRACK: 2}, {TRACK: 3}]


async def test_the_counts_of_many_destinations_come_in_parts() -> None:
    """A report of thousands of different counts would hold up the event loop."""
    reports = Reports()
    sums = EventSums(reports.events_answered)
    for number in range(10_000):
        sums.add({TRACK._replace(destination_ref=f"ref-{number}"): 1}, {})
    sums.stop()
    assert sum(map(len, reports.events)) == 10_000
    assert max(map(len, reports.events)) < 100
