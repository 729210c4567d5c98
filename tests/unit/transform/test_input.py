"""What counts as an event, and what arrives as it was written. Rule 1."""

import json
from typing import Any

import pytest

from tests.unit.transform.support import (
    attributes_of,
    body_of,
    destination,
    identify,
    item_of,
    packed,
    refusal_of,
    request_of,
    sent,
    track,
)

GOOD = b'"type":"track","event":"e","userId":"u"'


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b" ", id="space"),
        pytest.param(b"track", id="word"),
        pytest.param(b"[]", id="array"),
        pytest.param(b"[{%b}]" % GOOD, id="array-of-event"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"{}"', id="text"),
        pytest.param(b"5", id="number"),
        pytest.param(b"\xef\xbb\xbf{%b}" % GOOD, id="bom"),
        pytest.param("{}".encode("utf-16"), id="utf-16"),
        pytest.param(b"{%b" % GOOD, id="unclosed"),
        pytest.param(b"{%b,}" % GOOD, id="trailing-comma"),
        pytest.param(b"{%b}{%b}" % (GOOD, GOOD), id="two-objects"),
        pytest.param(b"{%b}\0" % GOOD, id="trailing-nul"),
        pytest.param(b'{%b,"x":"\0"}' % GOOD, id="nul-in-skipped"),
        pytest.param(b'{%b,"properties":{"x":"\0"}}' % GOOD, id="nul-in-properties"),
        pytest.param(b'{%b,"x":"\n"}' % GOOD, id="raw-newline"),
        pytest.param(b'{%b,"x":"\\x"}' % GOOD, id="bad-escape-in-skipped"),
        pytest.param(b'{%b,"properties":{"x":"\\u12"}}' % GOOD, id="bad-escape-in-properties"),
        pytest.param(b'{%b,"x":NaN}' % GOOD, id="nan"),
        pytest.param(b'{%b,"properties":{"x":Infinity}}' % GOOD, id="infinity"),
        pytest.param(b'{%b,"x":01}' % GOOD, id="leading-zero"),
        pytest.param(b"{'type':'track'}", id="single-quotes"),
        pytest.param(b'{%b,"x":"\xff"}' % GOOD, id="invalid-utf8-in-skipped"),
        pytest.param(b'{%b,"x\xc3":1}' % GOOD, id="invalid-utf8-in-name"),
        pytest.param(b'{%b,"properties":{"x":"\xed\xa0\xbd"}}' % GOOD, id="encoded-surrogate"),
        pytest.param(b'{%b,"properties":{"x":"\xc0\xaf"}}' % GOOD, id="overlong"),
        # The same behind a member of an odd type, which is read another way.
        pytest.param(b'{"context":5,%b' % GOOD, id="odd-context-unclosed"),
        pytest.param(b'{"context":5,"messageId":}', id="odd-context-no-value"),
        pytest.param(b'{"context":5,%b,"x":"\\x"}' % GOOD, id="odd-context-bad-escape"),
        pytest.param(b'{"messageId":1e400,%b,"x":NaN}' % GOOD, id="vast-number-nan"),
        pytest.param(b'{"context":5,%b,"x":"\xff"}' % GOOD, id="odd-context-invalid-utf8"),
        pytest.param(b'{"context":5,%b}]' % GOOD, id="odd-context-trailing"),
    ],
)
def test_1_1_what_is_not_one_json_object_in_utf8_is_refused(event: bytes) -> None:
    """Anything but one JSON object in UTF-8 without a BOM is INVALID_JSON."""
    assert refusal_of(event) == "INVALID_JSON"


@pytest.mark.parametrize("member", ["x", "properties", "traits", "context", "userId", "timestamp"])
@pytest.mark.parametrize("first", [b"", b'"context":5,'], ids=["plain", "odd-context"])
def test_1_1_ten_thousand_levels_are_refused(member: str, first: bytes) -> None:
    """Nesting without end is INVALID_JSON, wherever it stands, and harms nobody."""
    event = b'{%b%b,"%b":%b}' % (first, GOOD, member.encode(), nested(10_000))
    assert refusal_of(event) == "INVALID_JSON"


def test_1_1_ten_thousand_open_brackets_are_refused() -> None:
    """An array that never closes is INVALID_JSON."""
    assert refusal_of(b"[" * 10_000) == "INVALID_JSON"


@pytest.mark.parametrize("first", [b"", b'"context":5,'], ids=["plain", "odd-context"])
def test_1_1_five_hundred_levels_work(first: bytes) -> None:
    """Properties of 500 levels are passed on as they came."""
    deep = nested(499)
    assert deep in request_of(b'{%b%b,"properties":%b}' % (first, GOOD, deep))["raw"]


