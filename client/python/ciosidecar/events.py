"""What callers hand in: events in one of four forms, where they go, and what their rows are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError, EncodeError

from ciosidecar import v1
from ciosidecar.results import ApiRequest

Event = bytes | Mapping[str, Any] | v1.RudderEvent | ApiRequest
"""A RudderStack event: its JSON in UTF-8 (the fast path, and the lossless one), a dict, or typed.

Or a request that an earlier transform gave out, which a stream that delivers sends as it is.
"""
Encoded = bytes | v1.RudderEvent | v1.PreparedRequest
"""The same as it travels."""

_MAX_EVENT_BYTES = (64 << 20) - (64 << 10)
"""A message holds 64 MiB, and its other fields need room too."""


def encode_event(event: Event) -> Encoded:
    """Return the event as it travels. Raises TypeError or ValueError for what cannot travel."""
    encoded = _encode(event)
    if size_of(encoded) > _MAX_EVENT_BYTES:
        raise ValueError(
            f"an event has {size_of(encoded)} bytes, {_MAX_EVENT_BYTES} at most travel"
        )
    return encoded


def size_of(event: Encoded) -> int:
    """Return the bytes that count against batches and credit."""
    return len(event) if isinstance(event, bytes) else event.ByteSize()


def _encode(event: Event) -> Encoded:
    if isinstance(event, bytes):
        return event
    if isinstance(event, v1.RudderEvent):
        return _copy(event)
    if isinstance(event, ApiRequest):
        return v1.PreparedRequest(
            method=event.method,
            url=event.url,
            endpoint_path=event.endpoint_path,
            headers=event.headers,
            body=event.body,
        )
    if isinstance(event, Mapping):
        return _encode_json(event)
    raise TypeError(
        f"an event is bytes, a dict, a v1.RudderEvent or an ApiRequest, not {type(event).__name__}"
    )


def _copy(event: v1.RudderEvent) -> v1.RudderEvent:
    """Return the event as the sidecar will read it; what becomes of the original changes nothing.

    The sidecar reads 100 levels of messages. A message that is nested more deeply fails the whole
    call, with every other event in it.
    """
    request = v1.TransformStreamRequest()
    try:
        request.batch.items.add(event=event)
        found = v1.TransformStreamRequest.FromString(request.SerializeToString())
    except (DecodeError, EncodeError, RecursionError) as fault:
        raise ValueError(
            "the event's fields are nested too deeply for protobuf: send the event as JSON"
        ) from fault
    return found.batch.items[0].event


def _encode_json(found: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(
            found, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=dict
        ).encode()
    except UnicodeEncodeError:
        # Half an emoji: as an escape it travels, and the sidecar repairs it with a warning.
        return json.dumps(found, allow_nan=False, separators=(",", ":"), default=dict).encode()


@dataclass(frozen=True, slots=True)
class Destination:
    """A Customer.io workspace as the user configured it.

    Two with the same config and ref are one destination, and travel once a stream.
    """

    config: bytes = field(repr=False)
    """The dashboard's config JSON in UTF-8. Holds the credentials."""
    ref: str = ""
    """The caller's own name for it, safe to log."""

    def __post_init__(self) -> None:
        """Raises TypeError for what cannot be declared."""
        _check_config(self.config)
        if not isinstance(self.ref, str):
            raise TypeError(f"a ref is a text, not {type(self.ref).__name__}")

    @classmethod
    def of(cls, config: "Destination | bytes | Mapping[str, Any]") -> "Destination":
        """A destination from any of the forms a caller may hold."""
        return config if isinstance(config, Destination) else cls(_config_json(config))


@dataclass(frozen=True, slots=True)
class SourceConnection:
    """What warehouse rows of one source become, as the user configured it.

    Records need one, and nothing else does. Two with the same config are one connection.
    """

    config: bytes = field(repr=False)
    """The dashboard's config JSON in UTF-8."""

    def __post_init__(self) -> None:
        """Raises TypeError for what cannot be declared."""
        _check_config(self.config)

    @classmethod
    def of(cls, config: "SourceConnection | bytes | Mapping[str, Any]") -> "SourceConnection":
        """A connection from any of the forms a caller may hold."""
        return config if isinstance(config, SourceConnection) else cls(_config_json(config))


AnyDestination = Destination | bytes | Mapping[str, Any]
"""A destination as a caller may hold it: made before, the dashboard's JSON, or that as a dict."""
AnyConnection = SourceConnection | bytes | Mapping[str, Any]
"""A connection likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEntry:
    """An event, and what its sender wants said about it.

    For calls that take many events at once; `send` takes the same as arguments.
    """

    event: Event
    attachment: Any = None
    """Whatever should come back beside the result; the event itself if None."""
    destination: "AnyDestination | None" = None
    """Where it goes, if not where the call or stream goes by default."""
    connection: "AnyConnection | None" = None
    """What the row becomes, where the event is a record."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Of v1.BatchItem: source_type, dont_batch, ordering_key, attempt, traceparent, tag."""


class Outgoing(NamedTuple):
    """An event on its way, with everything checked that could be wrong with it."""

    event: Encoded
    size: int
    attachment: Any
    destination: Destination | None
    connection: SourceConnection | None
    fields: Mapping[str, Any] | None


def outgoing(
    event: Event,
    attachment: Any,
    destination: "AnyDestination | None",
    connection: "AnyConnection | None",
    fields: Mapping[str, Any],
    default: Destination | None,
) -> Outgoing:
    """Return the event as it travels. Raises TypeError or ValueError for what cannot travel.

    default: where it goes if it names no destination; the rest as in `BatchEntry`.
    """
    encoded = encode_event(event)
    target = default if destination is None else Destination.of(destination)
    if target is None and not isinstance(encoded, v1.PreparedRequest):
        raise ValueError("name a destination here or where the stream is made")
    if fields:
        _check_fields(fields)
    return Outgoing(
        encoded,
        size_of(encoded),
        event if attachment is None else attachment,
        target,
        None if connection is None else SourceConnection.of(connection),
        fields or None,
    )


def outgoing_of(entry: Event | BatchEntry, default: Destination | None) -> Outgoing:
    """Return an entry, or a bare event, as it travels. Raises as `outgoing` does."""
    if isinstance(entry, BatchEntry):
        return outgoing(
            entry.event,
            entry.attachment,
            entry.destination,
            entry.connection,
            entry.fields,
            default,
        )
    return outgoing(entry, None, None, None, {}, default)


def payload(event: Encoded) -> dict[str, Any]:
    """Return the field of v1.BatchItem that an event travels in."""
    if isinstance(event, bytes):
        return {"json": event}
    return {"prepared" if isinstance(event, v1.PreparedRequest) else "event": event}


_FIELDS = frozenset(("source_type", "dont_batch", "ordering_key", "attempt", "traceparent", "tag"))


def _check_fields(fields: Mapping[str, Any]) -> None:
    if unknown := sorted(fields.keys() - _FIELDS):
        raise ValueError(f"no field {unknown[0]!r}: there are {', '.join(sorted(_FIELDS))}")
    v1.BatchItem(**fields)


def _check_config(config: object) -> None:
    if not isinstance(config, bytes):
        raise TypeError(
            f"a config is JSON in bytes, not {type(config).__name__}; `of` takes a dict"
        )


def _config_json(config: bytes | Mapping[str, Any]) -> bytes:
    return config if isinstance(config, bytes) else json.dumps(config, sort_keys=True).encode()
