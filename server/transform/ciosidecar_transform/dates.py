"""Conversion of ISO dates inside JSON to seconds; all other bytes stay. Rule 13.6."""

import re
from datetime import UTC, date, datetime
from enum import Enum

from msgspec import Raw, Struct
from msgspec.json import Decoder

from .times import seconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
# A whole date, with or without a time of day, from 1900 to 2199: an article number such as
# 0800-12-12 is no date, and digits alone never are.
_CENTURY = rb"(?:19|20|21)"
_REST = (
    rb"\d\d-\d\d-\d\d"
    rb"(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d++)?)?(?: ?(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?))?)?"
)
_DATE = re.compile(_CENTURY + _REST)
_YEAR = re.compile(rb'"%b\d\d-' % _CENTURY)
# A date in quotes. The first quote opens a string if no backslash escapes it: there are no
# backslashes outside of strings. A string with a colon behind it is a name.
_DATE_VALUE = rb'"%b(?<!\\"\d\d)%b"(?!\s*+:)' % (_CENTURY, _REST)
# A string that may be a date some of whose characters are spelled as escapes.
_MAYBE_VALUE = (
    rb'"(?<!\\")(?:[12]|\\u003[12])'
    rb'(?:[-+:. 0-9TtZzUCGM]|\\u00[2-7][0-9A-Fa-f])*"(?!\s*+:)'
)


def _tokens(date_value: bytes) -> re.Pattern[bytes]:
    """Return a pattern for tokens: a bracket, a name with its colon, or a value that is a date.

    Each match begins with the bytes before the token. These may be strings that are no dates, and
    objects and arrays that hold neither dates nor other objects and arrays. At most 99 of them are
    matched at once, and then without a token, because the possible steps back take memory. The first
    byte or a lookahead decides which alternative follows, so that no byte is tried twice. Possessive
    groups would do the same, but Python 3.11 has a fault in them.
    """
    string, other = rb'"[^"\\]*+(?:\\.[^"\\]*+)*"', rb'[^"{}\[\]]*+'
    no_date = rb"(?!%b)%b" % (date_value, string)
    leaf = rb"[\[{]%b(?:%b%b){0,99}[\]}]" % (other, no_date, other)
    skipped = rb"%b(?:(?:%b(?!\s*+:)|%b)%b){0,99}" % (other, no_date, leaf, other)
    token = rb"(?:([{}\[\]])|(%b)\s*+:|(%b))?" % (string, date_value)
    return re.compile(skipped + token, re.DOTALL)


_DATES, _DATE_TOKENS = re.compile(_DATE_VALUE), _tokens(_DATE_VALUE)
_MAYBES, _MAYBE_TOKENS = re.compile(_MAYBE_VALUE), _tokens(_MAYBE_VALUE)
_MARK, _NAME, _DATED = 1, 2, 3
_OPENING = (ord("{"), ord("["))
_decode_text = Decoder(str).decode


class DateNames(Struct, frozen=True):
    """The names under which dates are converted."""

    allowed: frozenset[str]
    """Dates under these names are converted. Empty: under all names."""
    denied: frozenset[str]
    """Dates under these names stay, even where they are allowed."""


class _Place(Enum):
    """The position of a value by the names above it."""

    OUTSIDE = "not under an allowed name"
    ALLOWED = "under an allowed name"
    DENIED = "under a denied name, however deep"

    def under(self, name: str, names: DateNames) -> "_Place":
        """Return the position of the value of a member with the name."""
        if self is _Place.DENIED or name in names.denied:
            return _Place.DENIED
        return _Place.ALLOWED if name in names.allowed else self


def attributes_with_seconds(attributes: dict[str, Raw], names: DateNames) -> dict[str, Raw]:
    """Return the attributes with seconds in place of their dates."""
    top = _top(names)
    converted = {}
    for name, raw in attributes.items():
        text = bytes(raw)
        if text[:1] in (b'"', b"{", b"["):
            new_text = _converted(text, top.under(name, names), names)
            raw = raw if new_text is text else Raw(new_text)  # noqa: PLW2901 - the same attribute
        converted[name] = raw
    return converted


def object_with_seconds(text: bytes, names: DateNames) -> bytes:
    """Return an object's JSON with seconds in place of its dates."""
    return _converted(text, _top(names), names)


def _top(names: DateNames) -> _Place:
    return _Place.OUTSIDE if names.allowed else _Place.ALLOWED


def _converted(text: bytes, place: _Place, names: DateNames) -> bytes:
    """Return the JSON with its dates converted: the same object if there are none to convert."""
    if rb"\u00" in text:
        values, tokens, convert = _MAYBES, _MAYBE_TOKENS, _seconds_if_date
    elif _YEAR.search(text) is None:
        return text
    else:
        values, tokens, convert = _DATES, _DATE_TOKENS, _seconds_or_text
    if text[:1] == b'"' or not (names.allowed or names.denied):
        if place is not _Place.ALLOWED:
            return text
        return values.sub(lambda match: convert(match[0]), text)
    parts: list[bytes] = []
    outer_places: list[_Place] = []
    container_place = member_place = place
    copied = 0
    for token in tokens.finditer(text):
        kind = token.lastindex
        if kind == _MARK:
            if text[token.end() - 1] in _OPENING:
                outer_places.append(container_place)
                container_place = member_place
            else:
                container_place = member_place = outer_places.pop()
        elif kind == _NAME:
            member_place = container_place.under(_decode_text(token[_NAME]), names)
        elif kind == _DATED and member_place is _Place.ALLOWED:
            parts += (text[copied : token.start(_DATED)], convert(token[_DATED]))
            copied = token.end()
    return b"".join((*parts, text[copied:])) if parts else text


def _seconds_if_date(token: bytes) -> bytes:
    """Return the seconds of a string with escapes, or the same string if it is no date."""
    text = _decode_text(token).encode()
    if _DATE.fullmatch(text) is None:
        return token
    converted = _seconds_or_text(b'"%b"' % text)
    return token if converted[:1] == b'"' else converted


def _seconds_or_text(token: bytes) -> bytes:
    """Return the seconds of a date in quotes, or the same string for a date before 1970."""
    try:
        time_s = _seconds(token[1:-1].decode())
    except ValueError:
        return token
    # Customer.io reads no negative number as a date, but it reads the text.
    return token if time_s is None or time_s < 0 else b"%d" % time_s


def _seconds(text: str) -> int | None:
    """Return the seconds since 1970 of a date. Raises ValueError if there is no such date."""
    # The two usual forms at the speed of C. Hour 24 is left to `seconds`: newer Pythons read it too.
    if len(text) == 10:
        return (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * 86_400
    if text[10] == "T" and text[-1] == "Z" and text[11:13] != "24":
        since = datetime.fromisoformat(text) - _EPOCH
        return since.days * 86_400 + since.seconds
    return seconds(text)
