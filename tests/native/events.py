"""Events for the whole transform: the worked cases of tests/vectors, changed where the two could differ."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

from .times import some_number, some_time

_VECTORS = Path(__file__).parents[1] / "vectors"
_TIMES = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_MEMBERS = ("userId", "event", "channel", "messageId", "traits", "properties", "context", "type")


@cache
def cases() -> list[tuple[str, str]]:
    """Return the worked cases: event and config, as JSON."""
    lines = [
        line
        for name in ("track_v1.jsonl", "track_v2.jsonl")
        for line in _VECTORS.joinpath(name).read_text("utf-8").splitlines()
    ]
    found = [json.loads(line) for line in lines]
    return [(json.dumps(case["event"]), json.dumps(case["config"])) for case in found]


def some_event(random: Random) -> tuple[bytes, bytes]:
    """Return an event and a config, of which the event may be anything."""
    event, config = random.choice(cases())
    changed = event.encode()
    for _ in range(random.choice((1, 1, 2, 4))):
        changed = random.choice(_CHANGES)(random, changed)
    return changed, config.encode()


def _add(random: Random, event: bytes, member: bytes) -> bytes:
    """Add a member at the start of one of the objects, or at the end of the event: the last of equals counts."""
    if random.random() < 0.3 and event.rstrip().endswith(b"}"):
        return event.rstrip()[:-1] + b"," + member + b"}"
    places = [at for at, byte in enumerate(event) if byte == ord("{")] or [0]
    at = random.choice(places) + 1
    comma = b"" if event[at : at + 1] == b"}" else b","
    return event[:at] + member + comma + event[at:]


def _time(random: Random, event: bytes) -> bytes:
    name = random.choice((*_TIMES, "created_at", "createdAt", "_timestamp"))
    text = json.dumps(some_time(random)) if random.random() < 0.8 else some_number(random)
    return _add(random, event, f'"{name}":{text}'.encode("utf-8", "surrogatepass"))


def _repeated(random: Random, event: bytes) -> bytes:
    value = random.choice(("null", '""', "5", '"other"', "{}", "[]", '{"a":1,"a":2}', "true"))
    return _add(random, event, f'"{random.choice(_MEMBERS)}":{value}'.encode())


def _escape(random: Random, event: bytes) -> bytes:
    value = random.choice(
        (
            "\\ud83d",
            "\\udc00\\ud83d",
            "\\ud83d\\ude00",
            "\\ud83d\\ud83d",
            "\\ud83d\\u0041",
            "\\ud83d\\n",
            "\\ud83dx",
            "\\u0000",
            "\\\\ud83d",
            "\\/",
            "\\x",
            "\\u00e9\\n\\t",
        )
    )
    return _add(random, event, f'"{random.choice((*_MEMBERS, "skipped"))}":"{value}"'.encode())


def _vast(random: Random, event: bytes) -> bytes:
    number = random.choice(
        ("1e999", "-1e999", "9" * 5000, "1e-999", "NaN", "Infinity", "1.0", "-0")
    )
    return _add(random, event, f'"{random.choice((*_MEMBERS, "age"))}":{number}'.encode())


def _space(random: Random, event: bytes) -> bytes:
    space = random.choice((b" ", b"\n", b"\t\r", b"\xc2\xa0", b"\x0b"))
    return event.replace(
        *random.choice(((b":", b":" + space), (b",", space + b","), (b"{", b"{" + space)))
    )


def _nested(random: Random, event: bytes) -> bytes:
    depth = random.choice((3, 61, 62, 63, 64, 65, 100, 500, 990, 1100, 100_000))
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return _add(random, event, b'"deep":' + opening * depth + b"1" + closing * depth)


def _grammar(random: Random, event: bytes) -> bytes:
    """Add a member that is hardly JSON, or not."""
    value = random.choice(
        (
            *("01", "1.", ".5", "+1", "1e", "1E+5", "1e-", "-", "-0.0", "0e0", "--1", "1 2"),
            *(
                "tr",
                "True",
                "nul",
                "null0",
                "[1,]",
                "[,1]",
                "[1 2]",
                '{"a"}',
                '{"a":}',
                '{"a":1,}',
            ),
            *("{a:1}", "[}", "{]", "'a'", '"a', '"a\tb"', '"\x7f"', "[[]]", "[{}]", "{}", "[]"),
            *('["a",[{"b":[]}],{}]', "  null  ", '"\\u12"', '"\\u123g"', '"\\U1234"', ""),
        )
    )
    name = random.choice(
        (
            *_MEMBERS,
            "skipped",
            "mappedToDestination",
            "\\u0075serId",
            "eight678",
            "sixteen789012345",
        )
    )
    return _add(random, event, f'"{name}":{value}'.encode())


def _length(random: Random, event: bytes) -> bytes:
    """Add a string of some length at some place: readers take many bytes at a time."""
    text = random.choice(("a", "\u00e9", "\\\\", '\\"')) * random.randrange(20)
    return _add(random, event, f'"{random.choice((*_MEMBERS, "skipped"))}":"{text}"'.encode())


def _large(random: Random, event: bytes) -> bytes:
    size = random.choice((149, 150, 151, 998, 999, 1000, 1001, 31_900, 32_100))
    character = random.choice(("x", "\u00e9", '\\"'))
    text = character * (size // len(character.encode()))
    member = f'"{text}":1' if size < 200 else f'"large":"{text}"'
    return _add(random, event, member.encode())


def _many(random: Random, event: bytes) -> bytes:
    count = random.choice((298, 301))
    return _add(random, event, ",".join(f'"n{at}":{at}' for at in range(count)).encode())


def _byte(random: Random, event: bytes) -> bytes:
    at = random.randrange(len(event) or 1)
    return (
        event[:at]
        + random.choice((b"", b"\xff", b"\0", b'"', b"}", b"\xed\xa0\x80"))
        + event[at + 1 :]
    )


_CHANGES: tuple[Callable[[Random, bytes], bytes], ...] = (
    _time,
    _time,
    _repeated,
    _escape,
    _vast,
    _space,
    _nested,
    _large,
    _many,
    _byte,
    _grammar,
    _length,
)
