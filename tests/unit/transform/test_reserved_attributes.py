"""Attributes under Customer.io's own names, in a form that it can read. Rule 4.8b."""

import json
from typing import Any

import pytest

from .api_versions import PERSON, attributes_of_both, in_either_place, v1_body, v2_item
from .support import NOW, TIME, TIME_S, group, identify, item_of, row, sent

TIMES = [
    (TIME, TIME_S),
    ("2024-01-02", 1704153600),
    ("1704164645", TIME_S),
    (1704164645678, TIME_S),
    (1704164645.9, TIME_S),
    ("1.704164645e9", TIME_S),
    (-100000000, -100000000),
    (NOW + 10**7, NOW + 10**7),
]
# Rule 2.4 counts the second half as absent: no form that Customer.io reads as a time either.
NO_TIMES: list[object] = ["soon", {}, [], {"a": 1}, True, 1e30, 99_999_999, "24-01-02"]
NO_TIMES += ["", " ", 0, "0", False]
PREFERENCES = "cio_subscription_preferences"
BOOLEANS: list[tuple[object, bool]] = [(True, True), (False, False), (1, True), (0, False)]
BOOLEANS += [(text, True) for text in ("true", "YES", "y", "T", "on", "1")]
BOOLEANS += [(text, False) for text in ("false", "No", "n", "F", "off", "0")]
NO_BOOLEANS: list[object] = [None, "", "maybe", " yes", 2, -1, 0.5, {}, [], "subscribed"]


# created_at


@pytest.mark.parametrize(("written", "seconds"), TIMES)
def test_4_8b_created_at_becomes_seconds(written: object, seconds: int) -> None:
    """By 2.4, from traits and user_properties. The future is no matter here."""
    for event in in_either_place({"created_at": written}):
        assert attributes_of_both(event) == {"created_at": seconds}


def test_4_8b_a_created_at_that_is_null_stays() -> None:
    """And nothing is made up in its place (4.5)."""
    for event in in_either_place({"created_at": None}):
        assert attributes_of_both(event, createdAtFallback="timestamp") == {"created_at": None}


@pytest.mark.parametrize("written", NO_TIMES)
def test_4_8b_a_created_at_that_is_no_time_is_left_out_and_counts_as_given(
    written: object,
) -> None:
    """With a warning; 4.5 does not make one up."""
    for event in in_either_place({"created_at": written, "plan": "pro"}):
        attributes = attributes_of_both(event, "UNUSABLE_TIME", createdAtFallback="timestamp")
        assert attributes == {"plan": "pro"}


def test_4_5_a_usable_created_at_of_the_event_stands_before_the_attribute() -> None:
    """What is replaced is not looked at (12.4): no warning."""
    for event in in_either_place({"created_at": "soon"}):
        event |= {"context": {"traits": {"createdAt": TIME}}}
        assert attributes_of_both(event) == {"created_at": TIME_S}


# _timestamp


@pytest.mark.parametrize(("written", "seconds"), TIMES[:-1])
def test_4_8b_a_timestamp_counts_where_the_event_has_no_time(written: object, seconds: int) -> None:
    """Seconds by 2.4; in v2 it is the item's `timestamp`."""
    for event in in_either_place({"_timestamp": written}):
        assert attributes_of_both(event) == {"_timestamp": seconds}
        assert v2_item(event)["timestamp"] == seconds


@pytest.mark.parametrize("written", [None, *NO_TIMES])
def test_4_8b_a_timestamp_that_is_no_time_is_left_out_with_a_warning(written: object) -> None:
    """null too."""
    for event in in_either_place({"_timestamp": written, "plan": "pro"}):
        assert attributes_of_both(event, "UNUSABLE_TIME") == {"plan": "pro"}


@pytest.mark.parametrize("written", [None, "soon", 1_600_000_000, NOW + 10**7])
def test_4_8b_a_timestamp_is_not_read_where_the_event_has_a_time(written: object) -> None:
    """Not even for a warning; nor where the event's time is left out as the future's (2.5)."""
    for event in in_either_place({"_timestamp": written}):
        assert attributes_of_both(event | {"timestamp": TIME}) == {"_timestamp": TIME_S}
        ahead = event | {"originalTimestamp": NOW + 3601}
        assert attributes_of_both(ahead, "FUTURE_TIME") == {}


@pytest.mark.parametrize("written", [1_600_000_000, None, NOW + 10**7])
def test_4_5_a_timestamp_that_is_an_attribute_is_no_event_time(written: object) -> None:
    """A created_at that nobody gave is the event time of 2.5, else now."""
    for event in in_either_place({"_timestamp": written}):
        assert v1_body(event, *_warning_of(written))["created_at"] == NOW
        assert v1_body(event | {"timestamp": TIME})["created_at"] == TIME_S


