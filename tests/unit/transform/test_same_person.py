"""An alias of one person in two spellings. Rule 7.1."""

from typing import Any

import pytest

from .api_versions import v1_body, v2_item
from .support import of_type, refusal_of

BOTH = ["v1", "v2"]


def alias(user_id: object, previous_id: object, **more: Any) -> dict[str, Any]:
    """An alias of two ids."""
    return of_type("alias", userId=user_id, previousId=previous_id, **more)


@pytest.mark.parametrize("api_version", BOTH)
@pytest.mark.parametrize(
    ("user_id", "previous_id"),
    [
        ("u", "u"),
        ("JANE@example.com", "jane@example.com"),
        ("jane@example.com", "Jane@Example.COM"),
        ("ЖАННА@почта.рф", "жанна@ПОЧТА.рф"),
        ("cio_abc", "cio_abc"),
        (12, "12"),
        (7.0, 7),
        (" u", " u"),
    ],
)
def test_7_1_the_same_kind_and_value_is_refused(
    user_id: object, previous_id: object, api_version: str
) -> None:
    """Emails in any case; numbers as text."""
    event = alias(user_id, previous_id)
    assert refusal_of(event, apiVersion=api_version) == "INVALID_ID"
    assert refusal_of(event | {"anonymousId": "a"}, apiVersion=api_version) == "INVALID_ID"


@pytest.mark.parametrize(
    ("user_id", "previous_id", "primary", "secondary"),
    [
        ("U", "u", {"id": "U"}, {"id": "u"}),
        ("u", " u", {"id": "u"}, {"id": " u"}),
        ("cio_abc", "abc", {"cio_id": "abc"}, {"id": "abc"}),
        ("cio_abc", "cio_ABC", {"cio_id": "abc"}, {"cio_id": "ABC"}),
        ("CIO_abc", "cio_abc", {"id": "CIO_abc"}, {"cio_id": "abc"}),
        ("X@y", "x@y", {"id": "X@y"}, {"id": "x@y"}),
        ("a@b.co", "b@b.co", {"email": "a@b.co"}, {"email": "b@b.co"}),
        ("a@b.co", " a@b.co", {"email": "a@b.co"}, {"id": " a@b.co"}),
    ],
)
def test_7_1_another_kind_or_value_is_somebody_else(
    user_id: str, previous_id: str, primary: dict[str, str], secondary: dict[str, str]
) -> None:
    """Ids are the same in the same case only. Both sides go out as they are written."""
    event = alias(user_id, previous_id)
    assert v1_body(event) == {"primary": primary, "secondary": secondary}
    item = v2_item(event)
    assert (item["action"], item["primary"], item["secondary"]) == ("merge", primary, secondary)


@pytest.mark.parametrize(
    ("kind", "user_id", "previous_id"),
    [
        ("cio_id", "abc", "cio_abc"),
        ("cio_id", "cio_abc", "abc"),
        ("email", "A@b.co", "a@b.co"),
        ("id", "a@b.co", "a@b.co"),
    ],
)
def test_7_1_as_they_would_be_sent_under_a_kind(kind: str, user_id: str, previous_id: str) -> None:
    """Rule 3.8 decides what is the same."""
    event = alias(user_id, previous_id)
    assert refusal_of(event, apiVersion="v2", userIdIdentifierType=kind) == "INVALID_ID"


@pytest.mark.parametrize(
    ("kind", "user_id", "previous_id"),
    [("id", "A@b.co", "a@b.co"), ("id", "cio_abc", "abc"), ("cio_id", "abc", "ABC")],
)
def test_7_1_under_a_kind_others_are_somebody_else(
    kind: str, user_id: str, previous_id: str
) -> None:
    """An id that looks like an email is an id: case counts."""
    item = v2_item(alias(user_id, previous_id), userIdIdentifierType=kind)
    bare = user_id.removeprefix("cio_") if kind == "cio_id" else user_id
    assert (item["primary"], item["secondary"]) == ({kind: bare}, {kind: previous_id})
