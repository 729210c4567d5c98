"""What a stream owes its user: every event until it is answered. No I/O, no clock, no lock."""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ciosidecar import v1
from ciosidecar._numbering import Numbering
from ciosidecar.events import Connection, Destination, Encoded
from ciosidecar.results import Result, answered_positions, read_results

# Answered batches whose events an error may still name: an event waits for one that failed earlier.
_MAX_REMEMBERED_BATCHES = 10_000


class Answer(NamedTuple):
    """One event's result, and what its sender put beside it."""

    item: Any
    """The caller's own object; the event itself if there was none."""
    result: Result
    """Positions in it, the requests' too, count the events of the stream from 0."""


class _Entry:
    """An event between `add` and `take_answers`."""

    __slots__ = ("connection", "destination", "event", "item", "options", "position", "result")

    def __init__(
        self,
        position: int,
        event: Encoded,
        item: Any,
        destination: Destination | None,
        connection: Connection | None,
        options: dict[str, Any] | None,
    ) -> None:
        self.position = position
        self.event = event
        self.item = item
        self.destination = destination
        self.connection = connection
        self.options = options
        self.result: Result | None = None

    def size(self) -> int:
        return len(self.event) if isinstance(self.event, bytes) else self.event.ByteSize()


class Ledger:
    """The events of one stream: waiting, sent, answered."""

    def __init__(self, *, max_batch_events: int, max_batch_bytes: int) -> None:
        self._max_batch_events = max_batch_events
        self._max_batch_bytes = max_batch_bytes
        self._in_order: deque[_Entry] = deque()
        self._waiting: deque[_Entry] = deque()
        self._waiting_bytes = 0
        self._sent: dict[int, list[_Entry]] = {}
        self._answered_positions: OrderedDict[int, Sequence[int]] = OrderedDict()
        self._destinations = Numbering[Destination]()
        self._connections = Numbering[Connection]()
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
    def in_flight(self) -> bool:
        """Whether a server has been asked for something that it has not answered."""
        return bool(self._sent)

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
        connection: Connection | None = None,
    ) -> None:
        """Takes an event. options: further fields of its v1.Item; ValueError or TypeError if wrong."""
        if options is not None:
            v1.Item(**options)
        entry = _Entry(self._next_position, event, item, destination, connection, options)
        self._next_position += 1
        size = entry.size()
        self._in_order.append(entry)
        self._waiting.append(entry)
        self._waiting_bytes += size
        self.owed_bytes += size

    def connect(self, limits: v1.Limits) -> None:
        """Begins anew with a server: what it had not answered is to be sent again, in order."""
        self._destinations.begin_anew(limits.max_destinations)
        self._connections.begin_anew(limits.max_destinations)
        self._answered_positions.clear()
        self._max_batch_events = min(self._max_batch_events, limits.max_batch_events)
        unanswered = [
            entry for entries in self._sent.values() for entry in entries if entry.result is None
        ]
        self._sent.clear()
        self._waiting.extendleft(reversed(unanswered))
        self._waiting_bytes += sum(entry.size() for entry in unanswered)

    def take_messages(self) -> list[v1.TransformStreamRequest]:
        """The next batch to send, after the destinations it is the first to name; [] for none."""
        entries: list[_Entry] = []
        message = v1.TransformStreamRequest()
        add_item = message.batch.items.add
        destinations: set[int] = {0}
        connections: set[int] = {0}
        size = 0
        while self._waiting:
            entry = self._waiting[0]
            size += entry.size()
            if entries and (len(entries) == self._max_batch_events or size > self._max_batch_bytes):
                break
            # 0 stands for none: a prepared request needs no destination, only a record a connection.
            to: int | None = 0
            rows: int | None = 0
            if entry.destination is not None:
                to = self._destinations.number(entry.destination, destinations)
            if entry.connection is not None:
                rows = self._connections.number(entry.connection, connections)
            if to is None or rows is None:
                break
            destinations.add(to)
            connections.add(rows)
            entries.append(self._waiting.popleft())
            if entry.options is None and rows == 0 and isinstance(entry.event, bytes):
                add_item(json=entry.event, destination=to)
            else:
                fields = payload(entry.event) | (entry.options or {})
                add_item(destination=to, connection=rows, **fields)
        if not entries:
            return []
        self._waiting_bytes -= sum(entry.size() for entry in entries)
        message.batch.batch_id = self._next_batch_id
        self._sent[self._next_batch_id] = entries
        self._next_batch_id += 1
        upsert = self._declare()
        if not upsert.destinations and not upsert.connections:
            return [message]
        return [v1.TransformStreamRequest(upsert_destinations=upsert), message]

    def _declare(self) -> v1.UpsertDestinations:
        upsert = v1.UpsertDestinations()
        for number, destination in self._destinations.take_undeclared():
            upsert.destinations.add(
                number=number, destination_ref=destination.ref, config_json=destination.config
            )
        for number, connection in self._connections.take_undeclared():
            upsert.connections.add(
                number=number, connection_ref=connection.ref, config_json=connection.config
            )
        return upsert

    def answer(self, results: v1.Results) -> None:
        """Takes what the server answered. What it answers twice counts once."""
        entries = self._sent.get(results.batch_id)
        if entries is None:
            return
        numbers = _compact([entry.position for entry in entries])
        found = read_results(results, numbers, self._position_of)
        for position, result in zip(answered_positions(results), found, strict=True):
            entries[position].result = result
            self.answered += 1
        if results.batch_complete:
            del self._sent[results.batch_id]
            self._answered_positions[results.batch_id] = numbers
            if len(self._answered_positions) > _MAX_REMEMBERED_BATCHES:
                self._answered_positions.popitem(last=False)

    def _position_of(self, batch_id: int, position: int) -> int | None:
        """Where on the stream an event of a batch was; None for a batch that is not remembered."""
        sent = self._sent.get(batch_id)
        if sent is not None:
            return sent[position].position if position < len(sent) else None
        answered = self._answered_positions.get(batch_id, ())
        return answered[position] if position < len(answered) else None

    def take_answers(self) -> Iterator[Answer]:
        """Answers that are due, in the order in which the events were added."""
        while self._in_order and (result := self._in_order[0].result) is not None:
            entry = self._in_order.popleft()
            self.owed_bytes -= entry.size()
            yield Answer(entry.item, result)


def _compact(positions: list[int]) -> Sequence[int]:
    """The same positions, as a range where they are one, as they are but for what is sent again."""
    if positions and positions[-1] - positions[0] + 1 == len(positions):
        return range(positions[0], positions[-1] + 1)
    return positions


def payload(event: Encoded) -> dict[str, Any]:
    """The field of v1.Item that an event travels in."""
    if isinstance(event, bytes):
        return {"json": event}
    return {"prepared" if isinstance(event, v1.PreparedRequest) else "message": event}
