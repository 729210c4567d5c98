"""group: an object and its relationship to a person. Rule 8."""

from typing import Any

import pytest

from tests.unit.transform.support import (
    body_of,
    group,
    item_of,
    of_type,
    refusal_of,
    request_of,
)


def test_8_1_a_group_is_an_item_of_a_batch() -> None:
    """POST /api/v2/batch with one object item, ready to be sent as it stands."""
    request = request_of(group(traits={"name": "Acme"}, timestamp="bad", messageId="m"))
    assert (request["method"], request["path"]) == ("POST", "/api/v2/batch")
    assert request["body"] == {
        "batch": [
            {
                "type": "object",
                "action": "identify",
                "identifiers": {"object_type_id": "1", "object_id": "g"},
                "attributes": {"name": "Acme"},
                "cio_relationships": [{"identifiers": {"id": "u"}}],
            }
        ]
    }


@pytest.mark.parametrize("region", ["US", "EU"])
def test_8_1_a_group_goes_to_its_own_region(region: str) -> None:
    """An EU workspace's groups stay in the EU."""
    host = "track" if region == "US" else "track-eu"
    url = request_of(group(), datacenter=region)["url"]
    assert url == f"https://{host}.customer.io/api/v2/batch"


@pytest.mark.parametrize(
    ("members", "object_id"),
    [
        ({"groupId": "g", "traits": {"groupId": "t"}}, "g"),
        ({"groupId": None, "traits": {"groupId": "t"}}, "t"),
        ({"groupId": 0, "traits": {"groupId": 7}}, "7"),
        ({"groupId": 12}, "12"),
        ({"groupId": "cio_1"}, "cio_1"),
    ],
    ids=["groupId", "trait", "number-trait", "number", "no-kind"],
)
def test_8_2_the_object_id_is_group_id_or_the_trait(
    members: dict[str, Any], object_id: str
) -> None:
    """groupId, else traits.groupId; an object's id has no kinds."""
    assert item_of(group(**members))["identifiers"]["object_id"] == object_id


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"traits": {"id": "x"}},
        {"context": {"traits": {"groupId": "x"}}},
        {"traits": {"groupId": []}},
    ],
    ids=["none", "traits.id", "context.traits", "odd"],
)
def test_8_2_without_an_object_id_a_group_is_refused(members: dict[str, Any]) -> None:
    """Nothing else stands in for the group's id."""
    assert refusal_of(group(groupId=None, **members)) == "MISSING_GROUP_ID"


@pytest.mark.parametrize(
    ("value", "type_id"),
    [
        ("42", "42"),
        ("9" * 18, "9" * 18),
        (2, "2"),
        (2.0, "2"),
        (None, "1"),
        ("", "1"),
        (" ", "1"),
        (0, "1"),
        ([], "1"),
        (True, "1"),
    ],
    ids=repr,
)
def test_8_2_the_object_type_is_a_trait_or_1(value: object, type_id: str) -> None:
    """traits.objectTypeId if usable, as text, else "1"; it stays an attribute."""
    item = item_of(group(traits={"objectTypeId": value}))
    assert item["identifiers"]["object_type_id"] == type_id
    assert item["attributes"] == {"objectTypeId": value}


ACTIONS = ["identify", "delete", "add_relationships", "delete_relationships"]


@pytest.mark.parametrize("action", ACTIONS)
def test_8_3_the_action_is_a_trait_or_a_property(action: str) -> None:
    """The first non-empty text of traits.action and properties.action."""
    assert item_of(group(traits={"action": action}))["action"] == action
    for trait in ({}, {"action": ""}, {"action": 5}, {"action": None}):
        event = group(traits=trait, properties={"action": action})
        assert item_of(event)["action"] == action
    event = group(traits={"action": action}, properties={"action": "delete"})
    assert item_of(event)["action"] == action


@pytest.mark.parametrize("action", ["Delete", "remove", " ", "delete ", ["delete"], 1], ids=repr)
def test_8_3_any_other_action_is_identify(action: object) -> None:
    """An unknown text decides, and means identify: it does not fall through to the property."""
    properties = {"action": "delete"} if isinstance(action, str) else {}
    assert item_of(group(traits={"action": action}, properties=properties))["action"] == "identify"


