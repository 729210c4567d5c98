"""ISO dates that become seconds, and everything else that stays as it is. Rule 13.6."""

from typing import Any

import pytest
from ciosidecar_transform.dates import DateNames, object_with_seconds

from tests.unit.transform.support import (
    attributes_of,
    body_of,
    fatal_keys,
    group,
    identify,
    item_of,
    of_type,
    request_of,
    sent,
    track,
)

ON: dict[str, Any] = {"convertDates": True}
DAY, DAY_S = "2024-01-02", 1704153600


def converted(text: str, *, allowed: tuple[str, ...] = (), denied: tuple[str, ...] = ()) -> str:
    """An object's JSON after the conversion."""
    names = DateNames(frozenset(allowed), frozenset(denied))
    return object_with_seconds(text.encode(), names).decode()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (DAY, DAY_S),
        ("2024-01-02T03:04", 1704164640),
        ("2024-01-02T03:04:05", 1704164645),
        ("2024-01-02 03:04:05", 1704164645),
        ("2024-01-02T03:04:05Z", 1704164645),
        ("2024-01-02t03:04:05z", 1704164645),
        ("2024-01-02T03:04:05.999Z", 1704164645),
        ("2024-01-02T03:04:05.123456789Z", 1704164645),
        ("2024-01-02T03:04:05+01:00", 1704161045),
        ("2024-01-02T03:04:05 +0100", 1704161045),
        ("2024-01-02 03:04:05 UTC", 1704164645),
        ("2024-01-02T03:04:05.1234567890123Z", 1704164645),
        ("2024-01-01T24:00:00Z", DAY_S),
        ("1970-01-01", 0),
        ("1969-12-31T23:30:00-00:30", 0),
        ("2199-12-31", 7258032000),
        ("2024-02-29", 1709164800),
    ],
)
def test_13_6_a_whole_date_becomes_seconds(text: str, seconds: int) -> None:
    """With or without a time of day and a zone; rounded down, UTC where nothing else is said."""
    assert body_of(track(properties={"a": text}), **ON)["data"] == {"a": seconds}
    assert attributes_of(identify(traits={"a": text}), **ON) == {"a": seconds}
    assert attributes_of(identify(traits={"a": text})) == {"a": text}


@pytest.mark.parametrize(
    "text",
    [
        "1969-12-31",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00+00:01",
        "1958-07-14T00:00:00Z",
        "1900-01-01",
    ],
)
def test_13_6_a_date_before_1970_stays(text: str) -> None:
    """Customer.io reads no negative number as a date, but reads the text. Nested, beside others."""
    traits = {"a": text, "b": [text, DAY], "c": {"d": text}}
    expected = {"a": text, "b": [text, DAY_S], "c": {"d": text}}
    assert attributes_of(identify(traits=traits), **ON) == expected
    assert body_of(track(properties=traits), **ON)["data"] == expected


@pytest.mark.parametrize(
    "text",
    [
        "20240102",
        "1704153600",
        "1704153600000",
        "2024",
        "2024-01",
        "2024-1-2",
        "2024/01/02",
        "01/02/2024",
        "January 2, 2024",
        "2024-02-30",
        "2023-02-29",
        "2024-13-01",
        "2024-00-10",
        "2024-01-02T25:00",
        "2024-01-02T24:00",
        "2024-01-02T24:00:01Z",
        "2024-01-02T03:04:60",
        "2024-01-02Z",
        "2024-01-02T",
        "2024-W01-2",
        "2024-002",
        "on 2024-01-02",
        "2024-01-02.",
        " 2024-01-02",
        "2024-01-02\n",
        "\uff12\uff10\uff12\uff14-01-02",
        "0800-12-12",
        "1234-05-06",
        "5551-02-03",
        "030-1234-56",
        "+49-30-123456",
        "2001-555-0123",
        "12345-6789",
        "90210",
        "2024-01-02-03",
        "P1D",
        "",
        "true",
    ],
)
def test_13_6_nothing_else_is_touched(text: str) -> None:
    """Phone numbers, zip codes, article numbers, digits, other spellings, impossible days."""
    assert body_of(track(properties={"a": text}), **ON)["data"] == {"a": text}
    assert attributes_of(identify(traits={"a": text}), **ON) == {"a": text}


