"""The outstanding events of a whole stream, and the order of their answers, without I/O, clock or lock."""

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from ciosidecar.events import Outgoing
from ciosidecar.results import Result


class Answer(NamedTuple):
    """The result of one event, with the caller's attachment."""

    attachment: Any
    """The caller's own object, or the event itself if the caller gave none."""
    result: Result
    """The result. Its positions count the events of the stream from 0."""


class BatchGroup(NamedTuple):
    """Events that travel in batches of their own."""

    number: int
    timeout_s: float | None


class Entry:
    """An event from sending until its answer is taken."""

    __slots__ = ("group", "outgoing", "position", "result", "slot")

    def __init__(
        self, position: int, outgoing: Outgoing, group: BatchGroup | None, slot: int
    ) -> None:
        self.position = position
        self.outgoing = outgoing
        self.group = group
        self.slot = slot
        """The slot of the event's person on a stream with affinity; else 0."""
        self.result: Result | None = None


class AnswerQueue:
    """All outstanding events of one stream, on whichever lane they are."""

    def __init__(self, *, unordered: bool = False) -> None:
        self._unordered = unordered
        # In order: all outstanding events. Unordered: the answered ones.
        self._answers: deque[Entry] = deque()
        self._next_position = 0
        self._next_group = 0
        self.event_count = 0
        """Events whose answers the caller has not taken."""
        self.byte_count = 0
        """The size of those events in bytes."""

    def add(self, outgoing: Outgoing, group: BatchGroup | None = None, slot: int = 0) -> Entry:
        """Return a new event of the stream, which no lane has yet."""
        entry = Entry(self._next_position, outgoing, group, slot)
        self._next_position += 1
        if not self._unordered:
            self._answers.append(entry)
        self.event_count += 1
        self.byte_count += outgoing.size
        return entry

    def new_group(self, timeout_s: float | None) -> BatchGroup:
        """Return a new group. timeout_s is the time limit of its delivery."""
        self._next_group += 1
        return BatchGroup(self._next_group, timeout_s)

    def answered(self, entry: Entry) -> None:
        """Note that an event has its result."""
        if self._unordered:
            self._answers.append(entry)

    def take(self) -> Iterator[Answer]:
        """Yield the answers that are ready: in the order of the events or, unordered, of arrival."""
        while self._answers and (result := self._answers[0].result) is not None:
            outgoing = self._answers.popleft().outgoing
            self.event_count -= 1
            self.byte_count -= outgoing.size
            yield Answer(outgoing.attachment, result)
