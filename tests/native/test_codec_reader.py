"""The compiled reader and the protobuf library agree on every message: on what it says, or that it says nothing."""

from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from ciosidecar import v1
from ciosidecar_server.rpc.codec import Codec
from ciosidecar_server.rpc.compiled_codec import CompiledCodec
from google.protobuf.message import DecodeError, Message

from tests.native.codecs import COMPILED, NATIVE, REFERENCE
from tests.native.wire_messages import batch, field, stream_message, unary_request, varint
from tests.native.wire_mutations import mutated

_OPTIONS = (
    "destination",
    "connection",
    "source_type",
    "ordering_key",
    "attempt",
    "dont_batch",
    "tag",
)
_REFUSED = "refused"
Read = Callable[[Codec, bytes], Any]


def _batch_as_read(read: Any) -> Any:
    if read is None:
        return None
    return (
        *(read.batch_id, read.destination, read.connection, read.traceparent, read.timeout_s),
        *(read.item_count, read.only_prepared, dict(read.tags()), dict(read.traceparents())),
        [
            (json, *(getattr(options, name) for name in _OPTIONS), _payload(options))
            for options, json in read.items()
        ],
    )


def _payload(options: Any) -> Any:
    """Return the payload of an item if it is no JSON."""
    if isinstance(options, v1.BatchItem) and not options.json:
        return options.WhichOneof("payload"), options.SerializeToString(deterministic=True)
    return None


def _without_batch(message: Message) -> bytes:
    rest = type(message)()
    rest.CopyFrom(message)
    rest.ClearField("batch")
    return rest.SerializeToString(deterministic=True)


def _from_stream(codec: Codec, data: bytes) -> Any:
    try:
        kind, size, read, fields = codec.read_stream_message(data)
    except DecodeError:
        return _REFUSED
    others = None if kind == "batch" or fields is None else fields.SerializeToString()
    return kind, size, _batch_as_read(read), others


def _from_unary(request_type: Any) -> Read:
    def read(codec: Codec, data: bytes) -> Any:
        try:
            size, read, declared = codec.read_unary(data, request_type)
        except DecodeError:
            return _REFUSED
        return size, _batch_as_read(read), _without_batch(declared)

    return read


_READERS: dict[str, tuple[Read, Callable[[Random], Message]]] = {
    "TransformStream": (_from_stream, stream_message),
    "Transform": (
        _from_unary(v1.TransformRequest),
        lambda random: unary_request(random, v1.TransformRequest),
    ),
    "Deliver": (
        _from_unary(v1.DeliverRequest),
        lambda random: unary_request(random, v1.DeliverRequest),
    ),
}


def _is_compiled(method: str, data: bytes) -> bool:
    read = NATIVE.read_stream_batch if method == "TransformStream" else NATIVE.read_unary_batch
    return read(data, None, lambda *_: None, None) is not None


@pytest.mark.parametrize("method", _READERS)
def test_both_read_the_same_in_whole_messages(method: str) -> None:
    """Messages that clients write: both readers agree, and the compiled one reads most of them."""
    read, make = _READERS[method]
    random = Random(f"whole {method}")
    compiled = 0
    for _ in range(3_000):
        data = make(random).SerializeToString()
        assert read(COMPILED, data) == read(REFERENCE, data), data.hex()
        compiled += _is_compiled(method, data)
    assert compiled > 1_500


@pytest.mark.parametrize("method", _READERS)
def test_both_read_the_same_in_damaged_messages(method: str) -> None:
    """Messages that are cut, repeated, reordered or garbled on the wire: both agree, also on which are refused."""
    read, make = _READERS[method]
    random = Random(f"damaged {method}")
    kinds: Counter[tuple[bool, bool]] = Counter()
    for _ in range(8_000):
        data = mutated(make(random).SerializeToString(), random)
        expected = read(REFERENCE, data)
        assert read(COMPILED, data) == expected, data.hex()
        kinds[_is_compiled(method, data), expected == _REFUSED] += 1
    # Both readers and both answers were there, so that agreeing means something.
    assert kinds[True, False] > 500
    assert kinds[False, False] > 500
    assert kinds[False, True] > 500


