"""What an event passes on by rules 1.3, 4.2 and 4.9: an oracle that shares no code with the transform."""

import re
from typing import Any

from ciosidecar_transform import Request

from .transformed import Number, strict_json

_ESCAPE = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_SHORT = {"\b", "\f", "\n", "\r", "\t", '"', "\\"}
# Names that a rule changes: 4.2, 4.3, 4.5, 4.6, 4.7, 4.8, 4.8b, 13.5, 13.3 and, for a group, 8.4.
CHANGED = frozenset(
    [
        "id",
        "cio_id",
        "email",
        "created_at",
        "createdAt",
        "_timestamp",
        "anonymous_id",
        "anonymousId",
        "userId",
        "unsubscribed",
        "address",
        "city",
        "country",
        "postalCode",
        "state",
        "street",
        "cio_relationships",
        "cio_subscription_preferences",
        "_update",
        "action",
        "relationshipAttributes",
    ]
)
Pairs = tuple[tuple[str, Any], ...]


def repaired(event: bytes) -> bytes:
    """Return the event with U+FFFD for each unpaired surrogate (rule 1.1)."""
    return _ESCAPE.sub(lambda found: r"\ufffd" if found[2] else found[0], event.decode()).encode()


def pairs_of(value: Any) -> Pairs:
    """Return the members of an object, () for any other value."""
    is_object = type(value) is tuple
    return value if is_object else ()


def compact_bytes(value: Any) -> int:
    """Return the size of a value as compact JSON with only the necessary escapes (rule 4.9)."""
    size, waiting = 0, [value]
    while waiting:
        inner = waiting.pop()
        if type(inner) is tuple:
            size += 2 + max(0, len(inner) - 1) + len(inner)
            waiting += [part for pair in inner for part in pair]
        elif type(inner) is list:
            size += 2 + max(0, len(inner) - 1)
            waiting += inner
        elif isinstance(inner, Number):
            size += len(inner)
        elif type(inner) is str:
            escapes = sum(1 if c in _SHORT else 5 for c in inner if c < " " or c in _SHORT)
            size += 2 + len(inner.encode()) + escapes
        else:
            size += {True: 4, False: 5, None: 4}[inner]
    return size


def kept(name: str, value: Any) -> tuple[bool, Any]:
    """Return whether an attribute is sent, and the value (rule 4.9)."""
    if len(name.encode()) > 150:
        return False, None
    if type(value) is str and not isinstance(value, Number):
        return True, value.encode()[:1000].decode(errors="ignore")
    if type(value) in (tuple, list) and compact_bytes(value) > 1000:
        return False, None
    return True, value


def sent_object(request: Request) -> tuple[str, Any] | None:
    """Return what a request does, and its attributes or data. None if it passes nothing on."""
    if not request.body:
        return None
    body = strict_json(request.body)
    path = request.template.endpoint_path
    if path == "v1/customers" and request.template.method == "PUT":
        return "identify", body
    if path in ("v1/customers/events", "v1/events"):
        return "event", dict(body)["data"]
    if path != "v2/batch":
        return None
    ((_, (item,)),) = body
    members = dict(item)
    action = str(members["action"])
    if members["type"] == "object":
        return "object", members["attributes"]
    if action in ("event", "page", "screen"):
        return "event", members["attributes"]
    return ("identify", members["attributes"]) if action == "identify" else None
