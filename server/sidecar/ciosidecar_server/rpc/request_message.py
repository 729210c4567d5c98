"""The messages that callers send, as the other modules of this package read them.

This is the plain reader: it reads with the protobuf library. compiled_codec.py has the other one.
"""

from collections.abc import Iterator, Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

from ciosidecar.v1 import event_pb2
from ciosidecar.v1 import service_pb2 as pb
from google.protobuf.duration_pb2 import Duration

Declaration = TypeVar("Declaration", pb.TransformRequest, pb.DeliverRequest)


class ItemOptions(Protocol):
    """What an item of a batch has beside its payload. The names are those of BatchItem."""

    @property
    def destination(self) -> int:
        """Return the reference id of the item's destination; 0: that of its batch."""

    @property
    def connection(self) -> int:
        """Return the reference id of the item's connection; 0: that of its batch."""

    @property
    def source_type(self) -> str:
        """Return the type of the event's source; "" to go by its channel."""

    @property
    def ordering_key(self) -> str:
        """Return the caller's ordering key; "" if there is none."""

    @property
    def attempt(self) -> int:
        """Return how many times the caller has already sent the item."""

    @property
    def dont_batch(self) -> bool:
        """Return whether the item shares its request with no other item."""

    @property
    def tag(self) -> bytes:
        """Return the caller's tag."""


class Batch(Protocol):
    """A batch as a caller sent it."""

    @property
    def batch_id(self) -> int:
        """Return the caller's id of the batch."""

    @property
    def destination(self) -> int:
        """Return the reference id of the destination of items that name none; 0: none."""

    @property
    def connection(self) -> int:
        """Return the reference id of the connection of items that name none; 0: none."""

    @property
    def traceparent(self) -> str:
        """Return the W3C trace context of the batch; "" if there is none."""

    @property
    def timeout_s(self) -> float | None:
        """Return the time limit of its delivery; None if the caller set none."""

    @property
    def item_count(self) -> int:
        """Return the number of items."""

    @property
    def only_prepared(self) -> bool:
        """Return whether every item is a prepared request."""

    def items(self) -> Iterator[tuple[ItemOptions, bytes]]:
        """Yield each item with its event's JSON.

        The JSON is b"" if the payload is something else. The item is a `BatchItem` of the protobuf library then.
        """

    def tags(self) -> Mapping[int, bytes]:
        """Return the tags of the items that have one, by position."""

    def traceparents(self) -> Mapping[int, str]:
        """Return the W3C trace contexts of the items that have one, by position."""


class StreamMessage(NamedTuple):
    """A message of a stream."""

    kind: str | None
    """The member of the oneof that is set."""
    size: int
    """Unit: bytes."""
    batch: Batch | None
    """Set if the message is a batch."""
    fields: pb.TransformStreamRequest | None
    """The message. None if it is a batch that the protobuf library did not read."""


class UnaryRequest(NamedTuple, Generic[Declaration]):
    """The request of Transform or Deliver."""

    size: int
    """Unit: bytes."""
    batch: Batch | None
    """None if the caller sent none."""
    declared: Declaration
    """The destinations, the connections and the options. The batch may be missing here."""


def read_stream_message(data: bytes) -> StreamMessage:
    """Return a message of a stream.

    Raises:
        DecodeError: the bytes are no such message.
    """
    message = pb.TransformStreamRequest.FromString(data)
    kind = message.WhichOneof("message")
    batch = ProtobufBatch(message.batch) if kind == "batch" else None
    return StreamMessage(kind, len(data), batch, message)


def read_unary(data: bytes, request_type: type[Declaration]) -> UnaryRequest[Declaration]:
    """Return the request of a unary call. request_type: the type of message that the call takes.

    Raises:
        DecodeError: the bytes are no such message.
    """
    request = request_type.FromString(data)
    batch = ProtobufBatch(request.batch) if request.HasField("batch") else None
    return UnaryRequest(len(data), batch, request)


class ProtobufBatch:
    """A batch that the protobuf library has read."""

    __slots__ = ("_batch", "batch_id", "connection", "destination", "item_count", "traceparent")

    def __init__(self, batch: event_pb2.Batch) -> None:
        self._batch = batch
        self.batch_id = batch.batch_id
        self.destination = batch.destination
        self.connection = batch.connection
        self.traceparent = batch.traceparent
        self.item_count = len(batch.items)

    @property
    def timeout_s(self) -> float | None:
        """Return the time limit of its delivery; None if the caller set none."""
        return seconds(self._batch.timeout) if self._batch.HasField("timeout") else None

    @property
    def only_prepared(self) -> bool:
        """Return whether every item is a prepared request."""
        return all(item.WhichOneof("payload") == "prepared" for item in self._batch.items)

    def items(self) -> Iterator[tuple[event_pb2.BatchItem, bytes]]:
        """Yield each item with its event's JSON, b"" if the payload is something else."""
        for item in self._batch.items:
            yield item, item.json

    def tags(self) -> dict[int, bytes]:
        """Return the tags of the items that have one, by position."""
        return {position: item.tag for position, item in enumerate(self._batch.items) if item.tag}

    def traceparents(self) -> dict[int, str]:
        """Return the W3C trace contexts of the items that have one, by position."""
        return {
            position: item.traceparent
            for position, item in enumerate(self._batch.items)
            if item.traceparent
        }


def seconds(duration: Duration) -> float:
    """Return a duration in seconds, 0 for a negative one."""
    return max(0.0, duration.seconds + duration.nanos / 1e9)