def test_13_6_everything_else_stays_byte_for_byte() -> None:
    """Numbers, escapes, white space, order and names, also next to a date."""
    before = (
        r'{ "n" : 12345678901234567890 , "f":1.0, "e":1e5,"s":"\u00e9\"2024-01-02", '
        r'"2024-01-02" : "2024-01-02","l":[ "2024-01-02" , {"d":"2024-01-02"} , null ], '
        r'"k\\":"\\","t":true, "x":"a\\\"2024-01-02","dup":"2024-01-02","dup":1 }'
    )
    after = (
        r'{ "n" : 12345678901234567890 , "f":1.0, "e":1e5,"s":"\u00e9\"2024-01-02", '
        r'"2024-01-02" : 1704153600,"l":[ 1704153600 , {"d":1704153600} , null ], '
        r'"k\\":"\\","t":true, "x":"a\\\"2024-01-02","dup":1704153600,"dup":1 }'
    )
    assert converted(before) == after
    raw = request_of(track(), **ON)["raw"]
    assert raw == request_of(track())["raw"]
    event = b'{"type":"track","event":"e","userId":"u","properties":%b}'
    assert after.encode() in request_of(event % before.encode(), **ON)["raw"]


def test_13_6_a_date_in_escapes_is_a_date() -> None:
    """JSON may spell any letter so."""
    assert converted(r'{"a":"\u0032024-01\u002d02"}') == '{"a":1704153600}'


@pytest.mark.parametrize("kind", ["track", "page", "screen"])
def test_13_6_properties_of_every_kind(kind: str) -> None:
    """Nested too, in both API versions."""
    event = of_type(kind, userId="u", properties={"a": [{"b": DAY}], "url": DAY})
    expected = {"a": [{"b": DAY_S}], "url": DAY_S}
    assert body_of(event, **ON)["data"] == expected
    assert item_of(event, apiVersion="v2", **ON)["attributes"] == expected


def test_13_6_names_and_times_of_the_event_itself_are_not_values() -> None:
    """What addresses people and what names events stays a text."""
    event = track(event=DAY, userId=DAY, timestamp=DAY, properties={"a": DAY})
    request = request_of(event, **ON)
    assert request["path"] == f"/api/v1/customers/{DAY}/events"
    assert (request["body"]["name"], request["body"]["timestamp"]) == (DAY, DAY_S)


def test_13_6_traits_of_people_and_groups() -> None:
    """Those that came out of address or user_properties too, and those of a relationship."""
    event = identify(traits={"address": {"since": DAY, "city": DAY}, "born": DAY, "id": "u"})
    event["user_properties"] = {"more": DAY}
    assert attributes_of(event, **ON) == {
        "address": {"since": DAY_S},
        "city": DAY_S,
        "born": DAY_S,
        "more": DAY_S,
    }
    traits = {"founded": DAY, "relationshipAttributes": {"since": DAY}}
    item = item_of(group(traits=traits), groupRelationships="full", **ON)
    assert item["attributes"] == {"founded": DAY_S}
    assert item["cio_relationships"][0]["relationship_attributes"] == {"since": DAY_S}


def test_13_6_columns_of_rows() -> None:
    """They are the traits of a person, or the properties of an event."""
    row = {"type": "record", "action": "insert", "identifiers": {"id": DAY, "a": DAY, "name": "n"}}
    assert body_of(row, connection={"object": "person"}, **ON) == {"a": DAY_S, "name": "n"}
    assert body_of(row, connection={"object": "event"}, **ON)["data"] == {"a": DAY_S}


def test_13_6_device_attributes_stay_texts() -> None:
    """Customer.io wants texts there (6.3)."""
    context = {"device": {"token": "t", "type": "ios"}}
    event = track(event="Application Opened", context=context, properties={"since": DAY})
    assert body_of(event, **ON)["device"]["attributes"] == {"since": DAY}