@pytest.mark.parametrize("member", ["x", "context", "traits", "integrations"])
def test_1_1_five_hundred_levels_that_nobody_reads_work(member: str) -> None:
    """Nesting of 500 levels in a member that is skipped changes nothing."""
    event = b'{%b,"%b":{"x":%b}}' % (GOOD, member.encode(), nested(498))
    assert body_of(event)["name"] == "e"


def test_1_1_five_hundred_levels_in_a_trait_work() -> None:
    """A trait of 500 levels is an attribute if its size allows."""
    deep = b"[" * 490 + b"]" * 490
    event = b'{"type":"identify","userId":"u","traits":{"a":%b}}' % deep
    assert b'"a":' + deep in request_of(event)["raw"]


def test_1_1_of_duplicate_keys_the_last_counts() -> None:
    """The last of equal names wins, in the event, in context and in traits."""
    event = (
        b'{"type":"track","type":"identify","userId":"a","userId":"u",'
        b'"context":{"traits":{"x":1}},"context":{"traits":{"y":1,"y":2}}}'
    )
    assert attributes_of(event) == {"y": 2}
    assert request_of(event)["path"] == "/api/v1/customers/u"


def test_1_1_an_escaped_name_is_the_same_name() -> None:
    """A member's name may be written with escapes."""
    event = b'{"\\u0074ype":"track","event":"e","user\\u0049d":"u"}'
    assert request_of(event)["path"] == "/api/v1/customers/u/events"


HALF = b"\\ud83d"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (b'"userId":"a%b"' % HALF, "/api/v1/customers/a%EF%BF%BD/events"),
        (b'"userId":"\\uDE00a"', "/api/v1/customers/%EF%BF%BDa/events"),
        (b'"userId":"\\ud83d\\ud83d\\ude00"', "/api/v1/customers/%EF%BF%BD%F0%9F%98%80/events"),
        (b'"userId":"\\\\%b"' % HALF, "/api/v1/customers/%5C%EF%BF%BD/events"),
    ],
    ids=["high", "low", "high-before-pair", "after-backslash"],
)
def test_1_1_a_lone_surrogate_in_an_id_becomes_fffd(members: bytes, expected: str) -> None:
    """Half of an emoji becomes U+FFFD in an id, with a warning."""
    event = b'{"type":"track","event":"e",%b}' % members
    assert request_of(event, "LONE_SURROGATE")["path"] == expected


@pytest.mark.parametrize(
    ("member", "name", "data"),
    [
        (b'"event":"x%b"' % HALF, "x\ufffd", {}),
        (b'"properties":{"k":"%b"}' % HALF, "e", {"k": "\ufffd"}),
        (b'"properties":{"%b":[{"x":"%b"}]}' % (HALF, HALF), "e", {"\ufffd": [{"x": "\ufffd"}]}),
        (b'"unknown":"%b"' % HALF, "e", {}),
        (b'"%b":1' % HALF, "e", {}),
        (b'"unknown":{"x":["%b"]}' % HALF, "e", {}),
        (b'"context":{"x":{"%b":1}}' % HALF, "e", {}),
        (b'"context":5,"unknown":"%b"' % HALF, "e", {}),
        (b'"context":5,"properties":{"k":"%b"}' % HALF, "e", {"k": "\ufffd"}),
        (b'"context":5,"event":"x%b"' % HALF, "x\ufffd", {}),
        (b'"channel":1e400,"%b":1' % HALF, "e", {}),
    ],
    ids=[
        "event-name",
        "value",
        "keys-and-deep",
        "skipped",
        "skipped-name",
        "skipped-deep",
        "skipped-in-context",
        "odd-context-skipped",
        "odd-context-value",
        "odd-context-event-name",
        "vast-number-skipped-name",
    ],
)
def test_1_1_a_lone_surrogate_anywhere_warns(member: bytes, name: str, data: Any) -> None:
    """Half of an emoji becomes U+FFFD wherever it stands, with one warning."""
    body = body_of(b"{%b,%b}" % (GOOD, member), "LONE_SURROGATE")
    assert (body["name"], body["data"]) == (name, data)


@pytest.mark.parametrize(
    "text", [b"\\ud83d\\ude00", b"\\\\ud83d", "😀\ufffd".encode()], ids=["pair", "backslash", "raw"]
)
def test_1_1_what_only_looks_like_a_lone_surrogate_stays(text: bytes) -> None:
    """A pair, an escaped backslash before `ud83d`, and a U+FFFD of the user's own do not warn."""
    raw = b'{"k":"%b"}' % text
    assert raw in request_of(b'{%b,"properties":%b}' % (GOOD, raw))["raw"]


@pytest.mark.parametrize("kind", ["identify", "track", "page", "screen", "alias", "group"])
@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
def test_1_2_type_is_read_in_any_case(kind: str, spelling: Any) -> None:
    """The six types work in any case."""
    event = {"type": spelling(kind), "userId": "u", "event": "e", "name": "n", "groupId": "g"}
    assert request_of(event | {"previousId": "p"})["method"] in ("PUT", "POST")


