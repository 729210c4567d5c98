"""The events of a partition that is delivered, in their order."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice

from ciosidecar_transform import Outcome

from ..jsonl.reading import Line
from .events import LineReader
from .spills import SpilledEvent, read_partition
from .tasks import PartitionTask


@dataclass(slots=True)
class DeliveryItem:
    """An event of the partition."""

    number: int
    """The number of the event in its partition, from 0."""
    event: SpilledEvent
    line: Line | Outcome
    """The event of the row, or the reason why the row cannot be read."""
    tries: int = 0
    """Failures that count for `max_tries`."""
    resends: int = 0
    """Failures of its own, also before it was sent: no BLOCKED."""
    attempts: int = 0
    """Requests to Customer.io so far."""


class DeliveryItems:
    """An iteration over the events of a partition that an earlier start did not get answered. One thread at a time uses it."""

    def __init__(self, task: PartitionTask, answered: Collection[int]) -> None:
        """Begin with the first event.

        Args:
            task: The partition.
            answered: The numbers of the events that are left out, because they have an answer.
        """
        self._answered = answered
        reader = LineReader(task.job)
        self._source = (
            DeliveryItem(number, event, reader.parse(event.line, event.problem))
            for number, event in enumerate(read_partition(task))
        )
        self._held: DeliveryItem | None = None
        """An event of the source that was not sent, because its round was to end."""
        self.is_exhausted = False
        """True if `next_item` has returned the last event."""
        self.end_number = 0
        """The number after that of the last event that was read."""

    def take_first(self, count: int) -> Iterator[DeliveryItem]:
        """Yield the first events, also those that are left out otherwise."""
        self.end_number = count
        yield from islice(self._source, count)

    def next_item(self) -> DeliveryItem | None:
        """Return the next event of the partition, or None at its end."""
        item, self._held = self._held, None
        if item is None:
            item = self._next_of_source()
            self.is_exhausted = item is None
        return item

    def hold(self, item: DeliveryItem) -> None:
        """Take back an event that was not sent. It is the next one again."""
        self._held = item

    def _next_of_source(self) -> DeliveryItem | None:
        for item in self._source:
            self.end_number = item.number + 1
            if item.number not in self._answered:
                return item
        return None
