"""identify: the attributes that have a meaning of their own. Rules 4.5-4.8."""

from typing import Any

import pytest

from tests.unit.transform.support import NOW, TIME, TIME_S, attributes_of, body_of, identify

OLD, OLD_S = "2020-01-01", 1577836800


@pytest.mark.parametrize(
    ("members", "warnings", "created_at"),
    [
        ({"traits": {"createdAt": OLD}, "context": {"traits": {"createdAt": "bad"}}}, [], OLD_S),
        ({"traits": {"a": 1}, "context": {"traits": {"createdAt": OLD}}}, [], OLD_S),
        (
            {"traits": {"createdAt": "bad"}, "context": {"traits": {"createdAt": OLD}}},
            ["UNUSABLE_TIME"],
            OLD_S,
        ),
        ({"traits": {"createdAt": OLD, "created_at": 5}}, [], OLD_S),
        ({"traits": {"createdAt": "bad"}}, ["UNUSABLE_TIME"], None),
        ({"context": {"traits": {"createdAt": True}}}, ["UNUSABLE_TIME"], None),
        ({"timestamp": TIME}, [], TIME_S),
        ({"timestamp": TIME, "traits": {"createdAt": None}}, [], TIME_S),
        ({"timestamp": "bad"}, ["UNUSABLE_TIME"], NOW),
        ({}, [], NOW),
        ({"traits": {"created_at": OLD}}, [], OLD_S),
        ({"user_properties": {"created_at": OLD_S * 1000}, "timestamp": TIME}, [], OLD_S),
        ({"channel": "sources", "timestamp": TIME}, [], None),
        ({"channel": "sources", "traits": {"createdAt": OLD}}, [], OLD_S),
        ({"context": {"mappedToDestination": True, "externalId": [{"id": "x"}]}}, [], None),
    ],
    ids=[
        "traits",
        "context",
        "skip-bad",
        "over-created_at",
        "bad",
        "bad-context",
        "event-time",
        "null-is-absent",
        "now-for-bad-time",
        "now",
        "own-attribute",
        "own-user-property",
        "warehouse",
        "warehouse-given",
        "mapped",
    ],
)
def test_4_5_created_at_is_given_or_filled(
    members: dict[str, Any], warnings: list[str], created_at: object
) -> None:
    """createdAt if usable; filled only where nothing was given and no row is synced."""
    assert body_of(identify(**members), *warnings).get("created_at") == created_at


def test_4_5_a_null_created_at_exists() -> None:
    """An attribute created_at of null is the user's own and is not filled."""
    body = body_of(identify(traits={"created_at": None}, timestamp=TIME))
    assert body == {"created_at": None, "_timestamp": TIME_S}


def test_4_5_created_at_fallback_none_fills_nothing() -> None:
    """With createdAtFallback "none" only a createdAt that is given is sent."""
    assert attributes_of(identify(timestamp=TIME)) == {"_timestamp": TIME_S}
    assert attributes_of(identify(traits={"createdAt": OLD})) == {"created_at": OLD_S}


def test_4_6_timestamp_is_the_event_time() -> None:
    """`_timestamp` is there when the event has a time, over a trait of that name, and else not."""
    event = identify(traits={"_timestamp": "x"}, timestamp=TIME)
    assert attributes_of(event) == {"_timestamp": TIME_S}
    assert attributes_of(identify(timestamp="bad"), "UNUSABLE_TIME") == {}


@pytest.mark.parametrize(
    ("user_id", "anonymous_id", "attached"),
    [
        ("u", "a", "a"),
        ("u", 42, "42"),
        ("u", " a ", " a "),
        ("u", "u", None),
        ("5", 5, None),
        ("u", None, None),
        ("u", "", None),
        ("u", 0, None),
    ],
    ids=["text", "number", "untrimmed", "same", "same-as-text", "null", "blank", "zero"],
)
def test_4_7_the_anonymous_id_is_attached(
    user_id: object, anonymous_id: object, attached: str | None
) -> None:
    """A usable anonymousId that is not the id in the path ties earlier events to the person."""
    attributes = attributes_of(identify(userId=user_id, anonymousId=anonymous_id))
    assert attributes == ({} if attached is None else {"anonymous_id": attached})


YES = [True, 1, "true", "TRUE", "Yes", "y", "T", "on", "ON", "1"]
NO = [False, 0, "false", "False", "NO", "n", "f", "Off", "0"]
NEITHER: list[object] = [
    None,
    "",
    " ",
    "maybe",
    " true",
    "2",
    "-1",
    2,
    -1,
    0.5,
    [],
    [True],
    {},
    "p",
    "oui",
    "нет",
]


@pytest.mark.parametrize(
    ("value", "meant"), [(v, True) for v in YES] + [(v, False) for v in NO], ids=repr
)
@pytest.mark.parametrize("place", ["traits", "user_properties"])
def test_4_8_unsubscribed_is_made_boolean(place: str, value: object, *, meant: bool) -> None:
    """Every usual spelling of yes and no becomes true or false."""
    assert attributes_of(identify(**{place: {"unsubscribed": value}}))["unsubscribed"] is meant


@pytest.mark.parametrize("value", NEITHER, ids=ascii)
def test_4_8_unknown_text_is_left_out_with_a_warning(value: object) -> None:
    """What is neither yes nor no would be read as "subscribed" by Customer.io."""
    event = identify(traits={"unsubscribed": value, "a": 1})
    assert attributes_of(event, "UNSUBSCRIBED_LEFT_OUT") == {"a": 1}
