"""Identifiers among the attributes: what assigns an id, and what is left out. Rule 4.2."""

from typing import Any

import pytest

from .api_versions import PERSON, attributes_of_both, in_either_place, v2_item
from .support import attributes_of, identify, of_type, row, text_of_bytes

LEFT_OUT = "ID_ATTRIBUTE_LEFT_OUT"
# Both API versions address them by something else than an id.
OTHERWISE = ["cio_abc", "jane@example.com"]
USABLE = [("new", "new"), (12345, "12345"), (7.5, "7.5"), (5.0, "5"), (-3, "-3"), (" x ", " x ")]
UNUSABLE = [None, "", " ", 0, 0.0, True, False, {}, {"a": 1}, [], ["new"], 1e21, "undefined"]


@pytest.mark.parametrize("user_id", OTHERWISE)
@pytest.mark.parametrize(("written", "text"), USABLE)
def test_4_2_by_cio_id_or_email_a_usable_id_stays_as_text(
    written: object, text: str, user_id: str
) -> None:
    """That is how an id is changed, and how it is assigned."""
    for event in in_either_place({"id": written, "plan": "pro"}):
        assert attributes_of_both(event | {"userId": user_id}) == {"id": text, "plan": "pro"}


def test_4_2_an_email_of_the_traits_is_such_a_path_too() -> None:
    """Without a user id an identify may go by email (3.3), and user_properties assign the id."""
    event = of_type("identify", traits={"email": "a@b.co"}, user_properties={"id": "new"})
    assert attributes_of_both(event) == {"email": "a@b.co", "id": "new"}


@pytest.mark.parametrize("user_id", OTHERWISE)
@pytest.mark.parametrize("written", UNUSABLE)
def test_4_2_an_id_that_is_not_usable_is_left_out_with_a_warning(
    written: object, user_id: str
) -> None:
    """Customer.io would answer 200 and drop the update."""
    for event in in_either_place({"id": written, "plan": "pro"}):
        assert attributes_of_both(event | {"userId": user_id}, LEFT_OUT) == {"plan": "pro"}


@pytest.mark.parametrize("letter", ["a", "é", "日"])
@pytest.mark.parametrize("user_id", OTHERWISE)
def test_4_2_an_id_of_more_than_150_bytes_is_left_out_with_a_warning(
    user_id: str, letter: str
) -> None:
    """150 bytes stay; ids are never cut."""
    fitting = text_of_bytes(150, letter)
    for event in in_either_place({"id": fitting, "plan": "pro"}):
        assert attributes_of_both(event | {"userId": user_id})["id"] == fitting
    for event in in_either_place({"id": "a" + fitting, "plan": "pro"}):
        assert attributes_of_both(event | {"userId": user_id}, LEFT_OUT) == {"plan": "pro"}


@pytest.mark.parametrize("user_id", OTHERWISE)
def test_4_2_an_id_that_equals_the_identifier_in_the_path_is_left_out_without(
    user_id: str,
) -> None:
    """It says nothing new: no warning."""
    for event in in_either_place({"id": user_id, "plan": "pro"}):
        assert attributes_of_both(event | {"userId": user_id}) == {"plan": "pro"}


@pytest.mark.parametrize("user_id", ["u", "cio_", "CIO_abc", "x@y", "+15551234567", "123"])
@pytest.mark.parametrize("written", ["new", 12345, None, "", {}, "a@b.co", "cio_abc"])
def test_4_2_by_id_an_id_that_is_another_is_left_out_with_a_warning(
    written: object, user_id: str
) -> None:
    """An id is changed by cio_id or assigned by email, never by another id."""
    for event in in_either_place({"id": written, "plan": "pro"}):
        assert attributes_of_both(event | {"userId": user_id}, LEFT_OUT) == {"plan": "pro"}


