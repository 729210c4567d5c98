"""JSON as text: reading only what a rule looks into, and measuring what is passed on as it came."""

import re
from typing import Any

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder, encode, format

ABSENT = Raw()
"""A member that is not there. It is falsy; a null is not."""
NULL = Raw(b"null")


class VastNumber(Struct, frozen=True):
    """A JSON number that a double cannot hold, or an integer of thousands of digits."""

    literal: str


_decode_any = Decoder(Any).decode
_decode_members = Decoder(dict[str, Raw]).decode
_decode_elements = Decoder(list[Raw]).decode

# One half of a pair without the other, where every backslash begins an escape.
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!%b)|[c-fC-F][0-9a-fA-F]{2}(?<!%b%b))"
    % (_LOW, _HIGH, _LOW)
)


def repair_surrogates(data: bytes) -> bytes:
    """The same text with every lone surrogate escape made U+FFFD. SPEC 1.1."""
    if b"\0" in data:
        return data  # no JSON, whatever else is in it
    # An escaped backslash begins no escape. Covered up, it is not mistaken for one: "\\ud83d".
    covered = data.replace(rb"\\", b"\0\0")
    return _LONE.sub(rb"\\ufffd", covered).replace(b"\0\0", rb"\\")


def members(raw: Raw) -> dict[str, Raw]:
    """The members of an object, in order, the last of equal names; {} for anything else."""
    if not raw:
        return {}
    try:
        return _decode_members(raw)
    except ValidationError:
        return {}


def elements(raw: Raw) -> list[Raw]:
    """The elements of an array; [] for anything else."""
    try:
        return _decode_elements(raw) if raw else []
    except ValidationError:
        return []


def removed(raw: Raw, path: tuple[str, ...]) -> Raw:
    """Return the value without what stands at the path; the same where nothing does.

    A member of an object is removed, an element of an array becomes null. path: not empty.
    """
    containers: list[dict[str, Raw] | list[Raw]] = []
    inner = raw
    for step in path:
        container = _container(inner, step)
        if container is None:
            return raw
        containers.append(container)
        inner = container[int(step)] if isinstance(container, list) else container[step]
    left = ABSENT
    for container, step in zip(reversed(containers), reversed(path), strict=True):
        if isinstance(container, list):
            container[int(step)] = left or NULL
        elif left:
            container[step] = left
        else:
            del container[step]
        left = Raw(encode(container))
    return left


def _container(raw: Raw, step: str) -> dict[str, Raw] | list[Raw] | None:
    """The array or object that a value is, if it has something at the step of a path."""
    if first_byte(raw) == b"[":
        listed = elements(raw)
        return listed if 0 <= array_index(step) < len(listed) else None
    found = members(raw)
    return found if step in found else None


def array_index(step: str) -> int:
    """Return the index that a step of a path names, or -1 if it names none."""
    return int(step) if step.isascii() and step.isdigit() and len(step) < 9 else -1


def value(raw: Raw) -> Any:
    """The value itself, or None if absent. Numbers beyond a double are a VastNumber."""
    if not raw:
        return None
    try:
        return _decode_any(raw)
    except ValidationError:
        text = bytes(raw)
        # Inside an object or array the number does not matter: no rule looks that deep.
        return VastNumber(text.decode()) if text[:1] in b"-0123456789" else {}


def text_of(raw: Raw) -> str | None:
    """The text, or None for any other value."""
    found = value(raw)
    return found if type(found) is str else None


def first_byte(raw: Raw) -> bytes:
    """What tells the JSON type: { [ " t f n, a digit or a minus; b"" if absent."""
    return bytes(raw)[:1]


def compact_size(raw: Raw) -> int:
    """Bytes of the value as compact JSON with no escapes but the necessary ones. SPEC 4.9."""
    text = format(raw, indent=-1)
    if b"\\" not in text:
        return len(text)
    # All of it as one text, so that it is read and written once: two necessary escapes and the
    # quotes, which would end it, are stood for by others as long.
    inside = text.replace(rb"\\", b"__").replace(rb"\"", b"__").replace(b'"', b"'")
    return len(encode(_decode_any(b'"%b"' % inside))) - 2


__all__ = [
    "ABSENT",
    "NULL",
    "DecodeError",
    "Raw",
    "VastNumber",
    "array_index",
    "compact_size",
    "elements",
    "encode",
    "first_byte",
    "members",
    "removed",
    "repair_surrogates",
    "text_of",
    "value",
]
