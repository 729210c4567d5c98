"""The ULID that makes a resend harmless. Rule 5.6."""

import json
from hashlib import sha256
from typing import Any

import pytest

from tests.unit.transform.support import TIME, body_of, of_type, request_of, track

MILLIS = 1704164645678
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def expected(*parts: str | bytes, millis: int = 0) -> str:
    """The id by the letter of the rule, one character a step."""
    joined = b"\x1f".join(part if isinstance(part, bytes) else part.encode() for part in parts)
    number = millis << 80 | int.from_bytes(sha256(joined).digest()[:10], "big")
    return "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def id_of(event: dict[str, Any] | bytes, *warnings: str) -> Any:
    """The id that an event is sent with, or None."""
    return body_of(event, *warnings).get("id")


WORKED = [
    (
        (
            '{"type":"track","messageId":"m1","userId":"u","event":"Order Completed",'
            '"originalTimestamp":"2024-01-02T03:04:04.000Z","timestamp":"2024-01-02T03:04:05.678Z",'
            '"properties":{"a":1}}'
        ),
        "01HK421N5033S3AST0AB7P7010",
    ),
    (
        (
            '{"type":"Track","messageId":"m1","userId":"u","event":"Order Completed",'
            '"originalTimestamp":"2024-01-02T03:04:04.000Z","properties":{ "a" : 1.0 }}'
        ),
        "01HK421N50FKR7NDMGVVB8SC70",
    ),
    (
        (
            '{"type":"track","messageId":"m1","userId":7.0,"event":"e",'
            '"timestamp":"2024-01-02T03:04:04Z"}'
        ),
        "01HK421N50GYPQ0W8ENY4PATAT",
    ),
    (
        (
            '{"type":"track","messageId":"m1","userId":"u","event":"e",'
            '"timestamp":"2024-01-02T03:04:04Z","properties":null}'
        ),
        "01HK421N50ZRMQEGQ0JADDV28B",
    ),
    (
        (
            '{"type":"page","messageId":42,"userId":"u","name":"Home",'
            '"originalTimestamp":"2024-01-02T03:04:04Z","properties":{}}'
        ),
        "01HK421N50RGTRVTJC4X306MZC",
    ),
    (
        (
            '{"type":"screen","messageId":"m2","anonymousId":"an","event":"Main",'
            '"originalTimestamp":"2024-01-02T03:04:04Z","properties":{"x":"\\u00e9"}}'
        ),
        "01HK421N50F16H2SGC4GPY8P0T",
    ),
    (
        (
            '{"type":"track","messageId":"m3","traits":{"email":"jane@example.com"},"event":"e",'
            '"properties":{"k":"日本"}}'
        ),
        "0000000000HP10Z3KJ00QK86M8",
    ),
    (
        (
            '{"type":"track","messageId":"m5","userId":"u","event":"e",'
            '"originalTimestamp":"1969-12-31T23:59:59Z"}'
        ),
        "000000000065D5YCS675K08SPR",
    ),
]


@pytest.mark.parametrize(("event", "ulid"), WORKED, ids=[ulid for _, ulid in WORKED])
def test_5_6_worked_ids(event: str, ulid: str) -> None:
    """The worked cases get exactly their ids."""
    assert id_of(event.encode()) == ulid


def test_5_6_five_parts_make_the_id() -> None:
    """messageId, type, name, person and the bytes of properties, joined by 0x1F."""
    raw = '{ "é" : [1.0] }'.encode()
    event = b'{"type":"PAGE","messageId":" m ","name":"n","userId":"u","properties":%b}' % raw
    assert id_of(event) == expected(" m ", "page", "n", "u", raw)


@pytest.mark.parametrize(
    ("members", "name", "person"),
    [
        ({"userId": 7.5}, "e", "7.5"),
        ({"userId": "cio_x"}, "e", "cio_x"),
        ({"traits": {"email": "J@b.co"}}, "e", "J@b.co"),
        ({"anonymousId": 42}, "e", "42"),
        ({"userId": "u", "event": "日" * 40}, "日" * 33, "u"),
        ({"userId": "u", "event": " e "}, "e", "u"),
    ],
    ids=["number", "cio_id", "email", "anonymous", "cut-name", "padded-name"],
)
def test_5_6_the_name_as_sent_and_the_person_as_addressed(
    members: dict[str, Any], name: str, person: str
) -> None:
    """The name after it was trimmed and cut, the identifier before its kind was told."""
    warnings = ["EVENT_NAME_CUT"] if name.startswith("日") else []
    if members.get("event") == " e ":
        warnings = ["WHITE_SPACE_REMOVED"]
    event = of_type("track", messageId="m", **members)
    assert id_of(event, *warnings) == expected("m", "track", name, person, "")


def test_5_6_a_screen_is_hashed_with_its_whole_name() -> None:
    """For a screen the name as sent is `Viewed X Screen`, its type `screen`."""
    event = {"type": "Screen", "messageId": "m", "name": "n", "userId": "u"}
    assert id_of(event) == expected("m", "screen", "Viewed n Screen", "u", "")


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b'"m"', "m"), (b"42", "42"), (b"7.0", "7"), (b"1e3", "1000"), (b"9" * 5000, "9" * 5000)],
    ids=["text", "integer", "float", "exponent", "digits"],
)
def test_5_6_a_message_id_is_a_text_or_a_number(raw: bytes, text: str) -> None:
    """A number counts as the text that an id of it would be; no limit of length holds."""
    event = b'{"type":"track","event":"e","userId":"u","messageId":%b}' % raw
    assert id_of(event) == expected(text, "track", "e", "u", "")


