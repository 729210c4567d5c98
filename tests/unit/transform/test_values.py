"""Empty texts that are left out, and properties that must not redirect a message. Rules 13.7, 13.8."""

import pytest

from tests.unit.transform.support import (
    attributes_of,
    body_of,
    group,
    identify,
    item_of,
    of_type,
    request_of,
    track,
)

DROP = {"emptyStrings": "drop"}
PREFIX = {"reservedProperties": "prefix"}


def test_13_7_empty_texts_are_left_out() -> None:
    """Of people and of groups; null, blanks and what is nested stay."""
    traits = {"a": "", "b": None, "c": " ", "d": [""], "e": {"f": ""}, "g": 0, "h": False}
    kept = {name: value for name, value in traits.items() if name != "a"}
    assert attributes_of(identify(traits=traits), **DROP) == kept
    assert attributes_of(identify(traits=traits)) == traits
    assert attributes_of(identify(traits=traits), emptyStrings="keep") == traits
    assert item_of(group(traits=traits), **DROP)["attributes"] == kept
    related = item_of(
        group(traits={"relationshipAttributes": traits}), groupRelationships="full", **DROP
    )
    assert related["cio_relationships"][0]["relationship_attributes"] == kept


def test_13_7_an_empty_text_is_then_as_if_it_were_not_there() -> None:
    """It warns of nothing and keeps nothing from being filled in."""
    event = identify(
        traits={"created_at": "", "unsubscribed": "", "id": "", "address": {"city": ""}},
        user_properties={"more": ""},
        timestamp="2024-01-02",
    )
    assert body_of(event, **DROP) == {"created_at": 1704153600, "_timestamp": 1704153600}


def test_13_7_events_keep_theirs() -> None:
    """Their data deletes nothing."""
    assert body_of(track(properties={"a": ""}), **DROP)["data"] == {"a": ""}


def test_13_7_columns_of_rows() -> None:
    """A person's columns are attributes."""
    row = {"type": "record", "action": "update", "identifiers": {"id": "u", "a": "", "b": 1}}
    assert body_of(row, connection={"object": "person"}, **DROP) == {"b": 1}
    assert body_of(row, connection={"object": "person"}) == {"a": "", "b": 1}


@pytest.mark.parametrize("kind", ["track", "page", "screen"])
def test_13_8_reserved_properties_get_another_name(kind: str) -> None:
    """In both API versions; in their places, at the top only, and nothing else changes."""
    properties = {"a": 1, "recipient": "r", "from_address": 2.0, "reply_to": {"recipient": "n"}}
    properties["b"] = {"recipient": "nested"}
    event = of_type(kind, userId="u", properties=properties)
    expected = {
        "a": 1,
        "event_recipient": "r",
        "event_from_address": 2.0,
        "event_reply_to": {"recipient": "n"},
        "b": {"recipient": "nested"},
    }
    data = body_of(event, **PREFIX)["data"]
    assert list(data.items()) == list(expected.items())
    assert item_of(event, apiVersion="v2", **PREFIX)["attributes"] == expected
    assert body_of(event)["data"] == properties
    assert body_of(event, reservedProperties="keep")["data"] == properties


def test_13_8_nothing_is_lost_where_the_other_name_is_taken() -> None:
    """It is prefixed until it is free."""
    properties = {"recipient": 1, "event_recipient": 2, "event_event_recipient": 3}
    assert body_of(track(properties=properties), **PREFIX)["data"] == {
        "event_event_event_recipient": 1,
        "event_recipient": 2,
        "event_event_recipient": 3,
    }


def test_13_8_values_and_properties_without_such_names_stay_byte_for_byte() -> None:
    """Digits, escapes and, where nothing is renamed, white space."""
    event = b'{"type":"track","event":"e","userId":"u","properties":%b}'
    plain = b'{ "n" : 1.0 , "recipients":[ 12345678901234567890 ] }'
    assert plain in request_of(event % plain, **PREFIX)["raw"]
    renamed = b'{"n":1.00,"rec\\u0069pient":"\\u00e9","l":[ 1e5 ]}'
    raw = request_of(event % renamed, **PREFIX)["raw"]
    assert b'{"n":1.00,"event_recipient":"\\u00e9","l":[ 1e5 ]}' in raw


def test_13_8_traits_are_not_concerned() -> None:
    """Only an event's data overrides addresses."""
    traits = {"recipient": "r", "reply_to": "t"}
    assert attributes_of(identify(traits=traits), **PREFIX) == traits


def test_13_8_together_with_dates() -> None:
    """Each does its part; the lists go by the names that were received."""
    config = PREFIX | {"convertDates": True, "convertDatesDeny": ["recipient"]}
    properties = {"recipient": "2024-01-02", "reply_to": "2024-01-02"}
    assert body_of(track(properties=properties), **config)["data"] == {
        "event_recipient": "2024-01-02",
        "event_reply_to": 1704153600,
    }
