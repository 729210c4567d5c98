"""Progress on stderr, if it is a terminal."""

import time
from collections import deque

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TimeElapsedColumn,
)
from rich.text import Text

from ..counted import counted
from ..jsonl.summary import Summary
from .events_column import EventsColumn
from .outcome import stderr

_RATE_OVER_S = 3.0


def counting() -> Progress:
    """Return a progress line with the number of results."""
    return _live(EventsColumn(lambda task: int(task.completed)), BarColumn())


def delivering(summary: Summary) -> Progress:
    """Return a progress line with the outcomes so far and the results a second."""
    return _live(_DeliveryColumn(summary))


def _live(*columns: ProgressColumn) -> Progress:
    return Progress(
        SpinnerColumn(),
        *columns,
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )


class _DeliveryColumn(ProgressColumn):
    def __init__(self, summary: Summary) -> None:
        super().__init__()
        self._summary = summary
        self._seen: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def render(self, _task: Task) -> Text:
        summary = self._summary
        text = Text(f"{summary.delivered:,} delivered")
        for number, noun, style in (
            (summary.permanent_failures, "permanent failure", "red"),
            (summary.retryable_failures, "retryable failure", "yellow"),
        ):
            if number:
                text.append(f"  {counted(number, noun, grouped=True)}", style)
        if summary.retried:
            text.append(f"  {summary.retried:,} retried", "dim")
        return text.append(f"  {self._rate_per_s():,.0f} events/s")

    def _rate_per_s(self) -> float:
        """Return the rate over the last seconds."""
        now = time.monotonic()
        self._seen.append((now, self._summary.lines))
        while len(self._seen) > 2 and now - self._seen[1][0] > _RATE_OVER_S:
            self._seen.popleft()
        began, lines = self._seen[0]
        return (self._summary.lines - lines) / max(now - began, 0.001)
