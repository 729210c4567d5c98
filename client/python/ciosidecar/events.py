"""What callers hand in: events in one of four forms, where they go, and what their rows are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ciosidecar import v1
from ciosidecar.results import Request

Event = bytes | Mapping[str, Any] | v1.Message | Request
"""A RudderStack event: its JSON in UTF-8 (the fast path, and the lossless one), a dict, or typed.

Or a request that an earlier transform gave out, which a stream that delivers sends as it is.
"""
Encoded = bytes | v1.Message | v1.PreparedRequest
"""The same as it travels."""


def encode_event(event: Event) -> Encoded:
    """The event as it travels. Raises TypeError or ValueError for what is no event."""
    if isinstance(event, (bytes, v1.Message)):
        return event
    if isinstance(event, Request):
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
        f"an event is bytes, a dict, a v1.Message or a Request, not {type(event).__name__}"
    )


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
    """A Customer.io workspace as the user configured it. Equal configs are one destination."""

    config: bytes = field(repr=False)
    """The dashboard's config JSON in UTF-8. Holds the credentials."""
    ref: str = field(default="", compare=False)
    """The caller's own name for it, safe to log."""

    @classmethod
    def of(cls, config: "Destination | bytes | Mapping[str, Any]") -> "Destination":
        """A destination from any of the forms a caller may hold."""
        return config if isinstance(config, Destination) else cls(_config_json(config))


@dataclass(frozen=True, slots=True)
class Connection:
    """What warehouse rows of one source become, as the user configured it.

    Records need one, and nothing else does. Equal configs are one connection.
    """

    config: bytes = field(repr=False)
    """The dashboard's config JSON in UTF-8."""
    ref: str = field(default="", compare=False)
    """The caller's own name for it, safe to log."""

    @classmethod
    def of(cls, config: "Connection | bytes | Mapping[str, Any]") -> "Connection":
        """A connection from any of the forms a caller may hold."""
        return config if isinstance(config, Connection) else cls(_config_json(config))


AnyDestination = Destination | bytes | Mapping[str, Any]
"""A destination as a caller may hold it: made before, the dashboard's JSON, or that as a dict."""
AnyConnection = Connection | bytes | Mapping[str, Any]
"""A connection likewise."""


def _config_json(config: bytes | Mapping[str, Any]) -> bytes:
    return config if isinstance(config, bytes) else json.dumps(config, sort_keys=True).encode()