def test_8_4_the_traits_but_action_are_attributes() -> None:
    """Every trait but `action` is an attribute, ids and addresses too; context.traits never."""
    traits = {"action": "delete", "id": 1, "email": "a@b.co", "address": {"city": "C"}, "a.b": None}
    event = group(traits=traits, context={"traits": {"b": 2}}, user_properties={"c": 3})
    assert item_of(event)["attributes"] == {n: v for n, v in traits.items() if n != "action"}


@pytest.mark.parametrize("odd", ["x", 5, False, [{"a": 1}]], ids=repr)
def test_8_4_traits_of_another_type_warn(odd: object) -> None:
    """What is no object gives no attributes and a warning; null and {} give none silently."""
    event = group(traits=odd, context={"traits": {"a": 1}})
    assert item_of(event, "WRONG_TYPE")["attributes"] == {}
    nothing: list[object] = [None, {}]
    for empty in nothing:
        assert item_of(group(traits=empty, context={"traits": {"a": 1}}))["attributes"] == {}


@pytest.mark.parametrize(
    ("members", "person"),
    [
        ({"userId": "u", "context": {"traits": {"id": "c"}}}, {"id": "u"}),
        ({"userId": 5}, {"id": "5"}),
        ({"context": {"traits": {"userId": "c", "id": "d"}}}, {"id": "c"}),
        ({"context": {"traits": {"id": "d", "email": "a@b.co"}}}, {"id": "d"}),
        ({"context": {"traits": {"email": "a@b.co"}}}, {"email": "a@b.co"}),
        ({"properties": {"email": "a@b.co"}}, {"email": "a@b.co"}),
        (
            {"context": {"traits": {"email": "x@y"}}, "properties": {"email": "a@b.co"}},
            {"email": "a@b.co"},
        ),
        ({"userId": "cio_9"}, {"cio_id": "9"}),
        ({"traits": {"id": "own", "userId": "own"}}, None),
        ({"traits": {"email": "a@b.co"}}, None),
        ({"anonymousId": "a"}, None),
        ({"context": {"externalId": [{"id": "a@b.co"}]}}, None),
        ({"traits": {"id": "own"}, "context": {"traits": {"id": "d"}}}, {"id": "d"}),
        ({}, None),
    ],
    ids=[
        "userId",
        "number",
        "context.userId",
        "context.id",
        "context.email",
        "properties.email",
        "skip-bad-email",
        "cio_id",
        "not-traits.id",
        "not-traits.email",
        "not-anonymous",
        "not-external",
        "context-over-own",
        "nobody",
    ],
)
def test_8_5_the_relationship_is_the_persons_identifier(
    members: dict[str, Any], person: dict[str, str] | None
) -> None:
    """userId, context.traits, an email there or in properties; never the group's own traits."""
    related = [] if person is None else [{"identifiers": person}]
    assert item_of(of_type("group", **members))["cio_relationships"] == related


def written(size: int, filling: str) -> dict[str, Any]:
    """A group whose item has so many bytes as sent."""
    traits = {f"k{number:02}": "x" * 1000 for number in range(32)} | {"pad": ""}
    event = group(traits=traits)
    rest = size - (len(request_of(event)["raw"]) - len('{"batch":[]}'))
    assert 0 <= rest <= 1000
    traits["pad"] = "a" * (rest % len(filling.encode())) + filling * (rest // len(filling.encode()))
    return event


@pytest.mark.parametrize("filling", ["a", "é", "日"])
def test_8_4_an_item_of_32_768_bytes_is_sent_and_of_32_769_refused(filling: str) -> None:
    """The item alone is measured, as sent, in UTF-8 (10.2)."""
    body = request_of(written(32_768, filling))["raw"]
    assert len(body) == 32_768 + len('{"batch":[]}')
    assert refusal_of(written(32_769, filling)) == "TOO_LARGE"


def test_8_4_an_item_is_measured_after_the_limits_of_attributes() -> None:
    """What is cut or left out does not make a group too large."""
    event = group(traits={"a": "x" * 50_000, "b": ["y" * 50_000]})
    body = body_of(event, "TEXT_CUT", "VALUE_TOO_LARGE")
    assert body["batch"][0]["attributes"] == {"a": "x" * 1000}
