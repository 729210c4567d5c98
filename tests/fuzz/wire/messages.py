"""Broken protobuf, and broken gRPC messages around it, in calls by the h2 library."""

import gzip
import socket
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any, NamedTuple

from ciosidecar import v1
from google.protobuf.message import DecodeError, Message
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from .peer import TRANSFORM, message

# Beyond the time of an event's delivery (60 s, --delivery-timeout-s): a message repeated a thousand times has 1,000
# events of one person, which are delivered one after another.
_WITHIN_S = 90.0
_CONFIG = b'{"siteID":"site","apiKey":"key"}'
INVALID_ARGUMENT, INTERNAL = 3, 13

METHODS: dict[str, type[Message]] = {
    TRANSFORM: v1.TransformRequest,
    "/ciosidecar.v1.SidecarService/Deliver": v1.DeliverRequest,
    "/ciosidecar.v1.SidecarService/TransformStream": v1.TransformStreamRequest,
    "/ciosidecar.v1.SidecarService/CheckDestination": v1.CheckDestinationRequest,
}
"""The calls that read messages, by their paths."""


class Answer(NamedTuple):
    """How a call ended."""

    status: int | None
    """gRPC's status, None if the server reset the stream or closed the connection."""
    message: str = ""


def call(address: str, path: str, body: bytes, *extra: tuple[str, str]) -> Answer:
    """Make a call whose body is these bytes, and return how it ends."""
    host, _, port = address.rpartition(":")
    connection = H2Connection(
        H2Configuration(
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            header_encoding="utf-8",
        )
    )
    with socket.create_connection((host, int(port)), timeout=_WITHIN_S) as peer:
        connection.initiate_connection()
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *extra,
        ]
        stream = connection.get_next_available_stream_id()
        connection.send_headers(stream, fields)
        return _exchanged(peer, connection, stream, body)


def _exchanged(peer: socket.socket, connection: H2Connection, stream: int, body: bytes) -> Answer:
    trailers: dict[str, str] = {}
    rest: bytes | None = body
    try:
        while True:
            rest = _send(connection, stream, rest)
            peer.sendall(connection.data_to_send())
            data = peer.recv(65_536)
            if not data:
                return Answer(None)
            for event in connection.receive_data(data):
                if isinstance(event, (ResponseReceived, TrailersReceived)):
                    trailers |= dict(event.headers)  # type: ignore[arg-type] # decoded by header_encoding
                if isinstance(event, (StreamEnded, StreamReset, ConnectionTerminated)):
                    status = trailers.get("grpc-status")
                    return Answer(
                        None if status is None else int(status), trailers.get("grpc-message", "")
                    )
            _acknowledge(connection, stream)
    except ConnectionError:
        return Answer(None)


def _acknowledge(connection: H2Connection, stream: int) -> None:
    """Let the server send as much as it wants."""
    connection.increment_flow_control_window(100_000)
    connection.increment_flow_control_window(100_000, stream)


def _send(connection: H2Connection, stream: int, rest: bytes | None) -> bytes | None:
    """Send as much of a body as the windows allow. Return the rest, None once the stream is ended."""
    if rest is None:
        return None
    while rest:
        room = min(connection.local_flow_control_window(stream), connection.max_outbound_frame_size)
        if not room:
            return rest
        connection.send_data(stream, rest[:room])
        rest = rest[room:]
    connection.end_stream(stream)
    return None


