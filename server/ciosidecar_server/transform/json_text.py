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
    "compact_size",
    "elements",
    "encode",
    "first_byte",
    "members",
    "repair_surrogates",
    "text_of",
    "value",
]
