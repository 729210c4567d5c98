"""The summary of a backfill, over all its partitions and starts."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..counted import counted
from .tasks import PartitionResult


class Summary:
    """The counts of all partitions."""

    def __init__(
        self, partitions: Iterable[PartitionResult], seconds: float, *, earlier_events: int = 0
    ) -> None:
        """Add up the partitions.

        Args:
            partitions: The results of all partitions.
            seconds: How long this start took.
            earlier_events: The events of partitions that an earlier start finished.
        """
        results = sorted(partitions, key=lambda result: result.number)
        self.partitions = len(results)
        self.events = sum(result.events for result in results)
        self.requests = sum(result.requests for result in results)
        self.refused = sum(result.refused for result in results)
        self.failed = sum(result.failed for result in results)
        self.seconds = seconds
        self.events_per_s = (self.events - earlier_events) / max(seconds, 0.001)
        """The rate of this start."""
        self.worker_seconds = sum(result.seconds for result in results)
        self.outcomes: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        self.files: list[str] = []
        for result in results:
            self.outcomes.update(result.outcomes)
            self.warnings.update(result.warnings)
            self.files += result.files

    def members(self) -> dict[str, Any]:
        """Return the summary as members of a JSON object."""
        return {
            "events": self.events,
            "requests": self.requests,
            "refused": self.refused,
            "failed": self.failed,
            "outcomes": dict(self.outcomes.most_common()),
            "warnings": dict(self.warnings.most_common()),
            "partitions": self.partitions,
            "files": self.files,
            "seconds": round(self.seconds, 3),
            "worker_seconds": round(self.worker_seconds, 3),
            "events_per_s": round(self.events_per_s),
        }

    def lines(self) -> list[str]:
        """Return the summary as lines of group, name and number, as the other commands print it."""
        lines = [counted(self.events, "event")]
        for group, counter in (("outcome", self.outcomes), ("warning", self.warnings)):
            lines += [f"{group}\t{name}\t{number}" for name, number in counter.most_common()]
        for kind, number in (("refused", self.refused), ("failed", self.failed)):
            if number:
                lines.append(f"file\t{kind}-*.jsonl\t{number}")
        return [
            *lines,
            f"time\tseconds\t{self.seconds:.1f}",
            f"time\tevents/s\t{self.events_per_s:.0f}",
        ]