def varint(number: int) -> bytes:
    """Return a number as protobuf writes it."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def field(number: int, wire_type: int, payload: bytes = b"") -> bytes:
    """Return a field: its tag, the length of a payload of wire type 2, the payload."""
    tag = varint(number << 3 | wire_type)
    return tag + (varint(len(payload)) if wire_type == 2 else b"") + payload


def good_message(path: str, random: Random) -> bytes:
    """Return a message that the method of a path takes."""
    destination = v1.Destination(reference_id=1, config_json=_CONFIG)
    event = v1.RudderEvent(type="track", user_id="u", event="E")
    event.properties.fields.update({"a": [1.5, None, {"b": "c"}]})
    items = [
        v1.BatchItem(json=b'{"type":"track","userId":"u","event":"E"}', tag=b"t"),
        v1.BatchItem(event=event, ordering_key="k"),
    ]
    batch = v1.Batch(batch_id=1, destination=1, items=items)
    if path.endswith("Stream"):
        return v1.TransformStreamRequest(
            open=v1.OpenStream(destinations=[destination], client_name="x")
        ).SerializeToString()
    if path.endswith("CheckDestination"):
        return v1.CheckDestinationRequest(destination=destination).SerializeToString()
    kind: Any = METHODS[path]
    request: Message = kind(destinations=[destination], batch=batch)
    return request.SerializeToString()


def _truncated(good: bytes, random: Random) -> bytes:
    return good[: random.randrange(len(good))]


def _flipped(good: bytes, random: Random) -> bytes:
    broken = bytearray(good)
    for _ in range(random.choice([1, 1, 2, 8])):
        broken[random.randrange(len(broken))] ^= 1 << random.randrange(8)
    return bytes(broken)


def _wrong_wire_types(good: bytes, random: Random) -> bytes:
    number = random.randrange(1, 13)
    return good + field(number, random.choice([0, 1, 5, 6, 7]), b"\x01" * random.choice([1, 4, 8]))


def _vast_length(good: bytes, random: Random) -> bytes:
    length = random.choice([2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1])
    return good + varint(random.randrange(1, 12) << 3 | 2) + varint(length) + b"x"


def _groups(good: bytes, random: Random) -> bytes:
    number, depth = random.randrange(1, 200), random.choice([1, 50, 99, 101, 10_000])
    ends = random.choice([depth, depth - 1, depth + 1, 0])
    return good + field(number, 3) * depth + field(number, 4) * ends


def _nested(good: bytes, random: Random) -> bytes:
    value = field(4, 0, b"\1")
    for _ in range(random.choice([20, 48, 60, 400])):
        # Value.list_value.values: two messages a level.
        value = field(6, 2, field(1, 2, value))
    fields = field(1, 2, field(1, 2, b"a") + field(2, 2, value))
    event = field(1, 2, b"track") + field(14, 2, field(2, 2, fields))
    return good + field(3, 2, field(2, 2, field(2, 2, event)))


def _invalid_utf8(good: bytes, random: Random) -> bytes:
    event = field(
        random.choice([1, 3, 7]), 2, random.choice([b"\xff", b"\xed\xa0\x80", b"\xc0\x80"])
    )
    return good + field(3, 2, field(2, 2, field(2, 2, event)))


def _unknown_fields(good: bytes, random: Random) -> bytes:
    unknown = [field(random.randrange(100, 2**29), 2, random.randbytes(5)) for _ in range(500)]
    return good + b"".join(unknown)


def _vast_varints(good: bytes, random: Random) -> bytes:
    number = random.randrange(1, 12)
    digits = random.choice(
        [b"\xff" * 9 + b"\x01", b"\xff" * 10 + b"\x01", b"\x80" * 100, b"\xff" * 9 + b"\x7f"]
    )
    return good + field(number, 0, digits) + field(3, 2, field(1, 0, digits) + field(3, 0, digits))


def _field_zero(good: bytes, random: Random) -> bytes:
    return good + random.choice([b"\x00\x01", b"\x02\x01x", b"\x80\x80\x80\x80\x10\x01"])


def _noise(good: bytes, random: Random) -> bytes:
    return random.randbytes(random.randrange(1, 300))


def _repeated(good: bytes, random: Random) -> bytes:
    return good * random.choice([2, 50, 1000])


BREAKS: dict[str, Callable[[bytes, Random], bytes]] = {
    change.__name__.removeprefix("_"): change
    for change in (
        *(_truncated, _flipped, _wrong_wire_types, _vast_length, _groups, _nested),
        *(_invalid_utf8, _unknown_fields, _vast_varints, _field_zero, _noise, _repeated),
    )
}
"""Ways to break a message, by their names."""


def check_broken_message(address: str, path: str, broken: bytes) -> None:
    """Send a broken message: what protobuf cannot read is INVALID_ARGUMENT, and nothing is INTERNAL."""
    try:
        METHODS[path].FromString(broken)
        readable = True
    except DecodeError:
        readable = False
    answer = call(address, path, message(broken))
    assert answer.status is not None, "the server closed the stream of a caller that kept to HTTP/2"
    # 2 is UNKNOWN, which gRPC makes of exceptions.
    assert answer.status not in (2, INTERNAL), answer
    assert readable or answer.status == INVALID_ARGUMENT, answer


@cache
def _bomb() -> bytes:
    """Return 100 KB that become 100 MB."""
    return gzip.compress(bytes(100_000_000), mtime=0)


def check_broken_envelope(address: str, random: Random) -> None:
    """Send a message whose flag, length or compression is wrong: the call fails, whatever it is."""
    good = good_message(TRANSFORM, random)
    gzipped = ("grpc-encoding", "gzip")
    envelopes: list[tuple[bytes, tuple[tuple[str, str], ...]]] = [
        (message(good, flag=255), ()),
        (message(good, flag=2), ()),
        (message(good, flag=1), ()),
        (message(good, flag=1), (("grpc-encoding", "br"),)),
        (message(random.randbytes(100), flag=1), (gzipped,)),
        (message(gzip.compress(good)[:-9], flag=1), (gzipped,)),
        (message(_bomb(), flag=1), (gzipped,)),
        (message(good, length=2**31 - 1), ()),
        (message(good, length=2**32 - 1), ()),
        (message(good, length=len(good) - 1), ()),
    ]
    body, extra = random.choice(envelopes)
    answer = call(address, TRANSFORM, body, *extra)
    assert answer.status != 0, answer
