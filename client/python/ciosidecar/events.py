"""Events as callers send them, destinations and source connections, checked and encoded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError, EncodeError

from ciosidecar import v1
from ciosidecar.results import ApiRequest

Event = bytes | Mapping[str, Any] | v1.RudderEvent | ApiRequest
"""A RudderStack event: its JSON in UTF-8 (the fastest form, and the lossless one), a dict, or typed.

With delivery also a request that an earlier transform returned, which is sent as it is.
"""
Encoded = bytes | v1.RudderEvent | v1.PreparedRequest
"""An event as a field of v1.BatchItem."""

_MAX_EVENT_BYTES = (64 << 20) - (64 << 10)
"""A message may have 64 MiB. 64 KiB are left for its other fields."""


def encode_event(event: Event) -> Encoded:
    """Return the encoded event.

    Raises:
        TypeError: The value is not an event.
        ValueError: The event is too large or nested too deeply, or is not valid JSON.
    """
    encoded = _encode(event)
    if size_of(encoded) > _MAX_EVENT_BYTES:
        raise ValueError(
            f"the event has {size_of(encoded)} bytes; at most {_MAX_EVENT_BYTES} can be sent"
        )
    return encoded


def size_of(event: Encoded) -> int:
    """Return the size that counts against the limits of batches and of outstanding bytes."""
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
    """Return a copy, so that later changes to the original have no effect.

    The sidecar's protobuf reads 100 levels of messages. A message that is nested more deeply would
    fail the whole call, with every other event in it.
    """
    request = v1.TransformStreamRequest()
    try:
        request.batch.items.add(event=event)
        copy = v1.TransformStreamRequest.FromString(request.SerializeToString())
    except (DecodeError, EncodeError, RecursionError) as fault:
        raise ValueError(
            "the event's fields are nested too deeply for protobuf: send the event as JSON"
        ) from fault
    return copy.batch.items[0].event


def _encode_json(event: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(
            event, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=dict
        ).encode()
    except UnicodeEncodeError:
        # UTF-8 cannot encode an unpaired surrogate. As an escape, the sidecar replaces it and warns.
        return json.dumps(event, allow_nan=False, separators=(",", ":"), default=dict).encode()


@dataclass(frozen=True, slots=True)
class Destination:
    """A Customer.io workspace as the user configured it.

    Destinations with equal config and ref are the same, and are sent once on a stream.
    """

    config: bytes | None = field(repr=False)
    """The dashboard's config JSON in UTF-8. It contains the credentials. None: the sidecar has it."""
    ref: str = ""
    """The caller's own name for the destination, safe to log. Without config, the sidecar's name for it."""

    def __post_init__(self) -> None:
        """Check the types.

        Raises:
            TypeError: The config is not bytes, or the ref is not a string.
            ValueError: There is neither a config nor a ref.
        """
        if self.config is not None:
            _check_config(self.config)
        if not isinstance(self.ref, str):
            raise TypeError(f"a ref is a string, not {type(self.ref).__name__}")
        if self.config is None and not self.ref:
            raise ValueError("a destination without config needs the ref that the sidecar knows")

    @classmethod
    def by_ref(cls, ref: str) -> "Destination":
        """Return a destination that the sidecar's own file declares under this ref (`--destinations`).

        Raises:
            ValueError: The ref is empty.
        """
        return cls(None, ref)

    @classmethod
    def of(cls, config: "Destination | bytes | Mapping[str, Any]") -> "Destination":
        """Return a destination from any of its forms."""
        return config if isinstance(config, Destination) else cls(_config_json(config))


@dataclass(frozen=True, slots=True)
class SourceConnection:
    """A link from a source to a destination as the user configured it. Required for records only.

    Connections with equal config are the same.
    """

    config: bytes = field(repr=False)
    """The dashboard's config JSON in UTF-8."""

    def __post_init__(self) -> None:
        """Check the type.

        Raises:
            TypeError: The config is not bytes.
        """
        _check_config(self.config)

    @classmethod
    def of(cls, config: "SourceConnection | bytes | Mapping[str, Any]") -> "SourceConnection":
        """Return a connection from any of its forms."""
        return config if isinstance(config, SourceConnection) else cls(_config_json(config))


AnyDestination = Destination | bytes | Mapping[str, Any]
"""A destination, the dashboard's config JSON in UTF-8, or the config as a dict."""
AnyConnection = SourceConnection | bytes | Mapping[str, Any]
"""A source connection, the dashboard's config JSON in UTF-8, or the config as a dict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEntry:
    """An event with its attachment, destination and options, for calls that take several events."""

    event: Event
    attachment: Any = None
    """The caller's own object, returned with the result on a stream. Defaults to the event."""
    destination: "AnyDestination | None" = None
    """The event's destination. Defaults to that of the call or stream."""
    connection: "AnyConnection | None" = None
    """The source connection, required for a record. Defaults to that of the call."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of v1.BatchItem: source_type, dont_batch, ordering_key, attempt, traceparent, tag."""


class Outgoing(NamedTuple):
    """An encoded event with its options, checked."""

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
    """Check and encode an event.

    Args:
        event: The event.
        attachment: As in `BatchEntry`.
        destination: As in `BatchEntry`.
        connection: As in `BatchEntry`.
        fields: As in `BatchEntry`.
        default: The destination of an event that names none.

    Raises:
        TypeError: The event, the destination or a field has the wrong type.
        ValueError: The event cannot be sent, has no destination, or a field is unknown.
    """
    encoded = encode_event(event)
    target = default if destination is None else Destination.of(destination)
    if target is None and not isinstance(encoded, v1.PreparedRequest):
        raise ValueError("name a destination for the event, or for the stream or call")
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
    """Check and encode an entry or a bare event. Raise the errors of `outgoing`."""
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


def bare_event(entry: Event | BatchEntry) -> Event:
    """Return the event of an entry, or the bare event."""
    return entry.event if isinstance(entry, BatchEntry) else entry


def payload(event: Encoded) -> dict[str, Any]:
    """Return the event as the name and value of a field of v1.BatchItem."""
    if isinstance(event, bytes):
        return {"json": event}
    return {"prepared" if isinstance(event, v1.PreparedRequest) else "event": event}


_FIELDS = frozenset(("source_type", "dont_batch", "ordering_key", "attempt", "traceparent", "tag"))


def _check_fields(fields: Mapping[str, Any]) -> None:
    if unknown := sorted(fields.keys() - _FIELDS):
        raise ValueError(f"no field {unknown[0]!r}: the fields are {', '.join(sorted(_FIELDS))}")
    v1.BatchItem(**fields)  # raises TypeError or ValueError for a value of the wrong type
    if fields.get("attempt", 0) < 0:
        raise ValueError("attempt must not be negative")


def _check_config(config: object) -> None:
    if not isinstance(config, bytes):
        raise TypeError(
            f"a config is JSON in bytes, not {type(config).__name__}; `of` takes a dict"
        )


def _config_json(config: bytes | Mapping[str, Any]) -> bytes:
    return config if isinstance(config, bytes) else json.dumps(config, sort_keys=True).encode()