@pytest.mark.parametrize(
    "raw", [b"null", b'""', b'" \\t"', b"0", b"true", b"[]", b"{}", b"1e21", b"1e400"], ids=str
)
def test_5_6_no_usable_message_id_no_id(raw: bytes) -> None:
    """Without a usable messageId there is no id, and no warning."""
    event = b'{"type":"track","event":"e","userId":"u","messageId":%b}' % raw
    assert id_of(event) is None
    assert id_of(b'{"type":"track","event":"e","userId":"u"}') is None


@pytest.mark.parametrize(
    ("members", "millis"),
    [
        ({"originalTimestamp": TIME, "timestamp": "2020-01-01"}, MILLIS),
        ({"originalTimestamp": None, "timestamp": TIME}, MILLIS),
        ({"timestamp": TIME}, MILLIS),
        ({"timestamp": 1704164645678901}, MILLIS),
        ({"timestamp": 1704164645.678}, MILLIS),
        ({"timestamp": "2024-01-02T03:04:05.678999999Z"}, MILLIS),
        ({"timestamp": "2024-01-02T03:04:05.678000000Z"}, MILLIS),
        ({"originalTimestamp": "1969-01-01", "timestamp": TIME}, 0),
        ({"originalTimestamp": -1704164645}, 0),
        ({}, 0),
    ],
    ids=[
        "original-first",
        "null-original",
        "timestamp",
        "microseconds",
        "seconds",
        "nanoseconds",
        "whole-milliseconds",
        "negative",
        "negative-number",
        "none",
    ],
)
def test_5_6_the_time_half_is_in_milliseconds(members: dict[str, Any], millis: int) -> None:
    """originalTimestamp, else timestamp, in whole milliseconds; 0 if negative or none."""
    event = track(messageId="m", **members)
    assert id_of(event) == expected("m", "track", "e", "u", "", millis=millis)


def test_5_6_a_broken_original_timestamp_does_not_warn_for_the_id() -> None:
    """The id passes over what is no time without a word of its own."""
    event = track(messageId="m", originalTimestamp="bad", timestamp=TIME)
    assert id_of(event) == expected("m", "track", "e", "u", "", millis=MILLIS)


@pytest.mark.parametrize(
    ("members", "warnings"),
    [({}, []), ({"properties": None}, []), ({"properties": [1]}, ["WRONG_TYPE"])],
)
def test_5_6_properties_that_are_no_object_are_hashed_as_nothing(
    members: dict[str, Any], warnings: list[str]
) -> None:
    """The last part is "" when there is no object; `{}` is something else."""
    nothing = expected("m", "track", "e", "u", "")
    assert id_of(track(messageId="m", **members), *warnings) == nothing
    assert id_of(track(messageId="m", properties={})) == expected("m", "track", "e", "u", "{}")


def test_5_6_properties_are_hashed_after_repair() -> None:
    """Bytes as received, but for a lone surrogate, which is U+FFFD by then."""
    event = b'{"type":"track","event":"e","userId":"u","messageId":"m","properties":{"a":"%b"}}'
    ids = [
        id_of(event % b"\\ud83d", "LONE_SURROGATE"),
        id_of(event % b"\\ufffd"),
        id_of(event % "\ufffd".encode()),
    ]
    hashed = [
        expected("m", "track", "e", "u", b'{"a":"%b"}' % raw)
        for raw in (b"\\ufffd", "\ufffd".encode())
    ]
    assert ids[0] in hashed
    assert ids[1:] == hashed


def test_5_6_a_resend_has_the_same_id_and_a_neighbour_another() -> None:
    """Identical bytes are the same event; any part that differs makes another."""
    event = track(messageId="m", properties={"a": 1}, timestamp=TIME)
    others: list[dict[str, object]] = [
        {},
        {"messageId": "m2"},
        {"event": "e2"},
        {"userId": "u2"},
        {"properties": {"a": 2}},
        {"timestamp": "2024-01-02T03:04:05.679Z"},
        {"type": "page", "name": "e"},
    ]
    ids = [id_of(event | other) for other in others]
    assert len(set(ids)) == len(others)
    assert id_of(event) == ids[0]
    respaced = json.dumps(event).encode().replace(b'{"a": 1}', b'{"a":1}')
    assert id_of(respaced) != ids[0]


def test_5_6_event_ids_none_sends_no_id() -> None:
    """With eventIds "none" no event has an id."""
    assert "id" not in body_of(track(messageId="m"), eventIds="none")


@pytest.mark.parametrize("kind", ["identify", "alias", "group"])
def test_5_6_only_events_have_an_id(kind: str) -> None:
    """A messageId changes nothing about what is no event."""
    event = of_type(kind, userId="u")
    assert request_of(event | {"messageId": "m"}) == request_of(event)
