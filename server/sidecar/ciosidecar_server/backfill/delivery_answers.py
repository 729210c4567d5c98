"""What became of the events of a partition. Answers are noted as they come, and written now and then."""

import time
from collections import deque
from typing import Any

from ciosidecar import EventError, Result

from ..jsonl.failures import failed_line
from ..jsonl.reading import Line
from .delivery_items import DeliveryItem, DeliveryItems
from .delivery_progress import DeliveryProgress
from .tasks import PartitionTask

_WRITE_EVERY_S = 0.02
_WRITE_EVERY_EVENTS = 100
# A state with thousands of positions takes milliseconds: at most a tenth of the time goes there.
_WRITE_SHARE = 10


class DeliveryAnswers:
    """The answers to the events of one partition, and the events that must be sent again."""

    def __init__(self, task: PartitionTask, progress: DeliveryProgress) -> None:
        """Begin with the answers of an earlier start.

        Args:
            task: The partition.
            progress: The state on the disk.
        """
        self._task = task
        self._progress = progress
        self._state = progress.state
        self._open: dict[int, DeliveryItem] = {}
        """Events before `state.next` that must be sent again."""
        self._unreadable: deque[DeliveryItem] = deque()
        """Rows that cannot be read, whose turn has come."""
        self._answered = {
            number for first, end in self._state.answered for number in range(first, end)
        }
        """Events from `state.next` on that have an answer, also those that must be sent again."""
        self._changing = False
        """True while the state is being changed: Ctrl-C then ends this process without writing it."""
        self._written_at = time.monotonic()
        self._write_took_s = 0.0
        self._unwritten = 0

    @property
    def next_number(self) -> int:
        """Return the number of the first event without an answer."""
        return self._state.next

    @property
    def final_count(self) -> int:
        """Return the number of events with a final answer."""
        return self._state.events

    @property
    def answered(self) -> frozenset[int]:
        """Return the numbers of the events from `next_number` on that have an answer."""
        return frozenset(self._answered)

    @property
    def has_open(self) -> bool:
        """Return whether an event must be sent again."""
        return bool(self._open)

    def resume(self, items: DeliveryItems) -> None:
        """Take those of the first events that an earlier start left to be sent again."""
        opened = frozenset(self._state.open)
        for item in items.take_first(self._state.next):
            if item.number in opened:
                self._open[item.number] = item

    def to_resend(self) -> list[DeliveryItem]:
        """Return the events that must be sent again, in their order."""
        return [self._open[number] for number in sorted(self._open)]

    def finish(self, item: DeliveryItem, result: Result) -> None:
        """Note the final answer of an event. After a failure, keep the event in a file.

        Raises:
            BackfillFailed: The file cannot be written.
        """
        self._changing = True
        error = result.error
        name = error.code if error else result.filter_reason or "delivered"
        self._count(item, f"{result.status} {name}")
        self._progress.warnings.update({warning.code for warning in result.warnings})
        if error is not None:
            kind = "failed" if error.retryable else "refused"
            self._state.failed += error.retryable
            self._state.refused += not error.retryable
            self._keep(kind, item, _failure(item, result, error))
        self._advance(item)

    def reopen(self, item: DeliveryItem) -> None:
        """Note that an event was answered and must be sent again."""
        self._changing = True
        self._open[item.number] = item
        self._advance(item)

    def set_aside(self, item: DeliveryItem) -> None:
        """Put a row that cannot be read aside, whose turn has come. Any thread may call this method."""
        self._unreadable.append(item)

    def finish_unreadable(self) -> None:
        """Note the rows that were set aside as refused.

        Raises:
            BackfillFailed: The file of refused events cannot be written.
        """
        while self._unreadable:
            self._changing = True
            item = self._unreadable.popleft()
            error = item.line.error  # type: ignore[union-attr]
            assert error is not None  # noqa: S101 - only failures stand in place of a line
            failure = {
                "code": str(error.code),
                "message": error.text,
                "status": error.status,
                "retryable": error.retryable,
                "attempts": 0,
            }
            self._count(item, f"{error.status} {error.code}")
            self._state.refused += 1
            self._keep("refused", item, failure)
            self._advance(item)

    def write_if_due(self) -> None:
        """Write the answers, if enough have come since the last time, or enough time has gone by.

        Raises:
            BackfillFailed: The file cannot be written.
        """
        self._unwritten += 1
        waited_s = time.monotonic() - self._written_at
        if (
            self._unwritten >= _WRITE_EVERY_EVENTS or waited_s >= _WRITE_EVERY_S
        ) and waited_s >= self._write_took_s * _WRITE_SHARE:
            self._write()

    def write(self) -> None:
        """Write all answers, unless Ctrl-C or a fault came amid a change: then the last state on the disk holds.

        Raises:
            BackfillFailed: A file cannot be written.
        """
        if not self._changing:
            self.finish_unreadable()
            self._write()

    def _write(self) -> None:
        began = time.monotonic()
        self._progress.write(self._open, self._answered)
        self._written_at, self._unwritten = time.monotonic(), 0
        self._write_took_s = self._written_at - began

    def _count(self, item: DeliveryItem, outcome: str) -> None:
        self._open.pop(item.number, None)
        self._state.events += 1
        self._progress.outcomes[outcome] += 1

    def _keep(self, kind: str, item: DeliveryItem, failure: dict[str, Any]) -> None:
        failure |= {"file": self._task.files[item.event.file], "line": item.event.row}
        line = item.line if isinstance(item.line, Line) else None
        has_config = self._task.job.config is None
        self._progress.add_line(
            kind, failed_line(item.event.line, line, failure, has_config=has_config)
        )

    def _advance(self, item: DeliveryItem) -> None:
        state, answered = self._state, self._answered
        if item.number >= state.next:
            answered.add(item.number)
        while state.next in answered:
            answered.remove(state.next)
            state.next += 1
        self._changing = False


def _failure(item: DeliveryItem, result: Result, error: EventError) -> dict[str, Any]:
    failure: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "status": result.status,
        "retryable": error.retryable,
        "attempts": item.attempts,
    }
    if result.delivery is not None and result.delivery.http_status:
        failure |= {"http_status": result.delivery.http_status, "reason": result.delivery.reason}
    return failure
