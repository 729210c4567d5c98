"""One message of results, from its first item to its bytes.

This is the plain writer: it writes with the protobuf library. compiled_codec.py has the other one.
"""

import sys
from collections.abc import Callable
from typing import NamedTuple, NoReturn, Protocol

from ciosidecar.v1 import result_pb2
from ciosidecar.v1 import service_pb2 as pb
from ciosidecar_transform import Outcome
from ciosidecar_transform.requests import Request, RequestTemplate

from .sizes import PER_EVENT_BYTES
from .templates import EncodedTemplate

ResponseType = (
    type[pb.TransformStreamResponse] | type[pb.TransformResponse] | type[pb.DeliverResponse]
)
NO_LIMIT = sys.maxsize


class EncodedResults(NamedTuple):
    """A complete response on the wire."""

    data: bytes
    events: int
    """The number of items that it answers."""
    complete: bool
    """Whether the batch is answered with it."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - as the messages of the protobuf library
        """Return the bytes."""
        return self.data


class Answered(Protocol):
    """An item that has its outcome."""

    @property
    def position(self) -> int:
        """Return the position of the item in its batch."""

    @property
    def tag(self) -> bytes:
        """Return the caller's tag of the item."""


class MessageOwner(Protocol):
    """The encoder that fills a message, and begins another one where the message is full."""

    def reserve_beyond(self, template: RequestTemplate, size: int) -> None:
        """Reserve room that the message does not have. Arguments and exceptions as those of `reserve`."""

    def make_room(self, size: int) -> None:
        """Count the bytes of an item for which the message has no room."""

    def encoded(self, template: RequestTemplate) -> EncodedTemplate:
        """Return a template as the caller may see it."""

    def answer(self, item: Answered, outcome: Outcome) -> None:
        """Add the status of an item, and its detail."""


class ResultsMessage(Protocol):
    """The results of some items of a batch.

    `reserve` and `add` are those of a RequestWriter: a transform calls them directly.
    """

    size: int
    """The bytes that count so far. A message is at most so large."""

    @property
    def answered(self) -> int:
        """Return the number of items so far."""

    @property
    def has_room(self) -> bool:
        """Return whether there is room for the next item, with its request, already."""

    def reserve(self, template: RequestTemplate, size: int) -> None:
        """Reserve room for the next item's request, or for its part of a shared one. Unit: bytes.

        Raises:
            EventRejected: TOO_LARGE, if no message can hold the request.
        """

    def needed(self, template: RequestTemplate, size: int) -> int:
        """Return what a request adds to the message, with its template if it is the first of that."""

    def take_room(self, template: RequestTemplate, needed: int) -> None:
        """Count a request, and its template. needed: what they add."""

    def add(self, request: Request, position: int | list[int]) -> None:
        """Add a complete request. position: of the item, or items, that the request covers."""

    def answer(self, position: int, status: int, detail_bytes: int) -> None:
        """Add the status of an item, in the room that is reserved or in more of it.

        Args:
            position: the position of the item in its batch.
            status: its status.
            detail_bytes: what its detail counts for beyond what is reserved.
        """

    def accept(self, item: Answered, outcome: Outcome) -> None:
        """Add the status of an item that is not delivered. The owner answers an item with more to say."""

    def add_detail(self, detail: result_pb2.EventDetail) -> None:
        """Add the detail of an item."""

    def close(self, *, complete: bool) -> EncodedResults:
        """Return the message. Only `begin` or `release` may follow. complete: whether the batch is answered with it."""

    def begin(self) -> None:
        """Begin another message of the same batch."""

    def release(self) -> None:
        """Forget the owner. Nothing follows."""


NewResults = Callable[[int, int, MessageOwner, bool], ResultsMessage]
"""Makes an empty message, of: the id of the batch; the size that it may have; its owner; whether templates that
are equal are one."""


class ResultsWriters(NamedTuple):
    """The writers of one kind of response."""

    chosen: NewResults
    """The writer of the codec that is used."""
    plain: NewResults
    """The writer of the protobuf library, for a batch in which the chosen one failed."""


