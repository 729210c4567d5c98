"""What a group says of its relationship to a person. Rule 13.3."""

from typing import Any

import pytest

from tests.unit.transform.support import group, identify, item_of, packed, refusal_of

FULL: dict[str, Any] = {"groupRelationships": "full"}
TRAITS = {"name": "Acme", "relationshipAttributes": {"role": "admin", "since": 1.0, "was": None}}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_13_3_attributes_of_the_relationship_stand_on_it(version: str) -> None:
    """And not on the object. Both API versions have them."""
    item = item_of(group(traits=TRAITS), apiVersion=version, **FULL)
    assert item["attributes"] == {"name": "Acme"}
    assert item["cio_relationships"] == [
        {
            "identifiers": {"id": "u"},
            "relationship_attributes": {"role": "admin", "since": 1.0, "was": None},
        }
    ]


def test_13_3_by_default_a_group_is_as_in_8() -> None:
    """relationshipAttributes is a trait like any other, and an anonymous profile has no relationship."""
    item = item_of(group(traits=TRAITS))
    assert item["attributes"] == TRAITS
    assert item["cio_relationships"] == [{"identifiers": {"id": "u"}}]
    assert item == item_of(group(traits=TRAITS), groupRelationships="plain")
    anonymous = {"type": "group", "groupId": "g", "anonymousId": "an"}
    assert item_of(anonymous)["action"] == "identify"
    assert item_of(anonymous)["cio_relationships"] == []


@pytest.mark.parametrize("attributes", ["admin", 5, True, ["admin"], []])
def test_13_3_attributes_that_are_no_object_are_ignored(attributes: object) -> None:
    """With a warning; null and {} are nothing to say."""
    item = item_of(group(traits={"relationshipAttributes": attributes}), "WRONG_TYPE", **FULL)
    assert item["cio_relationships"] == [{"identifiers": {"id": "u"}}]
    assert item["attributes"] == {}
    nothing: Any
    for nothing in (None, {}):
        item = item_of(group(traits={"relationshipAttributes": nothing}), **FULL)
        assert item["cio_relationships"] == [{"identifiers": {"id": "u"}}]


def test_13_3_an_anonymous_profile_is_related_by_anonymous_id() -> None:
    """identify_anonymous, with the attributes of both the object and the relationship."""
    event = {"type": "group", "groupId": "g", "anonymousId": 7, "traits": TRAITS}
    item = item_of(event, **FULL)
    assert item["action"] == "identify_anonymous"
    assert item["attributes"] == {"name": "Acme"}
    assert item["cio_relationships"] == [
        {
            "identifiers": {"anonymous_id": "7"},
            "relationship_attributes": TRAITS["relationshipAttributes"],
        }
    ]


def test_13_3_a_known_person_comes_before_the_anonymous_profile() -> None:
    """The anonymous id is looked at only where nothing else names anybody."""
    item = item_of(group(anonymousId="an"), **FULL)
    assert (item["action"], item["cio_relationships"]) == (
        "identify",
        [{"identifiers": {"id": "u"}}],
    )
    event = {"type": "group", "groupId": "g", "anonymousId": {}}
    assert refusal_of(event, **FULL) == "INVALID_ID"
    assert refusal_of(event | {"anonymousId": "a" * 151}, **FULL) == "ID_TOO_LONG"
    assert item_of(event | {"userId": "u"}, **FULL)["action"] == "identify"
    assert item_of(event | {"anonymousId": ""}, **FULL)["cio_relationships"] == []


def test_13_3_order_holds_for_an_anonymous_profile_that_becomes_known() -> None:
    """The relationship is told before the identify that joins the anonymous profile to a person."""
    anonymous = {"type": "group", "groupId": "g", "anonymousId": "an"}
    events = [anonymous, identify(userId="u", anonymousId="an"), identify(userId="v")]
    requests = packed(events, **FULL)
    assert [positions for _, positions in requests] == [[0], [1], [2]]
    assert [positions for _, positions in packed([anonymous, events[2]], **FULL)] == [[1], [0]]


@pytest.mark.parametrize("action", ["delete", "add_relationships", "delete_relationships"])
def test_13_3_other_actions_know_no_anonymous_profiles(action: str) -> None:
    """Customer.io has identify_anonymous and nothing else for them."""
    event = {"type": "group", "groupId": "g", "anonymousId": "an", "traits": {"action": action}}
    item = item_of(event, **FULL)
    assert (item["action"], item["cio_relationships"]) == (action, [])


def test_13_3_the_limits_hold_for_relationships() -> None:
    """4.9: what is too long is cut or left out, and said."""
    attributes: dict[str, Any] = {"long": "x" * 1001, "n" * 151: 1, "list": ["x" * 1000]}
    item = item_of(
        group(traits={"relationshipAttributes": attributes}),
        "TEXT_CUT",
        "ATTRIBUTE_NAME_TOO_LONG",
        "VALUE_TOO_LARGE",
        **FULL,
    )
    (relationship,) = item["cio_relationships"]
    assert relationship["relationship_attributes"] == {"long": "x" * 1000}


def test_13_3_an_item_is_measured_with_its_relationship() -> None:
    """10.2: attributes of the relationship count towards the item."""
    attributes = {f"a{number}": "x" * 1000 for number in range(40)}
    event = group(traits={"relationshipAttributes": attributes})
    assert refusal_of(event, **FULL) == "TOO_LARGE"
