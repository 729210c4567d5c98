"""Hostile inputs of any size, each for the work that it is meant to slow down."""

import json
from collections.abc import Callable

from ciosidecar_transform import read_destination, transform

from tests.resources.growth import MakeWork, Work

NOW = 1_780_000_000
_PLAIN = {"siteID": "site", "apiKey": "key"}
_DATES = {"convertDates": True}
_SOME_DATES = {"convertDates": True, "convertDatesAllowlist": ["a"]}


def _transform(event: bytes, **settings: object) -> Work:
    read, _ = read_destination(json.dumps(_PLAIN | settings).encode())
    assert read is not None
    return lambda: transform(event, read, now=NOW)


def _event(make: Callable[[int], str], form: str, **settings: object) -> MakeWork:
    """Return the work on an event: `form` with a text of the given size in place of `%s`."""
    return lambda size: _transform((form % make(size)).encode("utf-8", "surrogatepass"), **settings)


def _repeat(unit: str, begin: str = "", end: str = "") -> Callable[[int], str]:
    return lambda size: begin + unit * (size // len(unit)) + end


def _keys(size: int) -> str:
    return ",".join(f'"key{number}":{number}' for number in range(size // 16))


def _colliding(size: int) -> str:
    """Numbers that Python hashes alike: they differ by the modulus of its hash of numbers."""
    modulus = 2**61 - 1
    return ",".join(f'"{number * modulus}":{number * modulus}' for number in range(size // 44))


def _settings(make: Callable[[int], str], key: str) -> MakeWork:
    """Return the reading of a destination one of whose settings is a text of the given size."""

    def work(size: int) -> Work:
        config = json.dumps(_PLAIN | {key: make(size)}).encode()
        return lambda: read_destination(config)

    return work


def _filled(make: Callable[[int], str], template: str) -> MakeWork:
    """Return the work on an event that fills a template."""

    def work(size: int) -> Work:
        event = b'{"type":"track","userId":"u","event":"E","properties":{"k":"%b"}}'
        return _transform(event % make(size).encode(), apiKey=template)

    return work


_TRACK = '{"type":"track","userId":"u","event":"E","properties":{"a":%s}}'
_TRACK_OBJECT = '{"type":"track","userId":"u","event":"E","properties":{%s}}'
_IDENTIFY = '{"type":"identify","userId":"u","traits":{%s}}'
_USER_ID = '{"type":"track","userId":"%s","event":"E"}'
_EMAIL = '{"type":"identify","userId":"u","traits":{"email":"%s"}}'
_NAME = '{"type":"track","userId":"u","event":"%s"}'
_TIME = '{"type":"track","userId":"u","event":"E","timestamp":"%s"}'
_CREATED = '{"type":"identify","userId":"u","traits":{"createdAt":"%s"}}'

KINDS: dict[str, MakeWork] = {
    "arrays, nested": _event(lambda size: "[" * (size // 2) + "]" * (size // 2), _TRACK),
    "objects, nested": _event(lambda size: '{"a":' * (size // 6) + "1" + "}" * (size // 6), _TRACK),
    "brackets that never close": _event(_repeat("["), _TRACK),
    "keys": _event(_keys, _TRACK_OBJECT),
    "keys of traits": _event(_keys, _IDENTIFY),
    "the same key": _event(lambda size: ",".join(['"key":1'] * (size // 8)), _IDENTIFY),
    "keys and numbers of one hash": _event(_colliding, _IDENTIFY),
    "backslashes": _event(_repeat("\\\\", '"', '"'), _TRACK),
    "unpaired surrogates": _event(_repeat("\\ud83d", '"', '"'), _TRACK),
    "digits of a number": _event(_repeat("7"), _TRACK),
    "dates to convert": _event(
        lambda size: '["2024-05-06T07:08:09Z"%s]' % (',"2024-05-06"' * (size // 13)),
        _TRACK,
        **_DATES,
    ),
    "brackets beside a date": _event(
        lambda size: '["2024-05-06"%s]' % (",[]" * (size // 3)), _TRACK, **_SOME_DATES
    ),
    "nested brackets beside a date": _event(
        lambda size: '["2024-05-06"%s]' % (",[[[[1]]]]" * (size // 10)), _TRACK, **_SOME_DATES
    ),
    "escapes beside a date": _event(
        _repeat("\\u0031", '["2024-05-06","', '"]'), _TRACK, **_SOME_DATES
    ),
    "quotes and colons beside a date": _event(
        lambda size: '["2024-05-06"%s]' % (',"\\":"' * (size // 6)), _TRACK, **_SOME_DATES
    ),
    "blanks behind a date": _event(_repeat(" ", '["2024-05-06"', "]"), _TRACK, **_DATES),
    "email of dots": _event(_repeat("a.", "a@", "c"), _EMAIL),
    "email of at signs": _event(_repeat("@"), _EMAIL),
    "email of hyphens": _event(_repeat("-", "a@a", "a.c"), _EMAIL),
    "email without an end": _event(_repeat("a.", "", "@"), _EMAIL),
    "user id like an email": _event(_repeat("a-", "a@", "."), _USER_ID),
    "user id of digits": _event(_repeat("1", "+"), _USER_ID),
    "user id of combining characters": _event(_repeat("\u0301", "e"), _USER_ID),
    "user id of combining characters out of order": _event(_repeat("\u0301\u0316"), _USER_ID),
    "email of combining characters out of order": _event(
        _repeat("\u0301\u0316", "a", "@example.com"), _EMAIL
    ),
    "name of combining characters out of order": _event(_repeat("\u0301\u0316"), _NAME),
    "user id of ligatures": _event(_repeat("\ufdfa"), _USER_ID),
    "name of blanks": _event(_repeat(" ", "E", "E"), _NAME),
    "name of emoji": _event(_repeat("\U0001f600"), _NAME),
    "name of control characters": _event(_repeat("\\u0001"), _NAME),
    "time of digits": _event(_repeat("1"), _TIME),
    "time of fractions": _event(_repeat("1", "2024-05-06T07:08:09.", "Z"), _TIME),
    "time of blanks": _event(_repeat(" ", "2024-05-06", "x"), _TIME),
    "created at digits and dots": _event(_repeat("0", "1.", "e"), _CREATED),
    "created at an exponent": _event(_repeat("9", "1e"), _CREATED),
    "template that opens": _settings(_repeat("{{ "), "apiKey"),
    "template of quotes": _settings(_repeat("\"'", "{{ "), "apiKey"),
    "template of opening quotes": _settings(_repeat("{{'\"", "{{"), "apiKey"),
    "template of alternatives": _settings(_repeat("a || ", "{{ ", "b }}"), "apiKey"),
    "template of a path": _settings(_repeat("a.", "{{ ", "b || c }}"), "apiKey"),
    "value of a template": _filled(_repeat("{{ k }}"), "{{ properties.k || x }}"),
    "names not to convert": _settings(_repeat("a,"), "convertDatesDenylist"),
}
"""By what the input consists of. Most of their sizes are bytes."""
