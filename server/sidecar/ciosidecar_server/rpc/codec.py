"""The codec: how messages of callers are read and results are written."""

from functools import partial
from typing import Protocol

from ciosidecar_transform import native

from .compiled_codec import CompiledCodec
from .request_message import (
    Declaration,
    StreamMessage,
    UnaryRequest,
    read_stream_message,
    read_unary,
)
from .results_message import (
    MessageOwner,
    ProtobufResults,
    ResponseType,
    ResultsMessage,
    ResultsWriters,
)


class Codec(Protocol):
    """A reader and a writer of the messages that carry events. Its implementations do not differ but in speed."""

    def read_stream_message(self, data: bytes) -> StreamMessage:
        """Return a message of a stream. Raise DecodeError if the bytes are no such message."""

    def read_unary(self, data: bytes, request_type: type[Declaration]) -> UnaryRequest[Declaration]:
        """Return the request of a unary call. Raise DecodeError if the bytes are no message of the type."""

    def new_results(
        self,
        response_type: ResponseType,
        batch_id: int,
        max_bytes: int,
        owner: MessageOwner,
        equal_templates: bool,  # noqa: FBT001 - as NewResults has it
    ) -> ResultsMessage:
        """Return an empty message of results."""


class ProtobufCodec:
    """The codec that uses the protobuf library alone. It is the reference for any other."""

    read_stream_message = staticmethod(read_stream_message)
    read_unary = staticmethod(read_unary)
    new_results = ProtobufResults


def choose_codec() -> Codec:
    """Return the compiled codec if the compiled package is used, and ProtobufCodec otherwise."""
    return ProtobufCodec() if native.module is None else CompiledCodec(native.module)


def results_writers(codec: Codec, response_type: ResponseType) -> ResultsWriters:
    """Return what writes the results of a kind of response."""
    return ResultsWriters(
        partial(codec.new_results, response_type), partial(ProtobufResults, response_type)
    )
