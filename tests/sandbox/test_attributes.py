"""How attributes change."""

import json

import pytest

from tests.sandbox.support import Track


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("version", [1, 2])
def test_null_and_empty_text_remove_an_attribute(track: Track, value: object, version: int) -> None:
    """In both versions; other empty values are values."""
    track.identify("u1", plan="pro", none=0, no=False, empty=[])
    if version == 1:
        track.identify("u1", plan=value)
    else:
        track.person_op("identify", {"id": "u1"}, attributes={"plan": value})
    assert track.attributes(id="u1") == {"none": 0, "no": False, "empty": []}


@pytest.mark.parametrize(
    ("value", "unsubscribed"),
    [
        (True, True),
        (1, True),
        ("1", True),
        ("true", True),
        ("TRUE", True),
        ("tRuE", True),
        (False, False),
        (0, False),
        ("false", False),
        ("yes", False),
        ("true ", False),
        ("unsubscribed", False),
        (2, False),
        ([True], False),
    ],
)
def test_unsubscribed_has_an_odd_rule(track: Track, value: object, unsubscribed: bool) -> None:
    """true in any case, 1 and "1" unsubscribe; every other value subscribes."""
    track.identify("u1", unsubscribed=value)
    assert track.attributes(id="u1") == {"unsubscribed": unsubscribed}


def test_a_text_that_subscribes_by_surprise_is_remarked_on(track: Track) -> None:
    """ "yes" means subscribed, and the log says so."""
    track.identify("u1", unsubscribed="yes")
    assert track.last() == ("applied", "unsubscribed 'yes' means subscribed")


def test_timestamp_orders_v1_updates(track: Track) -> None:
    """An older update does not overwrite what a newer one set, and still sets the rest."""
    track.identify("u1", plan="new", _timestamp=2_000)
    track.identify("u1", plan="old", city="Berlin", _timestamp=1_000)
    assert track.attributes(id="u1") == {"plan": "new", "city": "Berlin"}
    assert track.last() == ("partly", "older than the stored value: plan")
    track.identify("u1", plan="same second", _timestamp=2_000)
    assert track.attributes(id="u1")["plan"] == "same second"


def test_an_older_update_does_not_bring_back_what_was_removed(track: Track) -> None:
    """Removal has its time too."""
    track.identify("u1", plan="", _timestamp=2_000)
    track.identify("u1", plan="old", _timestamp=1_000)
    assert track.attributes(id="u1") == {}


def test_timestamp_orders_v2_updates(track: Track) -> None:
    """There it is beside the attributes; one without is from now."""
    who = {"id": "u1"}
    track.person_op("identify", who, attributes={"plan": "now"})
    track.person_op("identify", who, attributes={"plan": "old"}, timestamp=1_000)
    assert track.attributes(id="u1") == {"plan": "now"}


@pytest.mark.parametrize("timestamp", ["soon", "2024-01-02T03:04:05Z", 1_700_000_000_000, -1, 1.5])
def test_an_invalid_timestamp_is_now(track: Track, timestamp: object) -> None:
    """Milliseconds and texts do not count: such an update is newer than any past one."""
    track.identify("u1", plan="past", _timestamp=1_000)
    track.identify("u1", plan="now", _timestamp=timestamp)
    assert track.attributes(id="u1") == {"plan": "now"}
    assert "the current time is used" in track.last()[1]


def test_a_dotted_name_changes_one_preference(track: Track) -> None:
    """The whole object replaces; a name with dots changes one topic and keeps the others."""
    name = "cio_subscription_preferences"
    track.identify("u1", **{name: {"topics": {"topic_1": True, "topic_2": True}}})
    track.identify("u1", **{f"{name}.topics.topic_1": False})
    assert track.attributes(id="u1") == {name: {"topics": {"topic_1": False, "topic_2": True}}}
    track.identify("u1", **{name: {"channels": {"email": False}}})
    assert track.attributes(id="u1") == {name: {"channels": {"email": False}}}
    track.identify("u2", **{f"{name}.topics.topic_3": True, "a.b": 1})
    assert track.attributes(id="u2") == {name: {"topics": {"topic_3": True}}, "a.b": 1}


def test_preferences_as_text_are_dropped(track: Track) -> None:
    """They must be an object, not the JSON text of one."""
    track.identify("u1", cio_subscription_preferences=json.dumps({"topics": {}}), plan="pro")
    assert track.attributes(id="u1") == {"plan": "pro"}
    assert track.last()[0] == "partly"


def test_a_created_at_that_is_not_in_seconds_is_remarked_on(track: Track) -> None:
    """It is kept as it is, but no rule on times will match it."""
    track.identify("u1", created_at="2024-01-02")
    assert track.attributes(id="u1") == {"created_at": "2024-01-02"}
    assert "no rule on times matches" in track.last()[1]


def test_a_person_has_at_most_300_attributes(track: Track) -> None:
    """Of two requests within the limit, the second loses what is over."""
    track.identify("u1", **{f"a{number}": 1 for number in range(300)})
    track.identify("u1", a1=2, b1=1)
    attributes = track.attributes(id="u1")
    assert len(attributes) == 300
    assert attributes["a1"] == 2
    assert track.last()[0] == "partly"


def test_values_of_any_type_are_kept(track: Track) -> None:
    """Twenty-digit integers, floats, nested objects, text of any script."""
    values = {"big": 12345678901234567890, "f": 1.5, "o": {"a": [1, None]}, "t": "日本 é"}
    track.identify("u1", **values)
    assert track.attributes(id="u1") == values
