"""JSON values as text, chosen to be odd: what a double, a text or an id can be confused by."""

import json
from collections.abc import Sequence

from hypothesis import strategies as st

Json = str
"""The text of a JSON value."""
Strategy = st.SearchStrategy[Json]


def text(value: str) -> Json:
    """Return a text as JSON, with the escapes that are necessary."""
    escaped = json.dumps(value, ensure_ascii=False)
    return escaped.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def texts_of(*values: str) -> Strategy:
    """Return one of the texts, as JSON."""
    return st.sampled_from([text(value) for value in values])


def weighted(usual: Sequence[Json], odd: Sequence[Json], share: int = 3) -> Strategy:
    """Return one of the usual values, and an odd one once in `share` times."""
    repeats = -(-len(odd) * (share - 1) // len(usual))
    return st.sampled_from([*list(usual) * repeats, *odd])


def seldom(share: int) -> st.SearchStrategy[bool]:
    """Return True once in `share` times. One draw costs less than the choice between strategies."""
    return st.sampled_from([False] * (share - 1) + [True])


def written_as(*values: Json) -> Strategy:
    """Return one of the JSON values, as it is written."""
    return st.sampled_from(values)


# White space of Unicode and of Python alone, a zero width space that is neither.
SPACES = (" ", "\t", "\u00a0", "\u2003", "\u3000", "\x1c", "\x85", "\u200b")
_ESCAPED = (
    r'"\ud83d"',
    r'"\ude00 x"',
    r'"a\ud83d\ude00b"',
    r'"\ud83d\ud83d\ude00"',
    r'"\\ud83d"',
    r'"\\\ud83d"',
    r'"\u0000"',
    r'"\u001f\b\f\n\r\t"',
    r'"\/\"\\"',
    r'"\u00e9\u0065"',
    r'"\u2028"',
)
_LONG = ("é" * 50, "é" * 51, "x" * 151, "é" * 500, "x" * 1001, "\n" * 501, '"' * 700, "😀" * 251)

_PLAIN = ("a", "pro", "", " ", "é", "😀", "x y", "a.b", "a/b", "\x7f", "ǅ", "ß", "İ", "2024-01-02")
_ODD_TEXTS = [*_ESCAPED, *map(text, _LONG)]
_KNOWN_TEXTS = weighted([*map(text, _PLAIN)], _ODD_TEXTS)
ESCAPED_TEXTS = written_as(*_ESCAPED)
ANY_TEXTS = st.text(max_size=12).map(text)
TEXTS = st.one_of(_KNOWN_TEXTS, _KNOWN_TEXTS, _KNOWN_TEXTS, ANY_TEXTS)

_NUMBERS = (
    "0 -0 0.0 -0.0 1 1.0 -1 7.50 1e0 1E+2 1e400 -1e400 1e-400 5e-324 1.7976931348623157e308 0.1e1 1e21"
    " 999999999999999999999 9007199254740993 18446744073709551616 12345678901234567890123 1e20 1.5e-7"
    " 123456789.123456789123456789"
)
_LONG_NUMBERS = ["1" * 300, "1" * 5000, "-" + "9" * 4400, "0." + "3" * 400]
_KNOWN_NUMBERS = weighted(_NUMBERS.split(), _LONG_NUMBERS, 5)
NUMBERS = st.one_of(
    _KNOWN_NUMBERS,
    _KNOWN_NUMBERS,
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
WORDS = written_as("true", "false", "null")

_KNOWN_NAMES = (
    "plan",
    "name",
    "a.b",
    "a/b",
    "",
    " ",
    "é",
    "id",
    "when",
    "$k",
    "email",
    "__proto__",
)
_LONG_NAMES = ("x" * 150, "x" * 151, "é" * 75, "é" * 76)
NAMES = st.one_of(
    weighted([*map(text, _KNOWN_NAMES)], [*_ESCAPED, *map(text, _LONG_NAMES)]), ANY_TEXTS
)
_SIMPLE = ["true", "false", "null", *map(text, _PLAIN), *_NUMBERS.split()]
_KNOWN_SCALARS = weighted(_SIMPLE, [*_ODD_TEXTS, *_LONG_NUMBERS], 5)
SCALARS = st.one_of(_KNOWN_SCALARS, _KNOWN_SCALARS, _KNOWN_SCALARS, ANY_TEXTS, NUMBERS)


def joined(members: list[tuple[Json, Json]], gap: str = "") -> Json:
    """Return an object of the members. Names may repeat."""
    return "{" + f",{gap}".join(f"{name}:{gap}{value}" for name, value in members) + "}"


def _containers(inner: Strategy) -> Strategy:
    gaps = st.sampled_from(["", " ", "\n\t"])
    return st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]"),
        st.builds(joined, st.lists(st.tuples(NAMES, inner), max_size=4), gaps),
    )


