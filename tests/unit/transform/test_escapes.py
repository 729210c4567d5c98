"""Escapes: which of them are repaired, and what they count for. Rules 1.1, 4.9. Python's json agrees."""

import json
import random
import re

import pytest
from ciosidecar_transform.json_text import Raw, compact_size, repair_surrogates

PIECES = [
    *(r"\n", r"\"", r"\\", r"\/", r"\b", r"\u0000", r"\u001f", r"\u0022", r"\u005C", r"\u0041"),
    *(r"\u00e9", r"\u20AC", r"\ud83d\ude00", r"\uD83D\uDE00", r"\u007f", r"\u2028"),
    *("a", "é", "€", "😀", "u", "d83d", " ", "{", "]", ",", ":", "'", "_", "\x7f"),
]
HALVES = [r"\ud83d", r"\ude00", r"\uDBFF", r"\uDC00"]
LONE = re.compile("[\ud800-\udfff]")


def texts(pieces: list[str], count: int) -> list[str]:
    """So many texts in quotes, as JSON."""
    dice = random.Random(4)
    return [f'"{"".join(dice.choices(pieces, k=dice.randrange(12)))}"' for _ in range(count)]


def test_1_1_every_half_of_a_pair_is_mended_and_nothing_else() -> None:
    """A half is one whatever stands around it: other halves, pairs, escaped backslashes."""
    for text in texts(PIECES + HALVES * 4, 3000):
        repaired = repair_surrogates(text.encode())
        decoded = json.loads(text)
        assert json.loads(repaired) == LONE.sub("\ufffd", decoded), text
        if LONE.search(decoded) is None:
            assert repaired == text.encode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (rb'"\ud83d"', rb'"\ufffd"'),
        (rb'"\ude00\ud83d"', rb'"\ufffd\ufffd"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\ud83d\ude00\ude00"', rb'"\ud83d\ude00\ufffd"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\\\\ud83d\\\ude00"', rb'"\\\\ud83d\\\ufffd"'),
        (rb'"\ud83d\\\ude00"', rb'"\ufffd\\\ufffd"'),
        (rb'"\\ud83d\ude00"', rb'"\\ud83d\ufffd"'),
        (rb'"\ud83dude00"', rb'"\ufffdude00"'),
        (b'"\0\\ud83d"', b'"\0\\ud83d"'),
    ],
)
def test_1_1_halves_beside_halves_and_backslashes(before: bytes, after: bytes) -> None:
    """An escaped backslash begins no escape; what holds a NUL is no JSON and stays."""
    assert repair_surrogates(before) == after


def test_4_9_a_value_is_measured_as_compact_json_with_the_necessary_escapes_only() -> None:
    """As it would be written anew; numbers as they are."""
    dice = random.Random(5)
    for text in texts(PIECES, 3000):
        other = dice.choice(texts(PIECES, 20))
        space = dice.choice(["", " ", "\n\t", "  \r\n"])
        nested = f"[{space}{text}{space},{{{other}{space}:{space}[ ]}},1.0{space},{{}}]"
        compact = json.dumps(json.loads(nested), ensure_ascii=False, separators=(",", ":"))
        assert compact_size(Raw(nested.encode())) == len(compact.encode()), nested


def test_4_9_numbers_count_as_they_are_written() -> None:
    """Digits are passed on, so they count."""
    assert compact_size(Raw(b"[ 1.00e+05 , 12345678901234567890123 ]")) == 34