class ProtobufResults:
    """A message of results that the protobuf library writes."""

    def __init__(
        self,
        response_type: ResponseType,
        batch_id: int,
        max_bytes: int,
        owner: MessageOwner,
        equal_templates: bool,  # noqa: FBT001 - as NewResults has it
    ) -> None:
        self._response_type = response_type
        self._batch_id = batch_id
        self._max_bytes = max_bytes
        self._owner = owner
        self._equal_templates = equal_templates
        self.begin()

    def begin(self) -> None:
        """Begin another message of the same batch."""
        self._response = self._response_type()
        self._results = results = self._response.results
        results.batch_id = self._batch_id
        self._positions: list[int] = []
        self._add_position: Callable[[int], None] = self._positions.append
        self._add_status: Callable[[int], None] = results.statuses.append
        self._add_request: Callable[..., object] = results.requests.add
        self._indexes: dict[RequestTemplate, int] = {}
        self._indexes_of_messages: dict[bytes, int] = {}
        self._reserved: set[RequestTemplate] = set()
        self._reserved_messages: set[bytes] = set()
        self.size = 0
        self.has_room = False

    @property
    def answered(self) -> int:
        """Return the number of items so far."""
        return len(self._positions)

    def reserve(self, template: RequestTemplate, size: int) -> None:
        """Reserve room for the next item's request, as in ResultsMessage."""
        needed = size + PER_EVENT_BYTES
        if template not in self._reserved:
            needed = self.needed(template, size)
        if self.size + needed <= self._max_bytes:
            self.take_room(template, needed)
        else:
            self._owner.reserve_beyond(template, size)

    def needed(self, template: RequestTemplate, size: int) -> int:
        """Return what a request adds to the message, as in ResultsMessage."""
        size += PER_EVENT_BYTES
        if template in self._reserved:
            return size
        encoded = self._owner.encoded(template)
        if self._equal_templates and encoded.message in self._reserved_messages:
            return size
        return size + encoded.counted_bytes

    def take_room(self, template: RequestTemplate, needed: int) -> None:
        """Count a request, and its template. needed: what they add."""
        if template not in self._reserved:
            self._reserved.add(template)
            if self._equal_templates:
                self._reserved_messages.add(self._owner.encoded(template).message)
        self.size += needed
        self.has_room = True

    def add(self, request: Request, position: int | list[int]) -> None:
        """Add a complete request. position: of the item, or items, that the request covers."""
        index = self._indexes.get(request.template)
        if index is None:
            index = self._add_template(request.template)
        positions = [position] if type(position) is int else position
        self._add_request(template=index, path=request.path, body=request.body, positions=positions)

    def _add_template(self, template: RequestTemplate) -> int:
        message = self._owner.encoded(template).message
        index = self._indexes_of_messages.get(message) if self._equal_templates else None
        if index is None:
            index = len(self._results.templates)
            if self._equal_templates:
                self._indexes_of_messages[message] = index
            self._results.templates.add().MergeFromString(message)
        self._indexes[template] = index
        return index

    def answer(self, position: int, status: int, detail_bytes: int) -> None:
        """Add the status of an item, as in ResultsMessage."""
        if self.has_room:
            self.size += detail_bytes
        else:
            self._make_room(PER_EVENT_BYTES + detail_bytes)
        self.has_room = False
        self._add_status(status)
        self._add_position(position)

    def accept(self, item: Answered, outcome: Outcome) -> None:
        """Add the status of an item that is not delivered. The owner answers an item with more to say."""
        if outcome.status != 200 or outcome.warnings:
            self._owner.answer(item, outcome)
            return
        if not self.has_room:
            self._make_room(PER_EVENT_BYTES)
        self.has_room = False
        self._add_status(200)
        self._add_position(item.position)

    def _make_room(self, size: int) -> None:
        if self.size + size > self._max_bytes:
            self._owner.make_room(size)
        else:
            self.size += size

    def add_detail(self, detail: result_pb2.EventDetail) -> None:
        """Add the detail of an item."""
        self._results.details.append(detail)

    def close(self, *, complete: bool) -> EncodedResults:
        """Return the message, as in ResultsMessage."""
        if self._add_status is _take_nothing:
            _take_nothing()
        positions = self._positions
        if positions and positions[-1] - positions[0] + 1 != len(positions):
            self._results.positions.extend(positions)
        elif positions:
            self._results.first_position = positions[0]
        if complete:
            self._results.batch_complete = True
        data = self._response.SerializeToString(deterministic=True)
        # If `begin` fails, an item that is added to this message would bring all its items a second time.
        self._add_position = self._add_status = self._add_request = _take_nothing
        self._positions = []
        return EncodedResults(data, len(positions), complete)

    def release(self) -> None:
        """Forget the owner. Nothing follows."""
        del self._owner


def _take_nothing(*_: object, **__: object) -> NoReturn:
    """Raise RuntimeError, in place of a method that adds to a message."""
    raise RuntimeError("the message is closed")