@pytest.mark.parametrize(("user_id", "written"), [("u", "u"), ("123", 123), ("7.5", 7.5)])
def test_4_2_by_id_the_same_id_is_left_out_without(user_id: str, written: object) -> None:
    """Compared as text."""
    for event in in_either_place({"id": written, "plan": "pro"}):
        assert attributes_of_both(event | {"userId": user_id}) == {"plan": "pro"}


@pytest.mark.parametrize("user_id", ["u", *OTHERWISE])
@pytest.mark.parametrize("written", [None, "", "cio_other", "abc", 7, True, {}, []])
def test_4_2_a_cio_id_that_is_not_the_one_in_the_path_is_left_out_with_a_warning(
    written: object, user_id: str
) -> None:
    """However the person is addressed, null included."""
    for event in in_either_place({"cio_id": written, "plan": "pro"}):
        assert attributes_of_both(event | {"userId": user_id}, LEFT_OUT) == {"plan": "pro"}


@pytest.mark.parametrize(("user_id", "written"), [("cio_abc", "cio_abc"), ("u", "u"), ("7", 7)])
def test_4_2_a_cio_id_that_is_the_id_in_the_path_is_left_out_without(
    user_id: str, written: object
) -> None:
    """As text."""
    for event in in_either_place({"cio_id": written, "plan": "pro"}):
        assert attributes_of_both(event | {"userId": user_id}) == {"plan": "pro"}


def test_4_2_user_properties_win_over_traits() -> None:
    """Rule 4.4 comes first: an id in both places is one attribute."""
    event = identify(userId="cio_abc", traits={"id": 1}, user_properties={"id": "two"})
    assert attributes_of_both(event) == {"id": "two"}


@pytest.mark.parametrize(
    ("kind", "user_id"), [("cio_id", "abc"), ("email", "a@b.co"), ("phone", "+15551234567")]
)
def test_4_2_the_other_kinds_of_3_8_count_like_such_paths(kind: str, user_id: str) -> None:
    """An id stays; one that is not usable, or too long, does not."""
    config: dict[str, Any] = {"userIdIdentifierType": kind, "createdAtFallback": "none"}
    event = identify(userId=user_id)
    assert v2_item(event | {"traits": {"id": 7}}, **config)["attributes"] == {"id": "7"}
    for written in (None, "é" * 76):
        item = v2_item(event | {"traits": {"id": written}}, LEFT_OUT, **config)
        assert item["attributes"] == {}


@pytest.mark.parametrize("user_id", ["cio_abc", "a@b.co"])
def test_4_2_the_kind_id_counts_like_a_path_of_an_id(user_id: str) -> None:
    """Whatever the user id looks like."""
    config: dict[str, Any] = {"userIdIdentifierType": "id", "createdAtFallback": "none"}
    event = identify(userId=user_id, traits={"id": "new"})
    assert v2_item(event, LEFT_OUT, **config)["attributes"] == {}


def test_4_2_the_other_three_names_are_never_attributes() -> None:
    """createdAt, userId and anonymousId, of traits; `user_properties` has all its members (4.4)."""
    traits = {"userId": "x", "anonymousId": "y", "createdAt": None, "a.b": 1, "c\\d": 2}
    assert attributes_of(identify(traits=traits)) == {"a.b": 1, "c\\d": 2}


@pytest.mark.parametrize(("written", "text"), USABLE)
def test_9_4_a_row_by_cio_id_gives_the_person_an_id(written: object, text: str) -> None:
    """As text, by 4.2: Customer.io refuses the whole row in v1 for a number."""
    attributes = attributes_of_both(row(cio_id="abc", id=written), connection=PERSON)
    assert attributes == {"id": text}


def test_9_4_an_id_that_cannot_be_given_is_left_out() -> None:
    """One that equals the identifier in the path without a warning, others with one."""
    assert attributes_of_both(row(cio_id="abc", id="cio_abc"), connection=PERSON) == {}
    for written in (None, "", True, "é" * 76):
        event = row(cio_id="abc", id=written, plan="pro")
        assert attributes_of_both(event, LEFT_OUT, connection=PERSON) == {"plan": "pro"}
