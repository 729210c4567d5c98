"""What callers hand in: events in one of three forms, and the destinations they are for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ciosidecar import v1

Event = bytes | Mapping[str, Any] | v1.Message
"""A RudderStack event: its JSON in UTF-8 (the fast path, and the lossless one), a dict, or typed."""


def encode_event(event: Event) -> bytes | v1.Message:
    """The event as it travels. Raises TypeError or ValueError for what is no event."""
    if isinstance(event, (bytes, v1.Message)):
        return event
    if isinstance(event, Mapping):
        return _encode_json(event)
    raise TypeError(f"an event is bytes, a dict or a v1.Message, not {type(event).__name__}")


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
        if isinstance(config, Destination):
            return config
        if isinstance(config, bytes):
            return cls(config)
        return cls(json.dumps(config, sort_keys=True).encode())
