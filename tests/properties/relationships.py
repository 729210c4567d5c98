"""Which relationships Customer.io reads. Rule 4.8b passes others on too, and Customer.io refuses their request."""

import json
import re
from collections.abc import Iterator
from typing import Any

_OBJECT_TYPE = re.compile(r"[1-9][0-9]{0,17}")
_MOST_ID_BYTES = 150
# Below every limit of attributes, however they are written.
_SMALL_BYTES = 140


def all_are_readable(event: bytes) -> bool:
    """Return True if Customer.io reads each relationship in the event."""
    try:
        decoded = json.loads(event)
    except ValueError:
        return True
    return all(_is_readable(element) for element in _relationships(decoded))


def _relationships(value: Any) -> Iterator[Any]:
    """Yield the elements of each `cio_relationships`, at any depth."""
    if isinstance(value, list):
        for element in value:
            yield from _relationships(element)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name != "cio_relationships":
                yield from _relationships(member)
                continue
            elements = member.get("relationships") if isinstance(member, dict) else member
            yield from elements if isinstance(elements, list) else ()


def _is_readable(element: Any) -> bool:
    if not (isinstance(element, dict) and isinstance(element.get("identifiers"), dict)):
        return True  # left out
    identifiers, attributes = element["identifiers"], element.get("relationship_attributes")
    if attributes is not None and not (
        isinstance(attributes, dict) and len(json.dumps(attributes)) <= _SMALL_BYTES
    ):
        return False
    if "cio_object_id" in identifiers:
        return len(identifiers) == 1 and _is_id(identifiers["cio_object_id"])
    object_type = identifiers.get("object_type_id")
    return (
        _is_id(object_type)
        and _OBJECT_TYPE.fullmatch(str(object_type)) is not None
        and _is_id(identifiers.get("object_id"))
    )


def _is_id(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    text = str(value)
    return bool(text.strip()) and len(text.encode("utf-8", "replace")) <= _MOST_ID_BYTES