def _warning_of(written: object) -> list[str]:
    """What a `_timestamp` warns of."""
    if written is None:
        return ["UNUSABLE_TIME"]
    return ["FUTURE_TIME"] if written == NOW + 10**7 else []


def test_2_5_a_timestamp_more_than_an_hour_ahead_is_left_out() -> None:
    """The same as for the event's own time."""
    for event in in_either_place({"_timestamp": NOW + 3600}):
        assert attributes_of_both(event) == {"_timestamp": NOW + 3600}
    for event in in_either_place({"_timestamp": NOW + 3601}):
        assert attributes_of_both(event, "FUTURE_TIME") == {}


# anonymous_id


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("a", "a"),
        ("", ""),
        (" ", " "),
        (None, None),
        (12, "12"),
        (-1, "-1"),
        (7.5, "7.5"),
        (5.0, "5"),
        ("undefined", "undefined"),
    ],
)
def test_4_8b_an_anonymous_id_is_a_text_or_null(written: object, kept: object) -> None:
    """A number other than 0 becomes text; a text or null stays."""
    for event in in_either_place({"anonymous_id": written}):
        assert attributes_of_both(event) == {"anonymous_id": kept}


@pytest.mark.parametrize("written", [0, 0.0, True, False, {}, [], ["a"], {"a": 1}])
def test_4_8b_any_other_anonymous_id_is_left_out_with_a_warning(written: object) -> None:
    """Customer.io refuses it, and the person with it."""
    for event in in_either_place({"anonymous_id": written, "plan": "pro"}):
        assert attributes_of_both(event, "WRONG_TYPE") == {"plan": "pro"}


def test_4_7_the_event_s_own_anonymous_id_stands_before_the_attribute() -> None:
    """Which is then not looked at."""
    for event in in_either_place({"anonymous_id": {}}):
        assert attributes_of_both(event | {"anonymousId": "a"}) == {"anonymous_id": "a"}


# cio_subscription_preferences


@pytest.mark.parametrize(("written", "meant"), BOOLEANS)
def test_4_8b_topics_are_booleans_by_4_8(written: object, meant: bool) -> None:
    """In an object, in a text that is the JSON of one, and under a name with dots."""
    preferences = {"topics": {"topic_1": written, "topic_2": True}, "channels": {"email": "x"}}
    wanted = {"topics": {"topic_1": meant, "topic_2": True}, "channels": {"email": "x"}}
    for whole in (preferences, json.dumps(preferences), f"\n {json.dumps(preferences)} "):
        for event in in_either_place({PREFERENCES: whole}):
            assert attributes_of_both(event) == {PREFERENCES: wanted}
    for event in in_either_place({f"{PREFERENCES}.topics.topic_1": written}):
        assert attributes_of_both(event) == {f"{PREFERENCES}.topics.topic_1": meant}


@pytest.mark.parametrize("written", NO_BOOLEANS)
def test_4_8b_topics_that_are_none_are_left_out_with_a_warning(written: object) -> None:
    """The others stay."""
    preferences = {"topics": {"topic_1": written, "topic_2": "no"}}
    for whole in (preferences, json.dumps(preferences)):
        for event in in_either_place({PREFERENCES: whole}):
            attributes = attributes_of_both(event, "WRONG_TYPE")
            assert attributes == {PREFERENCES: {"topics": {"topic_2": False}}}
    for event in in_either_place({f"{PREFERENCES}.topics.topic_1": written, "plan": "pro"}):
        assert attributes_of_both(event, "WRONG_TYPE") == {"plan": "pro"}


@pytest.mark.parametrize("topics", [None, "", "all", 7, True, [], ["topic_1"], '{"a": true}'])
def test_4_8b_topics_that_are_no_object_are_left_out_with_a_warning(topics: object) -> None:
    """What else the preferences hold stays."""
    for event in in_either_place({PREFERENCES: {"topics": topics, "channels": {"email": True}}}):
        attributes = attributes_of_both(event, "WRONG_TYPE")
        assert attributes == {PREFERENCES: {"channels": {"email": True}}}


@pytest.mark.parametrize("kept", [None, {}, {"topics": {}}, {"channels": {"email": 1}}])
def test_4_8b_preferences_without_topics_stay(kept: object) -> None:
    """null, and objects, as they are."""
    for event in in_either_place({PREFERENCES: kept}):
        assert attributes_of_both(event) == {PREFERENCES: kept}


@pytest.mark.parametrize(
    "written", ["", " ", "null", "all", "[]", '"{}"', "{", '{"a":1}}', 7, True, False, [], [{}]]
)
def test_4_8b_preferences_that_are_no_object_are_left_out_with_a_warning(written: object) -> None:
    """Nor the JSON of one."""
    for event in in_either_place({PREFERENCES: written, "plan": "pro"}):
        assert attributes_of_both(event, "WRONG_TYPE") == {"plan": "pro"}


