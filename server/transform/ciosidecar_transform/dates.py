"""ISO dates since 1970 inside JSON → seconds, everything else byte for byte. Rule 13.6."""

import re
from datetime import UTC, date, datetime
from enum import Enum

from msgspec import Raw, Struct
from msgspec.json import Decoder

from .times import seconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
# A whole date, with or without a time of day, of a year in which people and their orders live: an
# article number such as 0800-12-12 is no date, and digits alone never are.
_CENTURY = rb"(?:19|20|21)"
_REST = (
    rb"\d\d-\d\d-\d\d"
    rb"(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d++)?)?(?: ?(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?))?)?"
)
_DATE = re.compile(_CENTURY + _REST)
_YEAR = re.compile(rb'"%b\d\d-' % _CENTURY)
# A text begins with a quote that no backslash escapes: outside of texts there are no backslashes.
# With a colon behind it, it is a name.
_DATE_VALUE = rb'"%b(?<!\\"\d\d)%b"(?!\s*+:)' % (_CENTURY, _REST)
# What may be one of which letters are spelled as escapes.
_MAYBE_VALUE = (
    rb'"(?<!\\")(?:[12]|\\u003[12])'
    rb'(?:[-+:. 0-9TtZzUCGM]|\\u00[2-7][0-9A-Fa-f])*"(?!\s*+:)'
)


def _tokens(date_value: bytes) -> re.Pattern[bytes]:
    """What opens or closes an object or array, a name with its colon, or a value that is a date.

    Each match takes in what stands before it and is none of these, and neither are objects and
    arrays that hold no other and no date. Of a long run it takes only so much, and then no token:
    what a match may have to give back takes memory. What may follow is told by its first byte, or
    by looking ahead, so that nothing is tried twice. (Python 3.11 errs in possessive groups.)
    """
    text, other = rb'"[^"\\]*+(?:\\.[^"\\]*+)*"', rb'[^"{}\[\]]*+'
    no_date = rb"(?!%b)%b" % (date_value, text)
    leaf = rb"[\[{]%b(?:%b%b){0,99}[\]}]" % (other, no_date, other)
    skipped = rb"%b(?:(?:%b(?!\s*+:)|%b)%b){0,99}" % (other, no_date, leaf, other)
    token = rb"(?:([{}\[\]])|(%b)\s*+:|(%b))?" % (text, date_value)
    return re.compile(skipped + token, re.DOTALL)


_DATES, _DATE_TOKENS = re.compile(_DATE_VALUE), _tokens(_DATE_VALUE)
_MAYBES, _MAYBE_TOKENS = re.compile(_MAYBE_VALUE), _tokens(_MAYBE_VALUE)
_MARK, _NAME, _DATED = 1, 2, 3
_OPENING = (ord("{"), ord("["))
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
    if rb"\u00" in text:
        values, tokens, fresh = _MAYBES, _MAYBE_TOKENS, _fresh_if_date
    elif _YEAR.search(text) is None:
        return text
    else:
        values, tokens, fresh = _DATES, _DATE_TOKENS, _fresh
    if text[:1] == b'"' or not (names.allowed or names.denied):
        return values.sub(lambda match: fresh(match[0]), text) if place is _Place.ALLOWED else text
    parts: list[bytes] = []
    above: list[_Place] = []
    here = member = place
    done = 0
    for token in tokens.finditer(text):
        kind = token.lastindex
        if kind == _MARK:
            if text[token.end() - 1] in _OPENING:
                above.append(here)
                here = member
            else:
                here = member = above.pop()
        elif kind == _NAME:
            member = here.under(_decode_text(token[_NAME]), names)
        elif kind == _DATED and member is _Place.ALLOWED:
            parts += (text[done : token.start(_DATED)], fresh(token[_DATED]))
            done = token.end()
    return b"".join((*parts, text[done:])) if parts else text


def _fresh_if_date(token: bytes) -> bytes:
    """The same of a text in quotes that may be no date, and may have escapes."""
    text = _decode_text(token).encode()
    if _DATE.fullmatch(text) is None:
        return token
    fresh = _fresh(b'"%b"' % text)
    return token if fresh[:1] == b'"' else fresh


def _fresh(token: bytes) -> bytes:
    """The seconds of a date in quotes, or the same text in quotes if there are none from 1970 on."""
    try:
        found = _seconds(token[1:-1].decode())
    except ValueError:
        return token
    # Customer.io reads no negative number as a date, but reads the text.
    return token if found is None or found < 0 else b"%d" % found


def _seconds(text: str) -> int | None:
    """Raises ValueError for a date that does not exist."""
    # The usual two at the speed of C; newer Pythons would read any hour 24.
    if len(text) == 10:
        return (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * 86_400
    if text[10] == "T" and text[-1] == "Z" and text[11:13] != "24":
        since = datetime.fromisoformat(text) - _EPOCH
        return since.days * 86_400 + since.seconds
    return seconds(text)
