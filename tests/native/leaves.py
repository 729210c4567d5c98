"""Arguments for each leaf: hostile, and near the edges of what it tells apart."""

from array import array
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from ciosidecar_transform.json_text import VastNumber
from msgspec import Raw

from .times import some_number, some_time

# Every character that JSON escapes or could, quotes, halves of pairs, and texts of all widths.
_CHARACTERS = (
    *map(chr, range(0x21)),
    *('"', "\\", "/", "a", "z", "0", "\x7f", "\x80", "\u00e9", "\u2028", "\ufffd", "\U0001f600"),
    *("\x1f", "\ud83d", "\udc00"),
)


class Leaf(NamedTuple):
    """A function with a compiled twin."""

    module: str
    name: str
    arguments: Callable[[Random], tuple[Any, ...]]


def _text(random: Random) -> str:
    # Half of a pair in one of four texts: else there is an exception and nothing to compare.
    characters = _CHARACTERS if random.random() < 0.25 else _CHARACTERS[:-2]
    return "".join(random.choices(characters, k=random.choice((0, 1, 2, 8, 36, 150, 700))))


def _json(random: Random) -> bytes:
    return b'{"a":"%b"}' % random.randbytes(random.choice((0, 1, 47, 55, 56, 63, 64, 1000)))


def _time(random: Random) -> tuple[Any, ...]:
    kind = random.randrange(12)
    if kind == 0:
        return (random.choice((None, True, False, 0, 0.0, -0.0, "", "0", " 0 ", [], {}, b"2024")),)
    if kind == 1:
        size = random.choice((8, 11, 14, 17, 18, 20, 38, 40, 4000))
        return (random.choice((-1, 1)) * (10**size + random.randint(-1500, 1500)),)
    if kind == 2:
        number = random.choice((random.uniform(-1e21, 1e21), 10 ** random.uniform(7, 21)))
        return (random.choice((number, -number, round(number, 3), float("nan"), float("inf"))),)
    if kind == 3:
        return (VastNumber(some_number(random)),)
    return (some_time(random),)


def _ulid(random: Random) -> tuple[Any, ...]:
    times = _time(random) + _time(random)
    properties = _json(random)
    texts = (_text(random), random.choice(("track", "page", "screen", "record")), _text(random))
    return (*times, *texts, _text(random), random.choice((b"", properties, Raw(properties))))


def _attributes(random: Random) -> tuple[Any, ...]:
    def name(at: int) -> str:
        character = random.choice(("a", "\u00e9", "\U0001f600"))
        return f"{at}{character * random.choice((0, 5, 34, 35, 36, 37, 150))}"[:200]

    def value() -> Raw:
        return Raw(b"1" * random.choice((0, 1, 20, 999, 1000, 1001, 2000)))

    count = random.choice((0, 1, 2, 13))
    return {name(at): value() for at in range(count)}, 37, random.choice((20, 999, 1000, 2000))


def _when(random: Random) -> int | None:
    return random.choice((None, 0, -1, 1_704_164_645, -62_167_219_200, 253_402_300_799))


def _id(random: Random) -> str | None:
    return random.choice((None, "01HK5N2J6Y0123456789ABCDEF"))


def _body(random: Random) -> tuple[Any, ...]:
    anonymous_id = random.choice((None, _text(random)))
    return _text(random), b'"event"', _json(random), _when(random), _id(random), anonymous_id


def _item(random: Random) -> tuple[Any, ...]:
    id_type = random.choice(("id", "email", "cio_id", "anonymous_id"))
    texts = (id_type, _text(random), _text(random))
    return b'{"identifiers":', *texts, _id(random), _when(random), _json(random)


# The edges of each length of UTF-8, and what is beyond them: too long, half of a pair, above U+10FFFF, cut off.
_SEQUENCES = (
    *(b"a", b"\x7f", b"\xc2\x80", b"\xdf\xbf", b"\xe0\xa0\x80", b"\xed\x9f\xbf", b"\xee\x80\x80"),
    *(b"\xef\xbf\xbf", b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf"),
    *(
        b"\x80",
        b"\xbf",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
    ),
    *(
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5",
        b"\xff",
        b"\xc2",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
    ),
)
_VALID = 10


def _bytes(random: Random) -> tuple[Any, ...]:
    # Readers take many bytes of ASCII at a time, so what is not ASCII stands at every distance.
    parts = [
        b"x" * random.randrange(40),
        *random.choices(_SEQUENCES[:_VALID], k=random.randrange(6)),
    ]
    if random.random() < 0.5:
        parts.append(random.choice(_SEQUENCES))
    random.shuffle(parts)
    data = b"".join(parts)
    return (random.choice((data, data, data, bytearray(data), memoryview(data), _odd(data))),)


def _odd(data: bytes) -> Any:
    """Return what is no plain buffer of bytes: wider elements, every second byte, or no buffer at all."""
    wide = array("H", data[: len(data) // 2 * 2])
    return (wide, memoryview(data)[::2], data.decode("latin-1"), None, len(data))[len(data) % 5]


LEAVES = (
    Leaf("times", "unix_millis", _time),
    Leaf("event_id", "hashed_ulid", _ulid),
    Leaf("limits", "any_longer", _attributes),
    Leaf("track_v1", "event_body", _body),
    Leaf("track_v2", "event_item", _item),
    Leaf("event", "is_utf8", _bytes),
)
