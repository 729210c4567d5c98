"""Ten times the bytes take about ten times as long, whatever the bytes are. Rules 1.4, 2.4, 4.9, 13.6."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from ciosidecar_transform import AnyDestination, transform

from tests.unit.transform.support import NOW, destination

SMALL, LARGE = 120_000, 1_200_000
# 10 for what is linear, with room for noise; 100 for what is quadratic.
MOST = 35
TIMES: dict[str, tuple[Callable[[int], bytes], int | None]] = {
    "digits": (lambda size: b"1" * size, None),
    "zeros": (lambda size: b"0" * size, None),
    "leading-zeros": (lambda size: b"0" * size + b"1704164645", 1704164645),
    "long-number": (lambda size: b"1704164645." + b"9" * size, 1704164645),
    "small-number": (lambda size: b"0." + b"0" * size + b"1704164645e%d" % (size + 10), 1704164645),
    "long-exponent": (lambda size: b"1e" + b"0" * size + b"9", 1_000_000_000),
    "vast-exponent": (lambda size: b"1e" + b"9" * size, None),
    "spaces": (lambda size: b" " * size, None),
    "spaces-around": (lambda size: b" " * size + b"2024-01-02" + b" " * size, 1704153600),
    "spaces-within": (lambda size: b"2024-01-02" + b" " * size + b"03:04", None),
    "letters": (lambda size: b"a" * size, None),
    "month": (lambda size: b"January 2, 2024" + b"," * size, None),
    "fraction": (lambda size: b"2024-01-02T03:04:05." + b"9" * size + b"Z", 1704164645),
    "fraction-and-more": (lambda size: b"2024-01-02T03:04:05." + b"9" * size + b"x", None),
    "hour-24": (lambda size: b"2024-01-01T24:00:00." + b"0" * size, 1704153600),
    "monotonic": (
        lambda size: b"2024-01-02 03:04:05.%b +0000 UTC m=+%b.%b" % ((b"1" * size,) * 3),
        1704164645,
    ),
    "monotonic-and-more": (
        lambda size: b"2024-01-02 03:04:05.%b +0000 UTC m=+%b.%bx" % ((b"1" * size,) * 3),
        None,
    ),
    "comment": (
        lambda size: b"Tue Jan 02 2024 03:04:05 GMT+0000 (" + b"a" * size + b")",
        1704164645,
    ),
    "open-comments": (
        lambda size: b"Tue, 02 Jan 2024 03:04:05 GMT (" + b"(" * size + b")",
        None,
    ),
}
PLAIN, DATES = destination(), destination(convertDates=True)
NAMED = destination(convertDates=True, convertDatesAllow=["a"], convertDatesDeny=["q"])


def is_linear(event: Callable[[int], bytes], to: AnyDestination) -> bool:
    """Whether the large event takes little enough longer than the small one, in one of five runs."""
    small, large = event(SMALL), event(LARGE)
    most_s = MOST * min(cpu_s(small, to) for _ in range(5))
    return any(cpu_s(large, to) < most_s for _ in range(5))


def cpu_s(event: bytes, to: AnyDestination) -> float:
    start = time.process_time()
    outcome, _ = transform(event, to, now=NOW)
    used_s = time.process_time() - start
    assert outcome.status in (200, 400), outcome.error
    return used_s


def timestamps(size: int, text: Callable[[int], bytes]) -> bytes:
    return b'{"type":"track","event":"e","userId":"u","timestamp":"%b"}' % text(size)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("text", "seconds"), TIMES.values(), ids=TIMES)
def test_2_4_any_text_is_read_in_linear_time(
    text: Callable[[int], bytes], seconds: int | None
) -> None:
    """However long it is, it is a time or none: no error, no number of a million digits."""
    event = timestamps(LARGE, text)
    outcome, (request,) = transform(event, PLAIN, now=NOW)
    blank = text(1).isspace()
    assert [warning.code.value for warning in outcome.warnings] == (
        ["UNUSABLE_TIME"] if seconds is None and not blank else []
    )
    assert json.loads(request.body).get("timestamp") == seconds
    assert is_linear(lambda size: timestamps(size, text), PLAIN)


@pytest.mark.parametrize("sign", [b"", b"-"])
@pytest.mark.parametrize(
    "number",
    [
        b"1" * 1_000_001,
        b"1" * 1_000_001 + b".5",
        b"1704164645." + b"9" * LARGE,
        b"1e" + b"9" * LARGE,
    ],
    ids=["integer", "decimal", "fraction", "exponent"],
)
def test_2_4_a_number_of_a_million_digits_is_no_fault_of_ours(number: bytes, sign: bytes) -> None:
    """Neither as a JSON number nor as a text, wherever a time is read."""
    for literal in (sign + number, b'"%b%b"' % (sign, number)):
        for event in (
            b'{"type":"track","event":"e","userId":"u","timestamp":%b}',
            b'{"type":"track","event":"e","userId":"u","originalTimestamp":%b,"messageId":"m"}',
            b'{"type":"identify","userId":"u","traits":{"createdAt":%b}}',
            b'{"type":"identify","userId":"u","channel":"sources","traits":{"timestamp":%b}}',
            b'{"type":"identify","userId":"u","traits":{"_timestamp":%b,"created_at":%b}}',
        ):
            for to in (PLAIN, destination(apiVersion="v2")):
                outcome, _ = transform(event.replace(b"%b", literal), to, now=NOW)
                assert outcome.status in (200, 400), (event, outcome.error)


def properties(inside: bytes) -> bytes:
    return b'{"type":"track","event":"e","userId":"u","properties":{%b}}' % inside


def repeated(piece: bytes) -> Callable[[int], bytes]:
    """An array of so many bytes beside a date."""
    return lambda size: properties(
        b'"d":"2024-01-02","a":[%b]' % b",".join([piece] * (size // (len(piece) + 1)))
    )


def text(piece: bytes) -> Callable[[int], bytes]:
    """A text of so many bytes beside a date."""
    return lambda size: properties(b'"d":"2024-01-02","a":"%b"' % (piece * (size // len(piece))))


EVENTS: dict[str, Callable[[int], bytes]] = {
    "newlines": text(rb"\n"),
    "escaped-letters": text(rb"\u00e9"),
    "pairs": text(rb"\ud83d\ude00"),
    "half-pairs": text(rb"\ud83d"),
    "backslashes": text(rb"\\"),
    "quotes": text(rb"\""),
    "quoted-dates": text(rb"\"2024-01-02"),
    "digits-in-escapes": text(rb"\u0032"),
    "texts": repeated(rb'"\n"'),
    "objects": repeated(b'{"b":"c"}'),
    "dates": repeated(b'"2024-01-02"'),
    "times": repeated(b'"2024-01-02T03:04:05.678Z"'),
    "dates-in-escapes": repeated(rb'"\u0032024-01-02"'),
    "nearly-dates": repeated(b'"2024-01-02x"'),
    "empty-arrays": repeated(b"[[]]"),
    "deep-arrays": repeated(b"[" * 400 + b"]" * 400),
    "deep-objects": repeated(b'{"a":' * 400 + b"1" + b"}" * 400),
    "one-fraction": lambda size: properties(b'"a":"2024-01-02T03:04:05.%bx"' % (b"1" * size)),
    "spaces": lambda size: properties(b'"a":"2024-01-02"%b,"b":1' % (b" " * size)),
    "spaces-in-array": repeated(b"1 \n\t "),
    "array-before-object": lambda size: properties(b'"d":"2024-01-02","a":[%b{}]' % (b"1," * size)),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@pytest.mark.parametrize("to", [PLAIN, DATES, NAMED], ids=["plain", "dates", "dates-by-name"])
def test_1_4_an_event_is_read_in_linear_time(event: Callable[[int], bytes], to: Any) -> None:
    """Escapes, half pairs, nesting and dates: nobody waits long for somebody else's megabyte."""
    assert is_linear(event, to)