@pytest.mark.parametrize("method", _READERS)
def test_a_message_that_ends_anywhere(method: str) -> None:
    """A message that is cut behind any of its bytes is refused, or says less: both readers agree."""
    read, _ = _READERS[method]
    made = batch(Random(1), plain=True)
    made.items.add(json=b'{"type":"track"}', destination=300, tag=b"tag", dont_batch=True)
    whole = field(3, made.SerializeToString())
    for end in range(len(whole) + 1):
        data = whole[:end]
        assert read(COMPILED, data) == read(REFERENCE, data), end


def _odd_messages() -> Iterator[tuple[str, bytes]]:
    item = field(1, b"{}")

    def in_item(data: bytes) -> bytes:
        return field(3, field(2, item + data))

    yield "empty", b""
    yield "empty batch", field(3, b"")
    yield "empty item", field(3, field(2, b""))
    yield "two batches", field(3, field(2, item)) * 2
    yield "a batch, then finish", field(3, field(2, item)) + field(4, b"")
    yield "a finish, then a batch", field(4, b"") + field(3, field(2, item))
    yield "a length of 2 GB", varint(3 << 3 | 2) + varint(2**31) + item
    yield "a length of 2 GB in the batch", field(3, varint(2 << 3 | 2) + varint(2**31 - 1) + item)
    yield "a length of 2^64 - 1", varint(3 << 3 | 2) + varint(2**64 - 1) + item
    yield "attempt -1", in_item(varint(8 << 3) + varint(-1))
    yield "attempt 2^31", in_item(varint(8 << 3) + varint(2**31))
    yield "attempt 2^32 + 1", in_item(varint(8 << 3) + varint(2**32 + 1))
    yield "dont_batch 2", in_item(varint(9 << 3) + varint(2))
    yield "dont_batch 2^63", in_item(varint(9 << 3) + varint(2**63))
    yield "a number of 11 bytes", in_item(varint(8 << 3) + b"\xff" * 10 + b"\x01")
    yield "a tenth byte of 2", in_item(varint(8 << 3) + b"\xff" * 9 + b"\x02")
    yield "json, then a prepared request", in_item(field(3, field(2, b"https://x")))
    yield "a prepared request, then json", field(3, field(2, field(3, b"") + item))
    yield "two tags", in_item(field(11, b"a") + field(11, b"b"))
    yield "two timeouts", field(3, field(5, b"\x08\x01") + field(5, b"\x10\x02"))
    yield "a surrogate in a text", in_item(field(6, b"\xed\xa0\x80"))
    yield "no UTF-8 in the JSON", field(3, field(2, field(1, b"\xff")))
    nested = b""
    for _ in range(101):
        nested = field(5, field(1, field(1, b"a") + field(2, nested)))
    yield "a Struct that nests too deeply", in_item(field(2, field(14, field(2, nested))))
    yield "groups in groups", in_item(b"\x7b" * 101 + b"\x7c" * 101)


_ODD = dict(_odd_messages())


@pytest.mark.parametrize("data", _ODD.values(), ids=_ODD)
def test_odd_messages(data: bytes) -> None:
    """What the wire format allows or forbids and no client writes: all methods read it as the library does."""
    for read, _ in _READERS.values():
        assert read(COMPILED, data) == read(REFERENCE, data)


def test_items_outlive_their_batch() -> None:
    """The items are read from the bytes of the message, which stay while an iterator is left."""
    made = v1.Batch(items=[v1.BatchItem(json=b"%d" % number) for number in range(1_000)])
    data = field(3, made.SerializeToString())
    read = COMPILED.read_stream_message(data).batch
    assert read is not None
    items = read.items()
    del data, read
    assert [json for _, json in items] == [b"%d" % number for number in range(1_000)]
    assert list(items) == []


def test_a_reader_that_fails_costs_no_event(caplog: pytest.LogCaptureFixture) -> None:
    """A defect of the compiled reader is logged, and the protobuf library reads the message."""

    def broken(*_: object) -> None:
        raise RuntimeError("ciosidecar_native panicked at src/codec/items.rs:1")

    codec = CompiledCodec(
        SimpleNamespace(
            read_stream_batch=broken,
            read_unary_batch=broken,
            ResultsMessage=NATIVE.ResultsMessage,
        )
    )
    random = Random(3)
    for read, make in _READERS.values():
        data = make(random).SerializeToString()
        assert read(codec, data) == read(REFERENCE, data)
    assert "items.rs:1" in caplog.text
