"""Both API versions mean the same of people: kinds of ids, id changes, relationships, large identifies.

What differs on purpose: rule 3.8 (v1 has no kinds of user ids), rule 13.4 (nor phone numbers).
"""

from typing import Any

import pytest

from .sandbox_state import state_after

PERSON = {"object": "person"}
DEVICE = {"device": {"token": "t", "type": "ios"}}
# The first person that a sandbox gets to know has this cio_id.
FIRST = "cio_03000001"
SETTLED: dict[str, Any] = {"connection": PERSON, "createdAtFallback": "none"}


def row(**identifiers: Any) -> dict[str, Any]:
    """A row that makes a person, whatever kind user ids are of."""
    created = {"created_at": 1_772_500_000}
    return {"type": "record", "action": "insert", "identifiers": identifiers | created}


def identify(user_id: str = "u", minute: int = 0, **members: Any) -> dict[str, Any]:
    """An identify of a minute."""
    return {"type": "identify", "userId": user_id, "timestamp": time_of(minute)} | members


def time_of(minute: int) -> str:
    """A time, so that nothing depends on the clock."""
    return f"2026-03-04T05:{minute:02}:00Z"


def track(user_id: str, name: str, minute: int = 30, **members: Any) -> dict[str, Any]:
    """A track of a minute."""
    event = {"type": "track", "userId": user_id, "event": name, "timestamp": time_of(minute)}
    return event | {"messageId": name} | members


