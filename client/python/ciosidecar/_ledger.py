"""What a stream owes its user: every event until it is answered. No I/O, no clock, no lock."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from ciosidecar import v1
from ciosidecar.events import Destination, Encoded
from ciosidecar.results import Result, answered_positions, read_results


class Answer(NamedTuple):
    """One event's result, and what its sender put beside it."""

    item: Any
    """The caller's own object; the event itself if there was none."""
    result: Result
    """Positions in it, the requests' too, count the events of the stream from 0."""


class _Entry:
    """An event between `add` and `take_answers`."""

    __slots__ = ("destination", "event", "item", "options", "position", "result")

    def __init__(
        self,
        position: int,
        event: Encoded,
        item: Any,
        destination: Destination | None,
        options: dict[str, Any] | None,
    ) -> None:
        self.position = position
        self.event = event
        self.item = item
        self.destination = destination
        self.options = options
        self.result: Result | None = None

    def size(self) -> int:
        return len(self.event) if isinstance(self.event, bytes) else self.event.ByteSize()


class Ledger:
    """The events of one stream: waiting, sent, answered."""

    def __init__(self, *, max_batch_events: int, max_batch_bytes: int) -> None:
        self._max_batch_events = max_batch_events
        self._max_batch_bytes = max_batch_bytes
        self._max_destinations = 1
        self._in_order: deque[_Entry] = deque()
        self._waiting: deque[_Entry] = deque()
        self._waiting_bytes = 0
        self._sent: dict[int, list[_Entry]] = {}
        self._numbers: OrderedDict[Destination, int] = OrderedDict()
        self._next_batch_id = 1
        self._next_position = 0
        self.owed_bytes = 0
        """Bytes of the events that the user has no answer to yet."""
        self.answered = 0
        """Events that a server has answered."""

    @property
    def owed(self) -> int:
        """Events that the user has no answer to yet."""
        return len(self._in_order)

    @property
    def unanswered(self) -> bool:
        """Whether the server owes an answer, or is still to be asked."""
        return bool(self._waiting or self._sent)

    @property
    def waiting(self) -> bool:
        """Whether events are not sent yet."""
        return bool(self._waiting)

    @property
    def batch_is_full(self) -> bool:
        """Whether what waits is worth a message."""
        return (
            len(self._waiting) >= self._max_batch_events
            or self._waiting_bytes >= self._max_batch_bytes
        )

    def add(
        self,
        event: Encoded,
        item: Any,
        destination: Destination | None,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Takes an event. options: further fields of its v1.Item; ValueError or TypeError if wrong."""
        if options is not None:
            v1.Item(**options)
        entry = _Entry(self._next_position, event, item, destination, options)
        self._next_position += 1
        size = entry.size()
        self._in_order.append(entry)
        self._waiting.append(entry)
        self._waiting_bytes += size
        self.owed_bytes += size

    def connect(self, limits: v1.Limits) -> None:
        """Begins anew with a server: what it had not answered is to be sent again, in order."""
        self._max_destinations = max(1, limits.max_destinations)
        self._max_batch_events = min(self._max_batch_events, limits.max_batch_events)
        self._numbers.clear()
        unanswered = [
            entry for entries in self._sent.values() for entry in entries if entry.result is None
        ]
        self._sent.clear()
        self._waiting.extendleft(reversed(unanswered))
        self._waiting_bytes += sum(entry.size() for entry in unanswered)

    def take_messages(self) -> list[v1.TransformStreamRequest]:
        """The next batch to send, after the destinations it is the first to name; [] for none."""
        entries: list[_Entry] = []
        declared: list[v1.Destination] = []
        message = v1.TransformStreamRequest()
        add_item = message.batch.items.add
        named: set[int] = set()
        size = 0
        while self._waiting:
            entry = self._waiting[0]
            size += entry.size()
            if entries and (len(entries) == self._max_batch_events or size > self._max_batch_bytes):
                break
            number = self._number(entry.destination, named, declared)
            if number is None:
                break
            named.add(number)
            entries.append(self._waiting.popleft())
            if entry.options is None and isinstance(entry.event, bytes):
                add_item(json=entry.event, destination=number)
            else:
                add_item(destination=number, **payload(entry.event), **(entry.options or {}))
        if not entries:
            return []
        self._waiting_bytes -= sum(entry.size() for entry in entries)
        message.batch.batch_id = self._next_batch_id
        self._sent[self._next_batch_id] = entries
        self._next_batch_id += 1
        if not declared:
            return [message]
        upsert = v1.UpsertDestinations(destinations=declared)
        return [v1.TransformStreamRequest(upsert_destinations=upsert), message]

    def _number(
        self, destination: Destination | None, named: set[int], declared: list[v1.Destination]
    ) -> int | None:
        """The number of a destination, declared if it is new; None if this batch needs all there are."""
        if destination is None:
            return 0  # a prepared request needs none
        number = self._numbers.get(destination)
        if number is not None:
            return number
        if len(self._numbers) < self._max_destinations:
            number = len(self._numbers) + 1
        elif next(iter(self._numbers.values())) not in named:
            _, number = self._numbers.popitem(last=False)
        else:
            return None
        self._numbers[destination] = number
        declared.append(
            v1.Destination(
                number=number, destination_ref=destination.ref, config_json=destination.config
            )
        )
        return number

    def answer(self, results: v1.Results) -> None:
        """Takes what the server answered. What it answers twice counts once."""
        entries = self._sent.get(results.batch_id)
        if entries is None:
            return
        numbers = [entry.position for entry in entries]
        answered = zip(answered_positions(results), read_results(results, numbers), strict=True)
        for position, result in answered:
            entries[position].result = result
            self.answered += 1
        if results.batch_complete:
            del self._sent[results.batch_id]

    def take_answers(self) -> Iterator[Answer]:
        """Answers that are due, in the order in which the events were added."""
        while self._in_order and (result := self._in_order[0].result) is not None:
            entry = self._in_order.popleft()
            self.owed_bytes -= entry.size()
            yield Answer(entry.item, result)


def payload(event: Encoded) -> dict[str, Any]:
    """The field of v1.Item that an event travels in."""
    if isinstance(event, bytes):
        return {"json": event}
    return {"prepared" if isinstance(event, v1.PreparedRequest) else "message": event}
