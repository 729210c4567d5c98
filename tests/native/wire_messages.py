"""Random requests of callers, and how protobuf writes what they consist of."""

from random import Random
from typing import Any

from ciosidecar import v1

_TEXTS = (
    "",
    "web",
    "android",
    "é",
    "😀" * 20,
    "x" * 200,
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
_EVENTS = (
    b'{"type":"track","userId":"u1","event":"Order"}',
    b'{"type":"identify","userId":"u1","traits":{"name":"\xc3\xa9"}}',
    b"no event",
    b"\xff\xfe",
    b" ",
    b"{" * 300,
)  # fmt: skip


def varint(value: int, *, spare: int = 0) -> bytes:
    """Return an integer on the wire. spare: bytes that it has too many."""
    written = bytearray()
    value &= 2**64 - 1
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    for _ in range(spare):
        written[-1] |= 0x80
        written.append(0)
    return bytes(written)


def field(number: int, payload: bytes) -> bytes:
    """Return a field with a length before its payload."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def batch(random: Random, *, plain: bool = False) -> v1.Batch:
    """Return a batch. plain: whether each of its items has JSON."""
    made = v1.Batch(
        batch_id=random.choice((0, 1, 7, 300, 2**40, -1)),
        destination=random.choice((0, 1, 2, 2**31 - 1)),
        connection=random.choice((0, 0, 3)),
        traceparent=random.choice(_TEXTS),
        items=[_item(random, plain=plain) for _ in range(random.choice((0, 1, 2, 5)))],
    )
    if random.random() < 0.3:
        made.timeout.seconds = random.choice((0, 5, 2**33, -3))
        made.timeout.nanos = random.choice((0, 1, 999_999_999))
    return made


def _item(random: Random, *, plain: bool) -> v1.BatchItem:
    made = v1.BatchItem(json=random.choice(_EVENTS))
    if random.random() < 0.5:
        made.destination = random.choice((0, 1, 500))
        made.connection = random.choice((0, 4))
        made.source_type = random.choice(_TEXTS)
        made.ordering_key = random.choice(_TEXTS)
        made.attempt = random.choice((0, 0, 1, 2**31 - 1))
        made.dont_batch = random.random() < 0.3
        made.traceparent = random.choice(_TEXTS)
        made.tag = random.choice((b"", b"tag", b"\xff" * 100))
    if not plain and random.random() < 0.1:
        _replace_payload(made, random)
    return made


def _replace_payload(item: v1.BatchItem, random: Random) -> None:
    kind = random.randrange(5)
    if kind == 0:
        item.attempt = -1
    elif kind == 1:
        item.event.type = "track"
        item.event.properties.fields["price"] = 5
    elif kind == 2:
        item.prepared.url = "https://track.customer.io/api/v1/events"
        item.prepared.headers["Authorization"] = "Basic eA=="
    elif kind == 3:
        item.json = b""
    else:
        item.ClearField("json")


def stream_message(random: Random) -> v1.TransformStreamRequest:
    """Return a message of a stream: mostly a batch."""
    kind = random.randrange(12)
    declared = [v1.Destination(reference_id=1, config_json=b"{}")]
    if kind == 0:
        return v1.TransformStreamRequest(open=v1.OpenStream(destinations=declared))
    if kind == 1:
        return v1.TransformStreamRequest(
            upsert_destinations=v1.UpsertDestinations(destinations=declared)
        )
    if kind == 2:
        return v1.TransformStreamRequest(finish=v1.Finish())
    return v1.TransformStreamRequest(batch=batch(random, plain=kind > 5))


def unary_request(
    random: Random, request_type: type[v1.TransformRequest | v1.DeliverRequest]
) -> Any:
    """Return a request of Transform or Deliver."""
    made = request_type()
    for reference_id in range(random.randrange(3)):
        made.destinations.add(reference_id=reference_id, config_json=b'{"siteID":"s"}')
    if random.random() < 0.3:
        made.connections.add(reference_id=2, config_json=b"{}")
    if random.random() < 0.95:
        made.batch.CopyFrom(batch(random, plain=random.random() < 0.5))
    if isinstance(made, v1.DeliverRequest) and random.random() < 0.5:
        made.delivery.include_requests = True
    return made