def _deep(levels: int) -> Json:
    return "[" * levels + "]" * levels


def _deep_object(levels: int) -> Json:
    return '{"a":' * levels + "1" + "}" * levels


_VAST = (
    *(_deep(30), _deep(450), _deep_object(450), _deep(990)),
    f"[{','.join(['1.0'] * 300)}]",
    joined([(text(f"k{n}"), "1e400") for n in range(150)]),
)
_NESTED = (
    '{"a":{"b":[1.0,"é"]}}',
    '{"when":"2024-01-02"}',
    "[[],{}]",
    '{"a":1,"a":2}',
    "[ 1 , -0 ]",
)
_KNOWN_VALUES = weighted([*_SIMPLE, *_NESTED, *_NESTED], [*_ODD_TEXTS, *_LONG_NUMBERS, *_VAST], 5)
VALUES = st.one_of(
    _KNOWN_VALUES,
    _KNOWN_VALUES,
    _KNOWN_VALUES,
    SCALARS,
    st.recursive(SCALARS, _containers, max_leaves=6),
)
ANYTHING = VALUES

_POOL = [*_SIMPLE, *_ODD_TEXTS, *_NESTED]
_ODD_POOL = [*_POOL, *_LONG_NUMBERS, *_VAST]


def _assortment(pool: list[Json], start: int) -> list[tuple[Json, Json]]:
    return [(text(f"p{n}"), pool[(start + n) % len(pool)]) for n in range(40)]


ASSORTMENTS: st.SearchStrategy[list[tuple[Json, Json]]] = st.one_of(
    st.just([]),
    st.integers(0, len(_POOL) - 1).map(lambda start: _assortment(_POOL, start)),
    st.integers(0, len(_ODD_POOL) - 1).map(lambda start: _assortment(_ODD_POOL, start)),
)
"""Many values for the price of one draw: the members of an object, or none."""

_DATES = (
    "2024|2024-01|2024-01-02|2024/1/2|2024-01-02T03:04|2024-01-02 03:04:05|2024-01-02T03:04:05.678Z"
    "|2024-01-02t03:04:05.123456789123z|2024-01-02T03:04:05+01|2024-01-02T03:04:05 +0100"
    "|2024-01-02T03:04:05-12:34|2024-01-02 03:04:05 +0000 UTC|2024-01-02 03:04:05.5 -0300 -03 m=+0.01"
    "|1/2/2024|January 2, 2024|Jan 2 2024|2 january 2024|1/2/2024, 3:04 PM|Jan 2, 2024 15:04:05"
    "|Tue, 02 Jan 2024 03:04:05 GMT|Tue Jan 02 2024 03:04:05 GMT+0000 (Coordinated Universal Time)"
    "|Tue Jan 02 2024|1400687660|1400687660123|1609556645.0|1.7e9|0001400687660|-1400687660"
    "|1969-12-31T23:59:59Z|1970-01-01|2024-02-30|2024-01-02T24:00:00|2024-01-02T24:00:01"
    "|2024-12-31T23:59:60Z|9999-12-31T23:59:59Z|0001-01-01|0000-01-01|2031-01-01|12/31/24|today|0"
    "|\uff11\uff14\uff10\uff10\uff16\uff18\uff17\uff16\uff16\uff10| 2024-01-02 |2024-01-02T03:04:05.|2024-01-02T25:00|1e400|1e9999|-0"
    "|9999-12-31T23:59:59-12:00|0001-01-01T00:00:00+14:00|2106-02-07T06:28:16Z|1e11|99999999"
)
_DATE_NUMBERS = (
    "0 -0 0.0 1e8 99999999 1400687660 1400687660123 1400687660123456 1400687660123456789 1e19 1e20 1e400"
    " -1400687660 1609556645.999 -1609556645.999 1.7e9 2024 4294967296 99999999999 100000000000 1e-400"
    " 99999999999999999999 100000000000000000000"
)
_KNOWN_DATES = [*map(text, _DATES.split("|")), *_DATE_NUMBERS.split()]
_LITERAL_DATES = weighted(_KNOWN_DATES, ["true", "false", "null", "[]", "{}"], 12)
DATES = st.one_of(
    _LITERAL_DATES,
    _LITERAL_DATES,
    _LITERAL_DATES,
    st.datetimes().map(lambda time: text(time.isoformat())),
)
