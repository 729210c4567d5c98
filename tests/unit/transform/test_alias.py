"""alias: two people are one. Rule 7."""

from typing import Any

import pytest

from tests.unit.transform.support import body_of, of_type, refusal_of, request_of

EMAIL = "jane@example.com"


def alias(**members: object) -> dict[str, Any]:
    """An alias of u, who was old."""
    return {"type": "alias", "userId": "u", "previousId": "old"} | members


def test_7_1_an_alias_is_a_merge() -> None:
    """POST /api/v1/merge_customers with the user id as primary and nothing else of the event."""
    request = request_of(alias(timestamp="bad", traits={"a": 1}, messageId="m", properties=5))
    assert (request["method"], request["path"]) == ("POST", "/api/v1/merge_customers")
    assert request["body"] == {"primary": {"id": "u"}, "secondary": {"id": "old"}}


def test_7_1_kinds_of_both_people_are_told() -> None:
    """Each side names its own kind of identifier."""
    body = body_of(alias(userId=EMAIL, previousId="cio_1"))
    assert body == {"primary": {"email": EMAIL}, "secondary": {"cio_id": "1"}}
    assert body_of(alias(userId=5, previousId=7.5)) == {
        "primary": {"id": "5"},
        "secondary": {"id": "7.5"},
    }


@pytest.mark.parametrize(
    "members",
    [
        {"userId": None},
        {"userId": None, "traits": {"email": EMAIL}},
        {"userId": None, "anonymousId": "a"},
        {"userId": ""},
        {"previousId": None},
        {"previousId": " "},
        {"previousId": 0},
        {"previousId": None, "anonymousId": "a", "traits": {"previousId": "p"}},
    ],
    ids=[
        "no-user",
        "email",
        "anonymous",
        "blank",
        "no-previous",
        "blank-previous",
        "0",
        "elsewhere",
    ],
)
def test_7_1_either_missing_is_refused(members: dict[str, Any]) -> None:
    """Neither an email trait nor an anonymousId stands in for an id."""
    assert refusal_of(alias(**members)) == "MISSING_IDENTITY"


@pytest.mark.parametrize(
    "members",
    [
        {"previousId": "u"},
        {"userId": "5", "previousId": 5},
        {"userId": None, "traits": {"id": "old"}},
    ],
    ids=["texts", "number-and-text", "trait"],
)
def test_7_1_both_the_same_is_refused(members: dict[str, Any]) -> None:
    """Nobody is merged with themselves, however the id is written."""
    assert refusal_of(alias(**members)) == "INVALID_ID"


def test_7_1_ids_that_differ_in_case_or_space_are_two() -> None:
    """Ids are compared as they are kept."""
    for previous in ("U", "u ", " u"):
        assert body_of(alias(previousId=previous))["secondary"] == {"id": previous}


@pytest.mark.parametrize(("previous", "anonymous"), [("a", "a"), ("7", 7), (7.0, "7")])
def test_7_2_a_previous_id_that_is_the_anonymous_id_warns(
    previous: object, anonymous: object
) -> None:
    """Customer.io merges known people only: the request goes out, with a warning."""
    body = body_of(alias(previousId=previous, anonymousId=anonymous), "MERGE_OF_ANONYMOUS")
    assert list(body) == ["primary", "secondary"]


@pytest.mark.parametrize("anonymous", ["other", "u", None, [], {}, True, "x" * 200])
def test_7_2_another_anonymous_id_does_not_warn(anonymous: object) -> None:
    """An anonymousId that is not the previousId changes nothing, not even a broken one."""
    assert body_of(alias(anonymousId=anonymous))["secondary"] == {"id": "old"}


def test_7_the_type_is_all_that_makes_an_alias() -> None:
    """previousId means nothing in other types."""
    assert "secondary" not in body_of(of_type("identify", userId="u", previousId="old"))