@pytest.mark.parametrize(
    "kind",
    [None, "", "trac", "track ", "tracks", "\u0131dentify", 5, True, ["track"], {"track": 1}],
    ids=str,
)
def test_1_2_any_other_type_is_refused(kind: object) -> None:
    """A type that is missing, no text or unknown is UNSUPPORTED_TYPE."""
    assert refusal_of(track(type=kind)) == "UNSUPPORTED_TYPE"
    assert refusal_of({"userId": "u"}) == "UNSUPPORTED_TYPE"


VALUES = [
    b"12345678901234567890",
    b"1.0",
    b"-0",
    b"1E+2",
    b"0.1000000000000000055511151231257827",
    b"1e400",
    b"9" * 900,
    b"[1.0,[2.50,[]],{}]",
    b'"\\u00e9\\/\\"\\u0000"',
    '"é 日本 😀"'.encode(),
    b'{"__proto__":{"a":1},"a":null}',
    b"null",
]
NAMES = ["bigint", "float", "minus-0", "exp", "long", "vast", "digits", "nested", "escapes", "utf8"]


@pytest.mark.parametrize("raw", VALUES, ids=[*NAMES, "object", "null"])
@pytest.mark.parametrize(
    "event",
    [
        b'{%b,"properties":{"k":%%b}}' % GOOD,
        b'{%b,"context":5,"properties":{"k":%%b}}' % GOOD,
        b'{"type":"identify","userId":"u","traits":{"k":%b}}',
        b'{"type":"identify","userId":"u","context":{"traits":{"k":%b}}}',
        b'{"type":"identify","userId":"u","user_properties":{"k":%b}}',
        b'{"type":"identify","userId":"u","traits":{"address":{"city":%b}}}',
        b'{"type":"identify","userId":"u","traits":{"address":{"k":%b}}}',
        b'{"type":"group","groupId":"g","traits":{"k":%b}}',
    ],
    ids=["properties", "odd", "traits", "context", "user_prop", "city", "address", "group"],
)
def test_1_3_values_arrive_as_they_were_written(event: bytes, raw: bytes) -> None:
    """Digits, nesting and escapes of what is passed on are kept."""
    name = b'"city":' if b"city" in event else b'"k":'
    assert name + raw in request_of(event % raw)["raw"]


@pytest.mark.parametrize(
    "event",
    [b'{%b,"properties":{"k":%%b}}' % GOOD, b'{"type":"identify","userId":"u","traits":{"k":%b}}'],
    ids=["properties", "traits"],
)
def test_1_3_an_integer_of_5000_digits_arrives_digit_for_digit(event: bytes) -> None:
    """No limit of Python's or of a double's holds for numbers that are passed on."""
    digits = b"1234567890" * 500
    assert b'"k":' + digits in request_of(event % digits)["raw"]


def test_1_3_nothing_is_added_and_nothing_vanishes() -> None:
    """Properties keep every member, odd names included."""
    properties = {"": 1, "__proto__": 2, "constructor": 3, "a.b": 4, "\0": 5, "null": None}
    assert body_of(track(properties=properties))["data"] == properties
    assert attributes_of(identify(traits=properties)) == properties
    assert item_of({"type": "group", "groupId": "g", "traits": properties})["attributes"] == (
        properties
    )


def test_1_4_a_bad_event_does_not_affect_its_neighbours() -> None:
    """Each event has its own outcome, whatever the one before it was."""
    good = json.dumps(track()).encode()
    for bad in (b"{", b"[" * 10_000, b'{"type":5}', b'{"type":"track","userId":[]}'):
        assert sent(bad)[0].status == 400
        assert body_of(good)["name"] == "e"
    assert [covered for _, covered in packed([good] * 3, on=[destination()] * 3)] == [[0], [1], [2]]


@pytest.mark.parametrize(
    "event",
    [
        track(anonymousId=[1], previousId={}, groupId=True, name=7, traits="x", user_properties=1),
        track(context=5),
        track(context=[{"device": 1}]),
        track(context={"device": 7, "os": [], "app": "x", "library": None, "locale": {}}),
        track(integrations=0, messageId={}, channel=[]),
    ],
    ids=["unread-ids", "number-context", "array-context", "odd-context-members", "odd-extras"],
)
def test_1_5_a_broken_field_that_nothing_reads_is_ignored(event: dict[str, Any]) -> None:
    """A track of a known person is not refused for what it does not use, and does not warn."""
    assert body_of(event)["name"] == "e"


def test_1_5_an_identify_ignores_what_events_need() -> None:
    """An identify reads no name, no previousId and no groupId."""
    event = identify(event=[], name={}, previousId=True, groupId=[], properties="x")
    assert attributes_of(event) == {}