def test_4_8b_a_text_that_is_the_json_of_an_object_becomes_the_object() -> None:
    """Its numbers and escapes as they were written (1.3)."""
    text = '{"topics":{"é\\n":true},"n":12345678901234567890,"f":1.0}'
    for event in in_either_place({PREFERENCES: text}):
        kept = attributes_of_both(event)[PREFERENCES]
        assert kept == {"topics": {"é\n": True}, "n": 12345678901234567890, "f": 1.0}


@pytest.mark.parametrize(
    "name", [PREFERENCES + ".channels.email", PREFERENCES + ".topics", "x.topics.a"]
)
def test_4_8b_other_names_with_dots_are_ordinary_attributes(name: str) -> None:
    """Only what begins with cio_subscription_preferences.topics. is a topic."""
    for event in in_either_place({name: "maybe"}):
        assert attributes_of_both(event) == {name: "maybe"}


# Rows, and what none of this holds for


def test_4_8b_all_of_it_holds_for_rows_of_people() -> None:
    """Rule 9.4; `created_at` is the row's time there."""
    columns: dict[str, Any] = {
        "_timestamp": TIME,
        "anonymous_id": 12,
        PREFERENCES: {"topics": {"a": "no"}},
        f"{PREFERENCES}.topics.b": "yes",
        "email": " a@b.co",
    }
    assert attributes_of_both(row(id="u", **columns), "WHITE_SPACE_REMOVED", connection=PERSON) == {
        "_timestamp": TIME_S,
        "anonymous_id": "12",
        PREFERENCES: {"topics": {"a": False}},
        f"{PREFERENCES}.topics.b": True,
        "email": "a@b.co",
    }


@pytest.mark.parametrize(
    ("columns", "warning"),
    [
        ({"anonymous_id": 0}, "WRONG_TYPE"),
        ({PREFERENCES: "all"}, "WRONG_TYPE"),
        ({f"{PREFERENCES}.topics.b": None}, "WRONG_TYPE"),
        ({"_timestamp": None}, "UNUSABLE_TIME"),
        ({"_timestamp": "soon"}, "UNUSABLE_TIME"),
        ({"_timestamp": NOW + 3601}, "FUTURE_TIME"),
    ],
)
def test_4_8b_what_cannot_be_read_in_a_row_is_left_out(
    columns: dict[str, Any], warning: str
) -> None:
    """With a warning."""
    event = row(id="u", plan="pro", **columns)
    assert attributes_of_both(event, warning, connection=PERSON) == {"plan": "pro"}


def test_4_8b_the_time_of_a_row_stands_before_a_column_named_timestamp() -> None:
    """`created_at` by 9.4."""
    event = row(id="u", created_at=TIME, _timestamp="soon")
    assert attributes_of_both(event, connection=PERSON) == {"_timestamp": TIME_S}
    ahead = row(id="u", created_at=NOW + 3601, _timestamp=TIME)
    assert attributes_of_both(ahead, "FUTURE_TIME", connection=PERSON) == {}


def test_4_8b_an_object_s_attributes_are_its_own() -> None:
    """Groups are not people: their traits go out as they came (1.3, 8.4)."""
    traits = {"created_at": "soon", "anonymous_id": 7, PREFERENCES: "x", "_timestamp": None}
    assert item_of(group(traits=traits))["attributes"] == traits


def test_4_8b_names_are_case_sensitive_and_whole() -> None:
    """`Created_at` is anybody's attribute."""
    traits = {"Created_at": "soon", "Anonymous_id": 7, PREFERENCES + "s": "x", "_Timestamp": 1}
    assert v1_body(identify(traits=traits), createdAtFallback="none") == traits


# Bad input


@pytest.mark.parametrize("as_text", [False, True])
def test_4_8b_ten_thousand_topics_are_read_and_warn_once(as_text: bool) -> None:
    """Every second one is neither yes nor no."""
    topics = {f"topic_{n}": ("yes" if n % 2 else "maybe") for n in range(10_000)}
    whole: Any = {"topics": topics}
    event = identify(traits={PREFERENCES: json.dumps(whole) if as_text else whole})
    kept = v1_body(event, "WRONG_TYPE")[PREFERENCES]["topics"]
    assert kept == {f"topic_{n}": True for n in range(1, 10_000, 2)}


@pytest.mark.parametrize("depth", [400, 900, 1000, 5000])
def test_4_8b_a_text_of_deep_json_is_no_fault_of_ours(depth: int) -> None:
    """It is the JSON of an object, or is left out with a warning; the person is sent."""
    for deep in (
        '{"a":' * depth + "1" + "}" * depth,
        '{"topics":{"a":' + "[" * depth + "]" * depth + "}}",
    ):
        event = identify(traits={PREFERENCES: deep, "plan": "pro"})
        for api_version in ("v1", "v2"):
            outcome, requests = sent(event, apiVersion=api_version)
            assert outcome.status == 200
            assert len(requests) == 1