@pytest.mark.parametrize(
    ("allowed", "denied", "expected"),
    [
        ([], [], '{"a":1,"b":{"a":1,"c":[1,{"d":1}]},"e":1}'),
        (["a"], [], '{"a":1,"b":{"a":1,"c":["D",{"d":"D"}]},"e":"D"}'),
        (["b"], [], '{"a":"D","b":{"a":1,"c":[1,{"d":1}]},"e":"D"}'),
        (["c"], [], '{"a":"D","b":{"a":"D","c":[1,{"d":1}]},"e":"D"}'),
        (["d"], [], '{"a":"D","b":{"a":"D","c":["D",{"d":1}]},"e":"D"}'),
        ([], ["a"], '{"a":"D","b":{"a":"D","c":[1,{"d":1}]},"e":1}'),
        ([], ["b"], '{"a":1,"b":{"a":"D","c":["D",{"d":"D"}]},"e":1}'),
        ([], ["c"], '{"a":1,"b":{"a":1,"c":["D",{"d":"D"}]},"e":1}'),
        (["b"], ["c"], '{"a":"D","b":{"a":1,"c":["D",{"d":"D"}]},"e":"D"}'),
        (["a", "b"], ["a"], '{"a":"D","b":{"a":"D","c":[1,{"d":1}]},"e":"D"}'),
        (["b", "d"], ["c"], '{"a":"D","b":{"a":1,"c":["D",{"d":"D"}]},"e":"D"}'),
        (["A", "none"], [], '{"a":"D","b":{"a":"D","c":["D",{"d":"D"}]},"e":"D"}'),
    ],
)
def test_13_6_names_are_allowed_and_denied_at_any_depth(
    allowed: list[str], denied: list[str], expected: str
) -> None:
    """A name speaks for all below it; denied wins; exactly so written."""
    before = '{"a":"D","b":{"a":"D","c":["D",{"d":"D"}]},"e":"D"}'
    text = converted(before.replace("D", DAY), allowed=tuple(allowed), denied=tuple(denied))
    assert text.replace(str(DAY_S), "1").replace(DAY, "D") == expected
    lists: dict[str, Any] = {"convertDatesAllow": allowed, "convertDatesDeny": denied}
    event = b'{"type":"identify","userId":"u","traits":%b}' % before.replace("D", DAY).encode()
    raw = request_of(event, createdAtFallback="none", **lists, **ON)["raw"].decode()
    assert raw.replace(str(DAY_S), "1").replace(DAY, "D") == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"allowed": ("d",)}, '{"c":["D",{"d":1},"D"],"e":["D"]}'),
        ({"denied": ("d",)}, '{"c":[1,{"d":"D"},1],"e":[1]}'),
        ({"allowed": ("c",), "denied": ("d",)}, '{"c":[1,{"d":"D"},1],"e":["D"]}'),
    ],
)
def test_13_6_a_name_speaks_for_nothing_beside_it(
    names: dict[str, tuple[str, ...]], expected: str
) -> None:
    """What follows an object in an array goes by the array's name again."""
    before = '{"c":["D",{"d":"D"},"D"],"e":["D"]}'.replace("D", DAY)
    assert converted(before, **names) == expected.replace("1", str(DAY_S)).replace("D", DAY)


def test_13_6_a_name_in_escapes_is_that_name() -> None:
    """Names are compared as texts."""
    assert converted(r'{"\u0061":"2024-01-02"}', allowed=("a",)) == r'{"\u0061":1704153600}'


@pytest.mark.parametrize("key", ["convertDatesAllow", "convertDatesDeny"])
@pytest.mark.parametrize("value", ["a", 5, True, {}, {"a": True}, [5], ["a", None], [["a"]]])
def test_13_6_a_list_of_names_is_a_list_of_texts(key: str, value: object) -> None:
    """Anything else is refused by key."""
    assert fatal_keys(**{key: value}, **ON) == [key]
    assert fatal_keys(**{key: None}, **ON) == []


def test_13_6_the_event_id_does_not_depend_on_it() -> None:
    """It is made of what was received, so that a replay under other settings stays harmless."""
    event = track(messageId="m", properties={"a": DAY})
    assert body_of(event, **ON)["id"] == body_of(event)["id"]


def test_13_6_limits_hold_for_what_is_sent() -> None:
    """4.9, 5.7: an array of dates that fits as seconds is sent."""
    dates = ["2024-01-02T03:04:05.678+00:00"] * 60
    assert attributes_of(identify(traits={"a": dates}), **ON) == {"a": [1704164645] * 60}
    assert attributes_of(identify(traits={"a": dates}), "VALUE_TOO_LARGE") == {}
    many = {"properties": {"a": dates * 80}}
    assert body_of(track(**many), **ON)["data"] == {"a": [1704164645] * 4800}


@pytest.mark.timeout(20)
def test_13_6_huge_and_deep_properties_take_linear_time() -> None:
    """Depth is no fault, and a megabyte of dates is read once."""
    deep: Any = b'{"a":' * 450 + b'"2024-01-02"' + b"}" * 450
    event = b'{"type":"track","event":"e","userId":"u","properties":%b}'
    assert b'{"a":1704153600}' in request_of(event % deep, **ON)["raw"]
    lists: dict[str, Any] = {"convertDatesAllow": ["a"], "convertDatesDeny": ["b"]}
    assert b'{"a":1704153600}' in request_of(event % deep, **lists, **ON)["raw"]
    wide = b'{"a":[' + b",".join([b'"2024-01-02"'] * 80_000) + b"]}"
    outcome, _ = sent(event % wide, **ON)
    assert outcome.error is not None
    assert outcome.error.code == "TOO_LARGE"
