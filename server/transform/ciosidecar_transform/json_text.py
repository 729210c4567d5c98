"""JSON as text: reading the parts that a rule needs, and measuring values that are passed on."""

import re
from typing import Any

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder, encode, format

NOT_JSON = (DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no JSON, that are not UTF-8, or that are nested too deeply for the stack."""
ABSENT = Raw()
"""The JSON text of a missing member. ABSENT is falsy; NULL is not."""
NULL = Raw(b"null")


class VastNumber(Struct, frozen=True):
    """A JSON number that a double cannot hold, or an integer of thousands of digits."""

    literal: str


_decode_any = Decoder(Any).decode
_decode_members = Decoder(dict[str, Raw]).decode
_decode_elements = Decoder(list[Raw]).decode

# An escaped surrogate without its other half, in a text in which every backslash begins an escape.
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!%b)|[c-fC-F][0-9a-fA-F]{2}(?<!%b%b))"
    % (_LOW, _HIGH, _LOW)
)


def repair_surrogates(data: bytes) -> bytes:
    """Return the JSON with every escape of an unpaired surrogate replaced by U+FFFD. Rule 1.1."""
    if b"\0" in data:
        return data  # a null byte is never JSON
    # An escaped backslash begins no escape. It is covered, or "\\ud83d" would look like a surrogate.
    covered = data.replace(rb"\\", b"\0\0")
    return _LONE.sub(rb"\\ufffd", covered).replace(b"\0\0", rb"\\")


def members(raw: Raw) -> dict[str, Raw]:
    """Return the members of an object, in order, the last of equal names; {} for anything else."""
    if not raw:
        return {}
    try:
        return _decode_members(raw)
    except ValidationError:
        return {}


def elements(raw: Raw) -> list[Raw]:
    """Return the elements of an array; [] for anything else."""
    try:
        return _decode_elements(raw) if raw else []
    except ValidationError:
        return []


def removed(raw: Raw, path: tuple[str, ...]) -> Raw:
    """Return a value without the part at the path, or the same value if the path leads nowhere.

    A member of an object is removed; an element of an array becomes null. The path has a step.
    """
    containers: list[dict[str, Raw] | list[Raw]] = []
    inner = raw
    for step in path:
        container = _container(inner, step)
        if container is None:
            return raw
        containers.append(container)
        inner = container[int(step)] if isinstance(container, list) else container[step]
    replacement = ABSENT
    for container, step in zip(reversed(containers), reversed(path), strict=True):
        if isinstance(container, list):
            container[int(step)] = replacement or NULL
        elif replacement:
            container[step] = replacement
        else:
            del container[step]
        replacement = Raw(encode(container))
    return replacement


def _container(raw: Raw, step: str) -> dict[str, Raw] | list[Raw] | None:
    """Return the elements or members of a value, or None if none of them is at the step of a path."""
    if first_byte(raw) == b"[":
        items = elements(raw)
        return items if 0 <= array_index(step) < len(items) else None
    fields = members(raw)
    return fields if step in fields else None


def array_index(step: str) -> int:
    """Return the index that a step of a path names, or -1 if it names none."""
    return int(step) if step.isascii() and step.isdigit() and len(step) < 9 else -1


def value(raw: Raw) -> Any:
    """Return the value as Python has it, or None if absent. A number beyond a double is a VastNumber."""
    if not raw:
        return None
    try:
        return _decode_any(raw)
    except ValidationError:
        text = bytes(raw)
        # An object or array with such a number counts as empty: no rule reads that deep.
        return VastNumber(text.decode()) if text[:1] in b"-0123456789" else {}


def text_of(raw: Raw) -> str | None:
    """Return the text, or None for any other value."""
    text = value(raw)
    return text if type(text) is str else None


def first_byte(raw: Raw) -> bytes:
    """Return the byte that shows the JSON type: { [ " t f n, a digit or a minus; b"" if absent."""
    return bytes(raw)[:1]


def compact_size(raw: Raw) -> int:
    """Return the bytes of the value as compact JSON with only the necessary escapes. Rule 4.9."""
    text = format(raw, indent=-1)
    if b"\\" not in text:
        return len(text)
    # The JSON is measured as one string, so that it is decoded and encoded once. Two necessary
    # escapes, and the quotes that would end the string, are replaced by characters as long.
    inside = text.replace(rb"\\", b"__").replace(rb"\"", b"__").replace(b'"', b"'")
    return len(encode(_decode_any(b'"%b"' % inside))) - 2


__all__ = [
    "ABSENT",
    "NOT_JSON",
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
