"""track, page and screen: names, data and their limits. Rules 5.1-5.5, 5.7."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.transform.support import (
    TIME,
    TIME_S,
    body_of,
    of_type,
    refusal_of,
    request_of,
    text_of_bytes,
    track,
)

LETTERS = ["a", "é", "日", "😀"]
KINDS = ["track", "page", "screen"]


def test_5_1_an_event_of_a_known_person() -> None:
    """POST /api/v1/customers/{id}/events with name, type, data and timestamp; nothing else."""
    request = request_of(track(properties={"a": 1}, timestamp=TIME, anonymousId="a"))
    assert (request["method"], request["path"]) == ("POST", "/api/v1/customers/u/events")
    assert request["body"] == {"name": "e", "type": "event", "data": {"a": 1}, "timestamp": TIME_S}


def test_5_1_an_event_of_an_anonymous_profile() -> None:
    """POST /api/v1/events with the same and anonymous_id."""
    request = request_of(of_type("track", anonymousId=42))
    assert (request["method"], request["path"]) == ("POST", "/api/v1/events")
    assert request["body"] == {"name": "e", "type": "event", "data": {}, "anonymous_id": "42"}


@pytest.mark.parametrize("kind", KINDS)
def test_5_1_absent_properties_are_an_empty_object(kind: str) -> None:
    """No properties, null and {} all give `{}` without a warning."""
    nothing: list[dict[str, object]] = [{}, {"properties": None}, {"properties": {}}]
    for members in nothing:
        assert body_of(of_type(kind, userId="u", **members))["data"] == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", ["", "x", 0, 5, False, True, [], [{"a": 1}]], ids=repr)
def test_5_1_properties_of_another_type_warn(kind: str, odd: object) -> None:
    """What is no object gives `{}` and a warning."""
    event = of_type(kind, userId="u", properties=odd)
    assert body_of(event, "WRONG_TYPE")["data"] == {}


@pytest.mark.parametrize("name", ["Order Completed", "0", "日本", 'a"b\\', "\u200b"])
def test_5_2_a_track_is_named_by_its_event(name: str) -> None:
    """The name is `event` as it is written, the type `event`."""
    body = body_of(track(event=name, name="other", properties={"name": "x"}))
    assert (body["name"], body["type"]) == (name, "event")


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"name": "n", "properties": {"url": "u", "path": "p"}}, "n"),
        ({"name": " ", "properties": {"url": "u", "path": "p"}}, "u"),
        ({"properties": {"url": "u", "path": "p"}}, "u"),
        ({"name": 5, "properties": {"url": None, "path": "p"}}, "p"),
        ({"name": [], "properties": {"url": "", "path": "p"}}, "p"),
        ({"name": "n", "event": "e"}, "n"),
        ({"name": None, "properties": {"name": "x", "url": ["u"], "path": "/"}}, "/"),
    ],
    ids=["name", "blank-name", "url", "path", "blank-url", "not-event", "odd-url"],
)
def test_5_3_a_page_is_named_by_name_url_or_path(members: dict[str, Any], name: str) -> None:
    """The first non-blank text of name, properties.url, properties.path; type `page`."""
    event = {"type": "page", "userId": "u", **members}
    body = body_of(event)
    assert (body["name"], body["type"]) == (name, "page")


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"event": "E", "name": "n", "properties": {"name": "p"}}, "E"),
        ({"event": "", "name": "n", "properties": {"name": "p"}}, "p"),
        ({"name": "n", "properties": {"name": 5}}, "n"),
        ({"name": "n"}, "n"),
        ({"event": 7, "name": "n", "properties": "x"}, "n"),
    ],
    ids=["event", "properties", "odd-property", "name", "odd-event"],
)
def test_5_4_a_screen_is_named_by_event_property_or_name(
    members: dict[str, Any], name: str
) -> None:
    """`Viewed X Screen` of the first non-blank text; type `event`."""
    event = {"type": "screen", "userId": "u", **members}
    warnings = ["WRONG_TYPE"] if members.get("properties") == "x" else []
    body = body_of(event, *warnings)
    assert (body["name"], body["type"]) == (f"Viewed {name} Screen", "event")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "odd", [None, "", " ", "\t\u3000\u0085", 5, 0, True, [], ["e"], {"name": "e"}], ids=ascii
)
@pytest.mark.parametrize("who", [{"userId": "u"}, {"anonymousId": "a"}], ids=["known", "anonymous"])
def test_5_5_an_event_without_a_name_is_refused(kind: str, odd: object, who: Any) -> None:
    """A name that is missing, blank or no text is MISSING_EVENT_NAME."""
    event = {"type": kind, "event": odd, "name": odd, "properties": {"name": odd, "url": odd}}
    assert refusal_of(event | who) == "MISSING_EVENT_NAME"


@pytest.mark.parametrize("kind", ["track", "page"])
@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("who", [{"userId": "u"}, {"anonymousId": "a"}], ids=["known", "anonymous"])
def test_5_5_a_name_of_100_bytes_stays_and_one_of_101_is_cut(
    kind: str, letter: str, who: Any
) -> None:
    """The name is cut to 100 bytes at a code point, for known people too, with a warning."""
    name = text_of_bytes(100, letter)
    member = "event" if kind == "track" else "name"
    assert body_of({"type": kind, member: name} | who)["name"] == name
    assert body_of({"type": kind, member: name + "z"} | who, "EVENT_NAME_CUT")["name"] == name
    crossing = "a" * (101 - len(letter.encode())) + letter
    sent_name = body_of({"type": kind, member: crossing} | who, "EVENT_NAME_CUT")["name"]
    assert sent_name == crossing[:-1]


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("member", ["event", "name", "properties"])
def test_5_5_in_a_screen_only_its_own_name_is_cut(letter: str, member: str) -> None:
    """`Viewed X Screen` has 100 bytes when X has 86; what is longer loses the end of X."""

    def screen(name: str) -> dict[str, Any]:
        value: object = {"name": name} if member == "properties" else name
        return {"type": "screen", "userId": "u", member: value}

    name = text_of_bytes(86, letter)
    whole = f"Viewed {name} Screen"
    assert len(whole.encode()) == 100
    assert body_of(screen(name))["name"] == whole
    assert body_of(screen(name + "z"), "EVENT_NAME_CUT")["name"] == whole
    crossing = "a" * (87 - len(letter.encode())) + letter
    sent_name = body_of(screen(crossing), "EVENT_NAME_CUT")["name"]
    assert sent_name == f"Viewed {crossing[:-1]} Screen"


def test_5_5_a_name_is_measured_without_its_escapes() -> None:
    r"""A name written \u00e9 counts two bytes for it, not six."""
    event = b'{"type":"track","userId":"u","event":"%b"}'
    assert body_of(event % (b"\\u00e9" * 50))["name"] == "é" * 50
    assert body_of(event % (b"\\u00e9" * 50 + b"a"), "EVENT_NAME_CUT")["name"] == "é" * 50


Written = Callable[[int], bytes]
DATA: dict[str, Written] = {
    "ascii": lambda size: b'{"k":"%b"}' % (b"a" * (size - 8)),
    "two-bytes": lambda size: (
        '{"é":"%s"}'.encode() % text_of_bytes(size - len('{"é":""}'.encode()), "é").encode()
    ),
    "three-bytes": lambda size: b'{"k":"%b"}' % text_of_bytes(size - 8, "日").encode(),
    "four-bytes": lambda size: b'{"k":"%b"}' % text_of_bytes(size - 8, "😀").encode(),
    "escapes": lambda size: b'{"k":"%b%b"}' % (b"a" * (size % 2), b"\\u00e9" * ((size - 8) // 2)),
    "pairs": lambda size: (
        b'{"k":"%b%b"}' % (b"a" * (size % 4), b"\\ud83d\\ude00" * ((size - 8) // 4))
    ),
    "needful-escapes": lambda size: (
        b'{"k":"%b%b"}' % (b"a" * (size % 6 + 4), b"\\u0001" * ((size - 12 - size % 6) // 6))
    ),
    "spaces": lambda size: b' { "k" : \n[ "%b" ,\t1 ] } ' % (b"a" * (size - 12)),
    "many": lambda size: (
        b"{%b}" % b",".join([b'"%06d":1' % n for n in range((size - 100) // 11)])
    ).replace(b"}", b',"k":"%b"}' % (b"a" * (size - 8 - (size - 100) // 11 * 11))),
}


@pytest.mark.parametrize("written", DATA.values(), ids=DATA)
@pytest.mark.parametrize("kind", KINDS)
def test_5_7_data_of_100_000_bytes_is_sent_and_of_100_001_refused(
    kind: str, written: Written
) -> None:
    """Properties are measured as compact JSON in UTF-8 and never cut."""
    event = b'{"type":"%b","event":"e","name":"n","userId":"u","properties":%b}'
    good, bad = written(100_000), written(100_001)
    assert good.strip() in request_of(event % (kind.encode(), good))["raw"]
    assert refusal_of(event % (kind.encode(), bad)) == "TOO_LARGE"


def test_5_7_one_large_property_is_not_cut() -> None:
    """The limits of attributes do not hold for an event's data."""
    properties = {"k": "é" * 5000, "n" * 200: [{"a": "x" * 5000}]} | dict.fromkeys("abc" * 120, 1)
    properties |= {f"k{number}": 1 for number in range(400)}
    assert body_of(track(properties=properties))["data"] == properties
