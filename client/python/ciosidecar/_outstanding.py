"""The outstanding events of a lane, without I/O, clock or lock."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import NamedTuple

from ciosidecar import v1
from ciosidecar._answer_queue import AnswerQueue, Entry
from ciosidecar._reference_table import ReferenceTable, Referent
from ciosidecar.events import Destination, Outgoing, SourceConnection, payload
from ciosidecar.results import Result, answered_positions, read_results

# How many answered batches `blocked_by` can refer to. Limited, because a stream may run for months.
_MAX_REMEMBERED_BATCHES = 10_000
# The reference id of an item without a destination, or without a connection.
_NO_REFERENCE = 0


class Answered(NamedTuple):
    """The changes that a message of results made."""

    answered: list[Entry]
    """The events that have their results now."""
    returned: list[Entry]
    """The events that a draining sidecar did not send, which another one can."""


class OutstandingEvents:
    """The unanswered events of one lane, a connection of a stream: waiting or sent."""

    def __init__(
        self,
        answers: AnswerQueue,
        *,
        max_batch_events: int,
        max_batch_bytes: int,
        moves_events: bool = False,
    ) -> None:
        self._answers = answers
        self._moves_events = moves_events
        # By batch id, the positions of events that were returned; and where these are on the stream.
        self._returned: dict[int, set[int]] = {}
        self._returned_positions: set[int] = set()
        self._max_batch_events = max_batch_events
        self._max_batch_bytes = max_batch_bytes
        self._waiting: deque[Entry] = deque()
        self._waiting_bytes = 0
        self._sent: dict[int, list[Entry]] = {}
        self._answered_positions: OrderedDict[int, Sequence[int]] = OrderedDict()
        self._destinations = ReferenceTable[Destination]()
        self._connections = ReferenceTable[SourceConnection]()
        self._next_batch_id = 1
        self.answered = 0
        """Events that a sidecar has answered."""

    @property
    def unanswered(self) -> bool:
        """Return whether an event has no result yet: it is sent, or waits."""
        return bool(self._waiting or self._sent)

    @property
    def in_flight(self) -> bool:
        """Return whether a batch is sent and not answered completely."""
        return bool(self._sent)

    @property
    def waiting(self) -> bool:
        """Return whether an event is not sent yet."""
        return bool(self._waiting)

    @property
    def waiting_count(self) -> int:
        """Return the number of events that are not sent yet."""
        return len(self._waiting)

    @property
    def batch_is_full(self) -> bool:
        """Return whether the waiting events fill a message."""
        return (
            len(self._waiting) >= self._max_batch_events
            or self._waiting_bytes >= self._max_batch_bytes
        )

    def enqueue(self, entry: Entry) -> None:
        """Queue an event. Events with a group share messages only with each other."""
        self._waiting.append(entry)
        self._waiting_bytes += entry.outgoing.size

    def take_waiting(self) -> list[Entry]:
        """Return the events that are not sent, and give them up."""
        entries = list(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        return entries

    def take_unanswered(self) -> list[Entry]:
        """Return the events without a result, in order, and give them up. The call has ended."""
        return self._take_sent() + self.take_waiting()

    def _take_sent(self) -> list[Entry]:
        """Return the sent events without a result, in order, and give them up."""
        unanswered = [
            entry
            for batch_id, entries in self._sent.items()
            for position, entry in enumerate(entries)
            if entry.result is None and position not in self._returned.get(batch_id, ())
        ]
        self._sent.clear()
        self._returned.clear()
        self._returned_positions.clear()
        return unanswered

    def connect(self, limits: v1.Limits) -> None:
        """Start over on a new connection: queue the unanswered events again, in order."""
        self._destinations.reset(limits.max_destinations)
        self._connections.reset(limits.max_destinations)
        self._answered_positions.clear()
        self._max_batch_events = min(self._max_batch_events, limits.max_batch_events)
        if limits.max_message_bytes:
            # The other half is room for the options of the events.
            self._max_batch_bytes = min(self._max_batch_bytes, limits.max_message_bytes // 2)
        unanswered = self._take_sent()
        self._waiting.extendleft(reversed(unanswered))
        self._waiting_bytes += sum(entry.outgoing.size for entry in unanswered)

    def take_messages(self) -> list[v1.TransformStreamRequest]:
        """Return the next batch, after the destinations that it is the first to refer to.

        Returns:
            One or two messages, or [] if no event waits.
        """
        message = v1.TransformStreamRequest()
        entries = self._fill(message.batch)
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

    def _fill(self, batch: v1.Batch) -> list[Entry]:
        """Move waiting events into a batch while they fit, and return them."""
        entries: list[Entry] = []
        destinations: set[int] = {_NO_REFERENCE}
        connections: set[int] = {_NO_REFERENCE}
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
            destination = _reference_id(self._destinations, outgoing.destination, destinations)
            connection = _reference_id(self._connections, outgoing.connection, connections)
            if destination is None or connection is None:
                break
            destinations.add(destination)
            connections.add(connection)
            entries.append(self._waiting.popleft())
            _add_item(batch, outgoing, destination, connection)
        return entries

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

    def answer(self, results: v1.Results) -> Answered:
        """Record results. A second result for the same event is ignored.

        Raises:
            ValueError: The results violate the contract.
            IndexError: A position is not in the batch.
        """
        entries = self._sent.get(results.batch_id)
        answered = Answered([], [])
        if entries is None:
            return answered
        returned = self._returned.get(results.batch_id, set())
        stream_positions = _compact([entry.position for entry in entries])
        decoded = read_results(results, stream_positions, self._position_of)
        for position, result in zip(answered_positions(results), decoded, strict=True):
            entry = entries[position]
            if entry.result is not None or position in returned:
                continue
            if self._moves_events and self._may_move(result):
                returned.add(position)
                self._returned[results.batch_id] = returned
                self._returned_positions.add(entry.position)
                answered.returned.append(entry)
                continue
            entry.result = result
            self.answered += 1
            self._answers.answered(entry)
            answered.answered.append(entry)
        if results.batch_complete:
            if any(
                entry.result is None and position not in returned
                for position, entry in enumerate(entries)
            ):
                raise ValueError("a complete batch has events without an answer")
            del self._sent[results.batch_id]
            self._returned.pop(results.batch_id, None)
            self._answered_positions[results.batch_id] = stream_positions
            if len(self._answered_positions) > _MAX_REMEMBERED_BATCHES:
                self._answered_positions.popitem(last=False)
        return answered

    def _may_move(self, result: Result) -> bool:
        """Return true if a draining sidecar did not send the event, nor the one that blocked it."""
        error = result.error
        if error is None:
            return False
        return error.code == "DRAINING" or error.blocked_by in self._returned_positions

    def _position_of(self, batch_id: int, position: int) -> int | None:
        """Return an event's position on the stream, or None if its batch is not remembered."""
        sent = self._sent.get(batch_id)
        if sent is not None:
            return sent[position].position if position < len(sent) else None
        answered = self._answered_positions.get(batch_id, ())
        return answered[position] if position < len(answered) else None


def _reference_id(
    table: ReferenceTable[Referent], referent: Referent | None, in_use: set[int]
) -> int | None:
    return _NO_REFERENCE if referent is None else table.reference_id(referent, in_use)


def _add_item(batch: v1.Batch, outgoing: Outgoing, destination: int, connection: int) -> None:
    event = outgoing.event
    if outgoing.fields is None and connection == _NO_REFERENCE and isinstance(event, bytes):
        batch.items.add(json=event, destination=destination)
    else:
        fields = payload(event) | dict(outgoing.fields or {})
        batch.items.add(destination=destination, connection=connection, **fields)


def _compact(positions: list[int]) -> Sequence[int]:
    """Return the positions as a range if they are consecutive, as most are on a stream without affinity."""
    if not positions:
        return positions
    # The last position may be right by chance: events of other lanes join a lane in any order.
    consecutive = range(positions[0], positions[0] + len(positions))
    return consecutive if positions == list(consecutive) else positions
