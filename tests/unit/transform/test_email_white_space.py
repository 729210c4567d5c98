"""White space around an email. Rules 2.3, 3.2, 4.8b, 8.5, 9.2."""

from typing import Any

import pytest

from .api_versions import PERSON, attributes_of_both, in_either_place, v1_body, v2_item
from .support import group, identify, item_of, of_type, refusal_of, request_of, row

JANE = "jane@example.com"
WARNING = "WHITE_SPACE_REMOVED"
# All of Unicode's White_Space that an email meets in practice, and its rarest members.
AROUND = [" ", "\n", "\t", "\r\n", "\u00a0", "\u2028", "\u3000", "\x85", "\u1680"]
# Neither is white space by Unicode: a zero width space, a separator of files.
NOT_WHITE_SPACE = ["\u200b", "\x1c", "\ufeff"]


@pytest.mark.parametrize("space", AROUND)
def test_2_3_white_space_around_an_email_that_is_looked_for_is_taken_off(space: str) -> None:
    """Rule 3.2, without a warning: only the attribute warns."""
    event = of_type("track", anonymousId="a", properties={"email": f"{space}{JANE}{space}"})
    assert v2_item(event)["identifiers"] == {"email": JANE}
    assert request_of(event)["path"] == "/api/v1/customers/jane%40example.com/events"


@pytest.mark.parametrize("other", NOT_WHITE_SPACE)
def test_2_3_other_invisible_characters_stay(other: str) -> None:
    """The attribute is sent as it came, without a warning."""
    for event in in_either_place({"email": JANE + other}):
        assert attributes_of_both(event)["email"] == JANE + other


@pytest.mark.parametrize(
    "place",
    [
        {"traits": {"email": f" {JANE}\n"}},
        {"context": {"traits": {"email": f" {JANE}\n"}}},
        {"properties": {"email": f" {JANE}\n"}},
        {"context": {"externalId": [{"id": f" {JANE}\n"}]}},
    ],
)
def test_2_3_in_every_place_where_3_2_looks(place: dict[str, Any]) -> None:
    """traits, context.traits, properties, externalId."""
    assert v2_item(of_type("page", **place))["identifiers"] == {"email": JANE}


def test_2_3_in_every_place_where_8_5_looks() -> None:
    """A group's person by context.traits or properties."""
    for place in (
        {"context": {"traits": {"email": f"{JANE} "}}},
        {"properties": {"email": f" {JANE}"}},
    ):
        item = item_of(of_type("group", **place))
        assert item["cio_relationships"] == [{"identifiers": {"email": JANE}}]


@pytest.mark.parametrize("space", AROUND)
def test_2_3_white_space_around_the_attribute_is_taken_off_with_a_warning(space: str) -> None:
    """From traits and from user_properties, in both API versions."""
    for event in in_either_place({"email": f"{space}{JANE}{space}"}):
        assert attributes_of_both(event, WARNING)["email"] == JANE


@pytest.mark.parametrize("written", [JANE, "", None, 7, True, ["a"], {"a": 1}, "x@y", "a b@c.d"])
def test_4_8b_anything_else_that_stands_under_email_stays_as_it_is(written: object) -> None:
    """Without a warning."""
    for event in in_either_place({"email": written}):
        assert attributes_of_both(event)["email"] == written


def test_2_3_an_id_is_not_trimmed() -> None:
    """Rule 2.1: kept as it is. With white space around it a user id is no email (3.7)."""
    assert v2_item(identify(userId=f" {JANE}"))["identifiers"] == {"id": f" {JANE}"}
    event = identify(userId=f" {JANE}")
    assert refusal_of(event, apiVersion="v2", userIdIdentifierType="email") == "INVALID_ID"


def test_2_3_an_identify_by_email_sends_the_same_email_twice() -> None:
    """The path is without white space, and so is the attribute, which warns."""
    event = of_type("identify", traits={"email": f" {JANE} "})
    assert v1_body(event, WARNING, createdAtFallback="none") == {"email": JANE}
    assert request_of(event, WARNING)["path"] == "/api/v1/customers/jane%40example.com"
    assert v2_item(event, WARNING)["identifiers"] == {"email": JANE}


@pytest.mark.parametrize(
    "none", ["n/a", "", " ", "x@y", "a b@c.d", "jane@example", 7, True, {"a": JANE}, [JANE], None]
)
def test_9_2_an_email_that_is_none_counts_as_absent(none: object) -> None:
    """Every row with "n/a" would land on one person."""
    for api_version in ("v1", "v2"):
        refusal = refusal_of(row(email=none), connection=PERSON, apiVersion=api_version)
        assert refusal == "MISSING_IDENTITY"


@pytest.mark.parametrize("api_version", ["v1", "v2"])
@pytest.mark.parametrize("action", ["insert", "update", "delete"])
def test_9_2_a_row_goes_by_its_email_without_white_space(action: str, api_version: str) -> None:
    """And without a warning, since the email is no attribute then."""
    event = row(action, email=f"\t{JANE} ", plan="pro")
    request = request_of(event, connection=PERSON, apiVersion=api_version)
    if api_version == "v1":
        assert request["path"] == "/api/v1/customers/jane%40example.com"
    else:
        (item,) = request["body"]["batch"]
        assert item["identifiers"] == {"email": JANE}


def test_9_2_a_row_of_an_event_goes_by_its_email_too() -> None:
    """Rule 9.2 holds for both kinds of rows."""
    rows = {"object": "event"}
    event = row(email=f" {JANE}", name="Paid")
    assert (
        request_of(event, connection=rows)["path"] == "/api/v1/customers/jane%40example.com/events"
    )
    assert refusal_of(row(email="n/a", name="Paid"), connection=rows) == "MISSING_IDENTITY"


def test_9_2_beside_an_id_the_email_is_an_attribute() -> None:
    """With white space it is trimmed with a warning (4.8b); one that is none stays as it is."""
    event = row(id="u", email=f"{JANE} ")
    assert attributes_of_both(event, WARNING, connection=PERSON) == {"email": JANE}
    assert attributes_of_both(row(id="u", email="n/a"), connection=PERSON) == {"email": "n/a"}


def test_2_3_a_group_s_own_email_is_no_person_s() -> None:
    """An object's attribute named email is passed on as it came (1.3)."""
    assert item_of(group(traits={"email": " a@b.co "}))["attributes"] == {"email": " a@b.co "}
