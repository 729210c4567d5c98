"""The codec of the compiled package, ciosidecar-native. It behaves as ProtobufCodec does, byte for byte.

It reads ordinary batches: each item has JSON, no field occurs twice, and every number has its shortest form. The
protobuf library reads all other messages.
"""

import logging
from typing import Any

from ciosidecar.v1 import event_pb2
from ciosidecar.v1 import service_pb2 as pb
from msgspec import Struct

from . import request_message
from .request_message import Declaration, ProtobufBatch, StreamMessage, UnaryRequest
from .results_message import EncodedResults, MessageOwner, ResponseType, ResultsMessage
from .sizes import PER_EVENT_BYTES


class _Options(Struct, frozen=True, gc=False):
    """What an item has beside its JSON, as ItemOptions. The compiled reader gives all fields, in this order."""

    destination: int = 0
    connection: int = 0
    source_type: str = ""
    ordering_key: str = ""
    attempt: int = 0
    dont_batch: bool = False
    tag: bytes = b""


_PLAIN = _Options()
_log = logging.getLogger(__name__)
# A panic's message can quote an event. The compiled package leaves it out, and names the place alone.
_FAILED = "the compiled reader failed, and the protobuf library reads the message: %s"
_RESULTS_FIELDS = {
    response_type: response_type.DESCRIPTOR.fields_by_name["results"].number
    for response_type in (pb.TransformStreamResponse, pb.TransformResponse, pb.DeliverResponse)
}


def _reread(batch: bytes, fault: Exception) -> ProtobufBatch:
    """Return a batch that the compiled reader failed to read to its end."""
    _log.error(_FAILED, fault)
    return ProtobufBatch(event_pb2.Batch.FromString(batch))


class CompiledCodec:
    """A codec that reads ordinary batches and writes all results without the protobuf library."""

    def __init__(self, native: Any) -> None:
        """native: the compiled module."""
        self._read_stream_batch = native.read_stream_batch
        self._read_unary_batch = native.read_unary_batch
        self._new_results = native.ResultsMessage

    def read_stream_message(self, data: bytes) -> StreamMessage:
        """Return a message of a stream.

        Raises:
            DecodeError: the bytes are no such message.
        """
        try:
            batch = self._read_stream_batch(data, _PLAIN, _Options, _reread)
        except RuntimeError as fault:
            batch = None
            _log.error(_FAILED, fault)
        if batch is None:
            return request_message.read_stream_message(data)
        return StreamMessage("batch", len(data), batch, None)

    def read_unary(self, data: bytes, request_type: type[Declaration]) -> UnaryRequest[Declaration]:
        """Return the request of a unary call. request_type: the type of message that the call takes.

        Raises:
            DecodeError: the bytes are no such message.
        """
        try:
            read = self._read_unary_batch(data, _PLAIN, _Options, _reread)
        except RuntimeError as fault:
            read = None
            _log.error(_FAILED, fault)
        if read is None:
            return request_message.read_unary(data, request_type)
        batch, others = read
        return UnaryRequest(len(data), batch, request_type.FromString(others))

    def new_results(
        self,
        response_type: ResponseType,
        batch_id: int,
        max_bytes: int,
        owner: MessageOwner,
        equal_templates: bool,  # noqa: FBT001 - as NewResults has it
    ) -> ResultsMessage:
        """Return an empty message of results."""
        message: ResultsMessage = self._new_results(
            _RESULTS_FIELDS[response_type],
            batch_id,
            max_bytes,
            owner,
            equal_templates,
            PER_EVENT_BYTES,
            EncodedResults,
        )
        return message
