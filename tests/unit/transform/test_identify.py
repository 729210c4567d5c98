"""identify: which traits become attributes. Rules 4.1-4.4."""

from typing import Any

import pytest

from tests.unit.transform.support import (
    TIME,
    TIME_S,
    attributes_of,
    identify,
    request_of,
)


def test_4_an_identify_is_a_put_of_the_attributes() -> None:
    """PUT /api/v1/customers/{id} with the attributes as one flat object."""
    event = identify(traits={"plan": "pro"}, timestamp=TIME, anonymousId="a")
    request = request_of(event)
    assert (request["method"], request["path"]) == ("PUT", "/api/v1/customers/u")
    assert request["body"] == {
        "plan": "pro",
        "created_at": TIME_S,
        "_timestamp": TIME_S,
        "anonymous_id": "a",
    }


@pytest.mark.parametrize(
    ("members", "warnings", "expected"),
    [
        ({"traits": {"a": 1}, "context": {"traits": {"b": 2}}}, [], {"a": 1}),
        ({"traits": {}, "context": {"traits": {"b": 2}}}, [], {"b": 2}),
        ({"traits": None, "context": {"traits": {"b": 2}}}, [], {"b": 2}),
        ({"context": {"traits": {"b": 2}}}, [], {"b": 2}),
        ({"traits": "x", "context": {"traits": {"b": 2}}}, ["WRONG_TYPE"], {"b": 2}),
        ({"traits": [{"a": 1}], "context": {"traits": {"b": 2}}}, ["WRONG_TYPE"], {"b": 2}),
        ({"traits": False, "context": {"traits": {"b": 2}}}, ["WRONG_TYPE"], {"b": 2}),
        ({"traits": 0, "context": {"traits": 0}}, ["WRONG_TYPE"] * 2, {}),
        ({"traits": {"a": 1}, "context": {"traits": "x"}}, [], {"a": 1}),
        ({"traits": {}, "context": {"traits": {}}}, [], {}),
        ({}, [], {}),
    ],
    ids=[
        "traits",
        "empty",
        "null",
        "context",
        "text",
        "array",
        "false",
        "both-odd",
        "context-not-judged",
        "both-empty",
        "neither",
    ],
)
def test_4_1_traits_or_else_context_traits(
    members: dict[str, Any], warnings: list[str], expected: dict[str, Any]
) -> None:
    """`traits` if it is a non-empty object, else context.traits; another type warns."""
    assert attributes_of(identify(**members), *warnings) == expected


@pytest.mark.parametrize(
    "name",
    [
        "a.b.c",
        "a.b.3",
        "a\\b",
        "c\\",
        "d\\.e",
        "x.y/z",
        "007",
        "1e3",
        " 5 ",
        "",
        "constructor",
        "__proto__",
        "$set",
        "日本 😀",
        'quote"',
        "null",
        "created-at",
        "useriD",
    ],
)
def test_4_2_a_trait_keeps_its_name(name: str) -> None:
    """Every trait is an attribute under its own name, from traits and user_properties alike."""
    assert attributes_of(identify(traits={name: "V"})) == {name: "V"}
    assert attributes_of(identify(user_properties={name: "V"})) == {name: "V"}


def test_4_2_four_traits_are_no_attributes() -> None:
    """address, createdAt, userId and anonymousId are not sent as such."""
    traits = {"address": None, "createdAt": None, "userId": "x", "anonymousId": "y", "a": 1}
    assert attributes_of(identify(traits=traits)) == {"a": 1}


@pytest.mark.parametrize("place", ["traits", "user_properties"])
@pytest.mark.parametrize("name", ["id", "cio_id"])
@pytest.mark.parametrize("foreign", ["v", "U", "", None, 5, 0, True, ["u"], {"id": "u"}], ids=repr)
def test_4_2_a_foreign_id_is_left_out_with_a_warning(
    place: str, name: str, foreign: object
) -> None:
    """An `id` or `cio_id` other than the one in the path would make Customer.io drop the update."""
    event = identify(**{place: {name: foreign, "a": 1}})
    assert attributes_of(event, "ID_ATTRIBUTE_LEFT_OUT") == {"a": 1}


