"""ISO dates since 1970 inside JSON → seconds, everything else byte for byte. Rule 13.6."""

import re
from enum import Enum

from msgspec import Raw, Struct
from msgspec.json import Decoder

from .times import UnusableTime, seconds

# A whole date, with or without a time of day, of a year in which people and their orders live: an
# article number such as 0800-12-12 is no date, and digits alone never are.
_DATE = re.compile(
    rb"(?:19|20|21)\d\d-\d\d-\d\d"
    rb"(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d++)?)?(?: ?(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?))?)?"
)
_YEAR = re.compile(rb'"(?:19|20|21)\d\d-')
# A text and the colon that makes it a name, or what opens or closes an object or array.
_TOKEN = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}\[\]]', re.DOTALL)
_decode_text = Decoder(str).decode


class DateNames(Struct, frozen=True):
    """Under which names dates are converted."""

    allowed: frozenset[str]
    """Empty: under all of them."""
    denied: frozenset[str]
    """Not under these, even where they are allowed."""


class _Place(Enum):
    """What the names above a value say of it."""

    OUTSIDE = "not under an allowed name"
    ALLOWED = "under an allowed name"
    DENIED = "under a denied name, for good"

    def under(self, name: str, names: DateNames) -> "_Place":
        if self is _Place.DENIED or name in names.denied:
            return _Place.DENIED
        return _Place.ALLOWED if name in names.allowed else self


def attributes_with_seconds(attributes: dict[str, Raw], names: DateNames) -> dict[str, Raw]:
    """The attributes, with seconds in place of their dates."""
    top = _top(names)
    converted = {}
    for name, raw in attributes.items():
        text = bytes(raw)
        if text[:1] in (b'"', b"{", b"["):
            fresh = _converted(text, top.under(name, names), names)
            raw = raw if fresh is text else Raw(fresh)  # noqa: PLW2901 - the same attribute
        converted[name] = raw
    return converted


def object_with_seconds(text: bytes, names: DateNames) -> bytes:
    """An object's JSON, with seconds in place of its dates."""
    return _converted(text, _top(names), names)


def _top(names: DateNames) -> _Place:
    return _Place.OUTSIDE if names.allowed else _Place.ALLOWED


def _converted(text: bytes, place: _Place, names: DateNames) -> bytes:
    """The text itself where nothing in it is a date that is to be converted."""
    if _YEAR.search(text) is None and b"\\u" not in text:
        return text
    parts: list[bytes] = []
    above: list[_Place] = []
    here = member = place
    done = 0
    for token in _TOKEN.finditer(text):
        mark = token[0][:1]
        if mark == b'"':
            if token[2] is not None:
                if names.allowed or names.denied:
                    member = here.under(_decode_text(token[1]), names)
                continue
            if member is not _Place.ALLOWED:
                continue
            since = _seconds(token[1])
            if since is not None:
                parts += (text[done : token.start()], b"%d" % since)
                done = token.end()
        elif mark in b"{[":
            above.append(here)
            here = member
        else:
            here = member = above.pop()
    return b"".join((*parts, text[done:])) if parts else text


def _seconds(token: bytes) -> int | None:
    """The seconds of a text in quotes that is a date from 1970 on, or None."""
    text = token[1:-1] if b"\\" not in token else _decode_text(token).encode()
    if _DATE.fullmatch(text) is None:
        return None
    try:
        found = seconds(text.decode())
    except UnusableTime:
        return None
    # Customer.io reads no negative number as a date, but reads ISO texts.
    return None if found is None or found < 0 else found