def both(events: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    """Return what the events leave behind, once both API versions agree on it."""
    one, two = (state_after(events, version, **SETTLED | options) for version in ("v1", "v2"))
    assert one == two
    return one


def of_every_type(user_id: str, previous_id: str) -> list[dict[str, Any]]:
    """What goes out under a user id, in order, all of one person."""
    known = {"userId": user_id, "timestamp": time_of(10)}
    return [
        identify(user_id, traits={"plan": "pro"}),
        track(user_id, "Paid"),
        {"type": "page", "name": "Home", "messageId": "p", **known},
        {"type": "screen", "event": "Cart", "messageId": "s", **known},
        track(user_id, "Application Opened", context=DEVICE),
        {"type": "group", "groupId": "acme", "traits": {"seats": 3}, **known},
        {"type": "alias", "previousId": previous_id, **known},
    ]


@pytest.mark.parametrize(
    ("kind", "user_id", "previous_id"),
    [
        ("id", "u", "old"),
        ("email", "jane@example.com", "old@example.com"),
        ("cio_id", FIRST, "cio_03000002"),
    ],
)
def test_3_8_a_kind_that_the_id_shows_means_the_same_in_both(
    kind: str, user_id: str, previous_id: str
) -> None:
    """v1 goes by the shape, v2 by the kind: every type of event reaches the same person."""
    # One after the other, so that their cio_ids are the same in both.
    people = [[row(id="u", email="jane@example.com")], [row(id="old", email="old@example.com")]]
    events = of_every_type(user_id, previous_id)
    found = both(events, first=people, userIdIdentifierType=kind)
    assert list(found["people"]) == ["u"]
    known = found["people"]["u"]
    assert known["attributes"]["plan"] == "pro"
    assert len(known["events"]) == 3
    assert len(known["devices"]) == len(known["relationships"]) == 1


def test_3_8_a_kind_that_the_id_does_not_show_is_what_v1_cannot_say() -> None:
    """An id that looks like an email is an email in v1, and an id in v2: two different people."""
    events = [identify("jane@example.com", traits={"plan": "pro"})]
    one, two = (
        state_after(events, version, **SETTLED, userIdIdentifierType="id")
        for version in ("v1", "v2")
    )
    assert list(one["people"]) == list(two["people"]) == ["jane@example.com"]
    assert one["people"]["jane@example.com"]["email"] == "jane@example.com"
    assert two["people"]["jane@example.com"]["email"] is None


def related(action: str | None, *object_ids: str, minute: int) -> dict[str, Any]:
    """An identify that adds relationships, by a list alone, or does what its action says."""
    listed = [
        {
            "identifiers": {"object_type_id": "1", "object_id": object_id},
            "relationship_attributes": {"role": "owner"},
        }
        for object_id in object_ids
    ]
    written = listed if action is None else {"action": action, "relationships": listed}
    return identify(minute=minute, traits={"turn": minute, "cio_relationships": written})


def test_4_8b_relationships_are_added_and_removed_by_identifies() -> None:
    """In order, also where the removal leaves the batch; a row may do both too."""
    events = [
        related(None, "a", "b", "c", minute=1),
        related("delete_relationships", "a", minute=2),
        related("add_relationships", "d", minute=3),
        related("delete_relationships", "d", "b", minute=4),
        related(None, "a", minute=5),
        track("u", "Paid"),
    ]
    known = both(events)["people"]["u"]
    assert sorted(object_ids(known)) == ["a", "c"]
    assert known["attributes"]["turn"] == 5
    removed = {
        "action": "delete_relationships",
        "relationships": [{"identifiers": {"object_type_id": "1", "object_id": "c"}}],
    }
    rows = [row(id="u", cio_relationships=removed)]
    known = both(rows, first=[events])["people"]["u"]
    assert object_ids(known) == ["a"]


def object_ids(known: dict[str, Any]) -> list[str]:
    """The objects that a person is related to."""
    return [text.split('"object_id": "')[1].split('"')[0] for text in known["relationships"]]


@pytest.mark.parametrize(
    ("old", "made"),
    [
        (FIRST, row(id="u", email="jane@example.com")),
        ("jane@example.com", row(email="jane@example.com")),
    ],
    ids=["by cio_id", "by email"],
)
@pytest.mark.parametrize(("source", "new"), [("traits", "new"), ("user_properties", 12345)])
def test_4_2_an_id_is_changed_by_cio_id_and_assigned_by_email(
    old: str, made: dict[str, Any], source: str, new: object
) -> None:
    """What follows under the new id is of the same person."""
    events = [
        track(old, "Before"),
        identify(old) | {source: {"id": new, "plan": "pro"}},
        track(str(new), "After"),
        {"type": "group", "groupId": "acme", "userId": str(new), "timestamp": time_of(40)},
    ]
    found = both(events, first=[[made]])
    assert list(found["people"]) == [str(new)]
    known = found["people"][str(new)]
    assert known["email"] == "jane@example.com"
    assert known["attributes"]["plan"] == "pro"
    assert len(known["events"]) == 2
    assert len(known["relationships"]) == 1


def test_4_2_by_id_an_id_is_not_changed_and_the_update_is_not_lost() -> None:
    """Customer.io would answer 200 and drop all of it."""
    found = both([identify(traits={"id": "new", "cio_id": None, "plan": "pro"})])
    assert found["people"]["u"]["attributes"]["plan"] == "pro"
    assert list(found["people"]) == ["u"]


FORMS: list[dict[str, Any]] = [
    {"created_at": "2026-01-02T03:04:05Z"},
    {"created_at": 1767323045678},
    {"created_at": "soon", "plan": "pro"},
    {"created_at": None, "plan": "pro"},
    {"anonymous_id": 12, "plan": "pro"},
    {"anonymous_id": {}, "plan": "pro"},
    {"cio_subscription_preferences": {"topics": {"a": "yes", "b": 0, "c": "x"}}},
    {"cio_subscription_preferences": '{"topics":{"a":"no"},"channels":{"email":true}}'},
    {"cio_subscription_preferences": "all", "plan": "pro"},
    {
        "cio_subscription_preferences": {"topics": {"a": True}},
        "cio_subscription_preferences.topics.a": "off",
        "cio_subscription_preferences.topics.b": "on",
    },
    {"cio_relationships": "acme", "plan": "pro"},
    {"email": " jane@example.com\n"},
]


@pytest.mark.parametrize("source", ["traits", "user_properties", "identifiers"])
def test_4_8b_reserved_attributes_arrive_in_a_form_that_both_take(source: str) -> None:
    """Of traits, user_properties and rows: nothing is refused, nobody is lost."""
    events = [
        # A row has a time of its own under created_at.
        row(**attributes | {"id": f"u{n}"})
        if source == "identifiers"
        else identify(f"u{n}") | {source: attributes}
        for n, attributes in enumerate(FORMS)
    ]
    people = both(events)["people"]
    for n, attributes in enumerate(FORMS):
        known = people[f"u{n}"]["attributes"]
        assert known.get("plan") == attributes.get("plan")
        preferences = known.get("cio_subscription_preferences", {"topics": {}})
        assert all(type(topic) is bool for topic in preferences["topics"].values())
    assert people["u11"]["email"] == "jane@example.com"


def test_4_8b_a_timestamp_orders_updates_in_both() -> None:
    """An older update, by the attribute `_timestamp`, does not overwrite a newer one."""
    events = [
        {"type": "identify", "userId": "u", "traits": {"_timestamp": stamp, "plan": plan}}
        for stamp, plan in [
            ("2026-03-04T05:00:00Z", "pro"),
            (1772600399000, "older"),
            ("1772600398", "oldest"),
        ]
    ]
    assert both(events)["people"]["u"]["attributes"]["plan"] == "pro"


def test_4_8b_an_anonymous_id_that_is_a_number_ties_events_to_the_person() -> None:
    """It reaches Customer.io as text, as the event's own did."""
    visited = {"type": "track", "anonymousId": 12, "event": "Visited", "timestamp": time_of(0)}
    found = both([identify(traits={"anonymous_id": 12})], first=[[visited | {"messageId": "v"}]])
    assert len(found["people"]["u"]["events"]) == 1


LARGE = {f"t{n:02}": "é" * 490 for n in range(40)}


@pytest.mark.parametrize("user_id", ["u", "jane@example.com", FIRST])
def test_10_2_a_large_identify_arrives_in_its_place_in_both(user_id: str) -> None:
    """By v1 in both: 39,000 bytes of attributes, between smaller updates of the same person."""
    events = [
        identify(user_id, minute=1, traits={"turn": 1, "only": 1}),
        identify("other", minute=1, traits={"turn": 1}),
        identify(user_id, minute=2, traits={"turn": 2, "large": True} | LARGE),
        track(user_id, "Paid", minute=3),
        identify(user_id, minute=4, traits={"turn": 4, "t00": None}),
        identify("other", minute=4, traits={"turn": 4}),
    ]
    found = both(events, first=[[row(id="u", email="jane@example.com")]])
    known = found["people"]["u"]
    wanted = {"turn": 4, "only": 1, "large": True} | LARGE
    del wanted["t00"]
    assert known["attributes"].items() >= wanted.items()
    assert len(known["events"]) == 1
    assert found["people"]["other"]["attributes"]["turn"] == 4


def test_10_2_large_rows_and_large_identifies_without_time_keep_their_order() -> None:
    """What the order alone decides: no update says when it was."""
    sizes = [LARGE, {}, LARGE, {}, {}]
    events = [
        {"type": "identify", "userId": "u", "traits": {"turn": turn} | more}
        for turn, more in enumerate(sizes)
    ]
    assert both(events)["people"]["u"]["attributes"]["turn"] == 4
    rows = [
        {"type": "record", "action": "update", "identifiers": {"id": "u", "turn": turn} | more}
        for turn, more in enumerate(sizes)
    ]
    assert both(rows)["people"]["u"]["attributes"]["turn"] == 4