@pytest.mark.parametrize(
    ("user_id", "same"), [("u", "u"), ("5", 5), (5, "5"), (5, 5), ("7.5", 7.5)]
)
@pytest.mark.parametrize("name", ["id", "cio_id"])
def test_4_2_the_same_id_is_left_out_silently(user_id: object, same: object, name: str) -> None:
    """An id that says, as text, what the path says is not worth a warning, nor a member."""
    assert attributes_of(identify(userId=user_id, traits={name: same})) == {}


def test_4_2_a_trait_id_that_addresses_the_person_is_not_foreign() -> None:
    """With traits.id as the user id there is nothing to warn of."""
    request = request_of({"type": "identify", "traits": {"id": "t"}}, createdAtFallback="none")
    assert (request["path"], request["body"]) == ("/api/v1/customers/t", {})


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        (
            {
                "address": {
                    "city": "C",
                    "country": None,
                    "postalCode": 1,
                    "state": "S",
                    "street": [],
                }
            },
            {"city": "C", "country": None, "postalCode": 1, "state": "S", "street": []},
        ),
        ({"address": {"city": "C"}, "city": "T"}, {"city": "T"}),
        ({"city": None, "address": {"city": "C"}}, {"city": None}),
        ({"address": {"city": "C", "zip": "1"}}, {"city": "C", "address": {"zip": "1"}}),
        ({"address": {"zip": None, "City": "C"}}, {"address": {"zip": None, "City": "C"}}),
        ({"address": {}}, {}),
        ({"address": None}, {}),
        ({"address": "1 Rue"}, {"address": "1 Rue"}),
        ({"address": ""}, {"address": ""}),
        ({"address": False}, {"address": False}),
        ({"address": 0}, {"address": 0}),
        ({"address": []}, {"address": []}),
    ],
    ids=[
        "five",
        "trait-wins",
        "null-trait-wins",
        "rest-stays",
        "only-rest",
        "empty",
        "null",
        "text",
        "blank",
        "false",
        "zero",
        "array",
    ],
)
def test_4_3_address_moves_up_and_loses_nothing(
    traits: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Five members move to the top level; whatever else there is stays as `address`."""
    assert attributes_of(identify(traits=traits)) == expected
    assert attributes_of(identify(context={"traits": traits})) == expected


def test_4_4_user_properties_go_over_the_traits() -> None:
    """All members of user_properties are added, over traits and the parts of the address."""
    event = identify(
        traits={"a": 1, "b": 1, "address": {"city": "C", "zip": 1}},
        user_properties={
            "b": 2,
            "city": "D",
            "address": {"city": "E"},
            "userId": 7,
            "createdAt": "x",
        },
    )
    assert attributes_of(event) == {
        "a": 1,
        "b": 2,
        "city": "D",
        "address": {"city": "E"},
        "userId": 7,
        "createdAt": "x",
    }


@pytest.mark.parametrize("odd", [None, 5, "x", [{"a": 1}], True, {}], ids=repr)
def test_4_4_user_properties_of_another_type_are_ignored(odd: object) -> None:
    """What is no object adds nothing and does not warn; nor does context.user_properties count."""
    event = identify(user_properties=odd, context={"user_properties": {"a": 1}})
    assert attributes_of(event) == {}


def test_4_4_the_later_rules_hold_for_user_properties() -> None:
    """unsubscribed, created_at and the ids are treated wherever they come from."""
    event = identify(
        user_properties={"unsubscribed": "YES", "anonymous_id": "x", "_timestamp": 1},
        anonymousId="a",
        timestamp=TIME,
    )
    expected = {"unsubscribed": True, "anonymous_id": "a", "_timestamp": TIME_S}
    assert attributes_of(event) == expected
