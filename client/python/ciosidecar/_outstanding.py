"""What a stream owes its user: every event until it is answered. No I/O, no clock, no lock."""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ciosidecar import v1
from ciosidecar._reference_table import ReferenceTable
from ciosidecar.events import Destination, Outgoing, SourceConnection, payload
from ciosidecar.results import Result, answered_positions, read_results

# Answered batches whose events an error may still name: an event waits for one that failed earlier.
_MAX_REMEMBERED_BATCHES = 10_000


class Answer(NamedTuple):
    """One event's result, and what its sender put beside it."""

    attachment: Any
    """The caller's own object; the event itself if there was none."""
    result: Result
    """Positions in it, the requests' too, count the events of the stream from 0."""


class BatchGroup(NamedTuple):
    """What events share that must travel in batches of their own."""

    number: int
    timeout_s: float | None


class _Entry:
    """An event between `add` and `take_answers`."""

    __slots__ = ("group", "outgoing", "position", "result")

    def __init__(self, position: int, outgoing: Outgoing, group: BatchGroup | None) -> None:
        self.position = position
        self.outgoing = outgoing
        self.group = group
        self.result: Result | None = None


class OutstandingEvents:
    """The events of one stream: waiting, sent, answered."""

    def __init__(
        self, *, max_batch_events: int, max_batch_bytes: int, unordered: bool = False
    ) -> None:
        self._max_batch_events = max_batch_events
        self._max_batch_bytes = max_batch_bytes
        self._unordered = unordered
        # Ordered: all that are owed. Unordered: those that are answered.
        self._answers: deque[_Entry] = deque()
        self._waiting: deque[_Entry] = deque()
        self._waiting_bytes = 0
        self._sent: dict[int, list[_Entry]] = {}
        self._answered_positions: OrderedDict[int, Sequence[int]] = OrderedDict()
        self._destinations = ReferenceTable[Destination]()
        self._connections = ReferenceTable[SourceConnection]()
        self._next_batch_id = 1
        self._next_position = 0
        self._next_group = 0
        self.event_count = 0
        """Events that the user has no answer to yet."""
        self.byte_count = 0
        """Bytes of those events."""
        self.answered = 0
        """Events that a server has answered."""

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

    def add(self, outgoing: Outgoing, group: BatchGroup | None = None) -> None:
        """Take an event. group: for events that travel with no others; see `new_group`."""
        entry = _Entry(self._next_position, outgoing, group)
        self._next_position += 1
        if not self._unordered:
            self._answers.append(entry)
        self._waiting.append(entry)
        self._waiting_bytes += outgoing.size
        self.event_count += 1
        self.byte_count += outgoing.size

    def new_group(self, timeout_s: float | None) -> BatchGroup:
        """Return a group of events that travel with no others. timeout_s: of their delivery."""
        self._next_group += 1
        return BatchGroup(self._next_group, timeout_s)

    def drop_waiting(self) -> None:
        """Forget what is not sent: it will have no answer."""
        self._waiting.clear()
        self._waiting_bytes = 0

    def connect(self, limits: v1.Limits) -> None:
        """Begins anew with a server: what it had not answered is to be sent again, in order."""
        self._destinations.begin_anew(limits.max_destinations)
        self._connections.begin_anew(limits.max_destinations)
        self._answered_positions.clear()
        self._max_batch_events = min(self._max_batch_events, limits.max_batch_events)
        if limits.max_message_bytes:
            # Beside its events, a message has what is said about them.
            self._max_batch_bytes = min(self._max_batch_bytes, limits.max_message_bytes // 2)
        unanswered = [
            entry for entries in self._sent.values() for entry in entries if entry.result is None
        ]
        self._sent.clear()
        self._waiting.extendleft(reversed(unanswered))
        self._waiting_bytes += sum(entry.outgoing.size for entry in unanswered)

    def take_messages(self) -> list[v1.TransformStreamRequest]:
        """The next batch to send, after the destinations it is the first to name; [] for none."""
        entries: list[_Entry] = []
        message = v1.TransformStreamRequest()
        destinations: set[int] = {0}
        connections: set[int] = {0}
        size = 0
        while self._waiting:
            entry = self._waiting[0]
            outgoing = entry.outgoing
            size += outgoing.size
            if entries and (
                len(entries) == self._max_batch_events
                or size > self._max_batch_bytes
                or entry.group is not entries[0].group
            ):
                break
            # 0 stands for none: a prepared request needs no destination, only a record a connection.
            to: int | None = 0
            rows: int | None = 0
            if outgoing.destination is not None:
                to = self._destinations.reference_id(outgoing.destination, destinations)
            if outgoing.connection is not None:
                rows = self._connections.reference_id(outgoing.connection, connections)
            if to is None or rows is None:
                break
            destinations.add(to)
            connections.add(rows)
            entries.append(self._waiting.popleft())
            _add_item(message.batch, outgoing, to, rows)
        if not entries:
            return []
        self._waiting_bytes -= sum(entry.outgoing.size for entry in entries)
        group = entries[0].group
        if group is not None and group.timeout_s is not None:
            message.batch.timeout.FromMilliseconds(round(group.timeout_s * 1000))
        message.batch.batch_id = self._next_batch_id
        upsert = self._declare()
        self._sent[self._next_batch_id] = entries
        self._next_batch_id += 1
        if not upsert.destinations and not upsert.connections:
            return [message]
        return [v1.TransformStreamRequest(upsert_destinations=upsert), message]

    def _declare(self) -> v1.UpsertDestinations:
        upsert = v1.UpsertDestinations()
        for reference_id, destination in self._destinations.take_undeclared():
            upsert.destinations.add(
                reference_id=reference_id,
                destination_ref=destination.ref,
                config_json=destination.config,
            )
        for reference_id, connection in self._connections.take_undeclared():
            upsert.connections.add(reference_id=reference_id, config_json=connection.config)
        return upsert

    def answer(self, results: v1.Results) -> None:
        """Take what the server answered. What it answers twice counts once.

        Raises ValueError or IndexError if the server breaks the contract.
        """
        entries = self._sent.get(results.batch_id)
        if entries is None:
            return
        numbers = _compact([entry.position for entry in entries])
        found = read_results(results, numbers, self._position_of)
        for position, result in zip(answered_positions(results), found, strict=True):
            entry = entries[position]
            if entry.result is not None:
                continue
            entry.result = result
            self.answered += 1
            if self._unordered:
                self._answers.append(entry)
        if results.batch_complete:
            if any(entry.result is None for entry in entries):
                raise ValueError("a complete batch has events without an answer")
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
        """Answers that are due: in the order of their events, or, unordered, as they came."""
        while self._answers and (result := self._answers[0].result) is not None:
            outgoing = self._answers.popleft().outgoing
            self.event_count -= 1
            self.byte_count -= outgoing.size
            yield Answer(outgoing.attachment, result)


def _add_item(batch: v1.Batch, outgoing: Outgoing, destination: int, connection: int) -> None:
    event = outgoing.event
    if outgoing.fields is None and connection == 0 and isinstance(event, bytes):
        batch.items.add(json=event, destination=destination)
    else:
        fields = payload(event) | dict(outgoing.fields or {})
        batch.items.add(destination=destination, connection=connection, **fields)


def _compact(positions: list[int]) -> Sequence[int]:
    """The same positions, as a range where they are one, as they are but for what is sent again."""
    if positions and positions[-1] - positions[0] + 1 == len(positions):
        return range(positions[0], positions[-1] + 1)
    return positions
