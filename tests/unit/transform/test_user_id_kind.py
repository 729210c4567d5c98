"""The kind of a user id: `userIdIdentifierType`. Rule 3.8."""

from typing import Any

import pytest

from .api_versions import PERSON, v2_item
from .support import (
    codes,
    destination,
    group,
    identify,
    of_type,
    refusal_of,
    request_of,
    row,
    sent,
    text_of_bytes,
    track,
)

SHAPES = ["u", "jane@example.com", "cio_abc", "+15551234567", "cio_", "x y", "7.5"]
KINDS = ["id", "email", "phone", "cio_id"]
# A user id, and what each kind makes of it.
GOOD = [
    *(("id", shape, shape) for shape in SHAPES),
    ("email", "jane@example.com", "jane@example.com"),
    ("email", "Jane@Example.com", "Jane@Example.com"),
    ("cio_id", "abc", "abc"),
    ("cio_id", "cio_abc", "abc"),
    ("cio_id", "cio_cio_abc", "cio_abc"),
    ("cio_id", "CIO_abc", "CIO_abc"),
    ("cio_id", "jane@example.com", "jane@example.com"),
    ("phone", "+15551234567", "+15551234567"),
    ("phone", "+1 (555) 123-45.67", "+15551234567"),
    ("phone", "+1234567", "+1234567"),
    ("phone", "+123456789012345", "+123456789012345"),
]
BAD = [
    ("cio_id", "cio_"),
    ("email", "u"),
    ("email", "x@y"),
    ("email", " jane@example.com"),
    ("email", "jane@example.com "),
    ("phone", "15551234567"),
    ("phone", "+123456"),
    ("phone", "+1234567890123456"),
    ("phone", "+05551234567"),
    ("phone", "+1\u00a05551234567"),
    ("phone", "+1\t5551234567"),
    ("phone", "+1/5551234567"),
    ("phone", "+\u0661\u0665\u0665\u0665\u0661\u0662\u0663"),
    ("phone", "jane@example.com"),
]
DEVICE = {"context": {"device": {"token": "t", "type": "ios"}}}


def of_kind(kind: str, **more: Any) -> dict[str, Any]:
    """The settings of a destination that knows the kind of its user ids."""
    return {"apiVersion": "v2", "userIdIdentifierType": kind} | more


def events_of(user_id: object) -> dict[str, dict[str, Any]]:
    """One event of each sort that goes out under a user id."""
    return {
        "identify": identify(userId=user_id),
        "track": track(userId=user_id),
        "page": of_type("page", userId=user_id),
        "screen": of_type("screen", userId=user_id),
        "device": track(userId=user_id, event="Application Opened", **DEVICE),
        "no device any more": track(userId=user_id, event="Application Uninstalled", **DEVICE),
    }


@pytest.mark.parametrize("sort", events_of("u"))
@pytest.mark.parametrize(("kind", "user_id", "value"), GOOD)
def test_3_8_the_user_id_goes_out_under_its_kind_whatever_its_shape(
    kind: str, user_id: str, value: str, sort: str
) -> None:
    """identify, track, page, screen, and devices."""
    event = events_of(user_id)[sort]
    assert v2_item(event, **of_kind(kind))["identifiers"] == {kind: value}


@pytest.mark.parametrize("sort", [*events_of("u"), "alias", "alias of", "group"])
@pytest.mark.parametrize(("kind", "user_id"), BAD)
def test_3_8_a_user_id_that_is_not_of_its_kind_is_refused(
    kind: str, user_id: str, sort: str
) -> None:
    """`INVALID_ID`: nothing left, no email, no phone number."""
    event = events_of(user_id) | {
        "alias": of_type("alias", userId=user_id, previousId="cio_good"),
        "alias of": of_type("alias", userId="cio_good", previousId=user_id),
        "group": group(userId=user_id),
    }
    assert refusal_of(event[sort], **of_kind(kind)) == "INVALID_ID"


@pytest.mark.parametrize(
    ("kind", "primary", "secondary"),
    [("id", "cio_a", "b@c.de"), ("email", "a@b.co", "b@c.de"), ("cio_id", "cio_a", "b")],
)
def test_3_8_both_sides_of_an_alias_have_the_kind(kind: str, primary: str, secondary: str) -> None:
    """previousId too."""
    item = v2_item(of_type("alias", userId=primary, previousId=secondary), **of_kind(kind))
    bare = primary.removeprefix("cio_") if kind == "cio_id" else primary
    assert (item["primary"], item["secondary"]) == ({kind: bare}, {kind: secondary})


def test_3_8_customerio_merges_nobody_by_phone() -> None:
    """An alias is `INVALID_ID`, however good both numbers are."""
    event = of_type("alias", userId="+15551234567", previousId="+15551234568")
    assert refusal_of(event, **of_kind("phone")) == "INVALID_ID"


@pytest.mark.parametrize(
    ("kind", "user_id", "value"), [case for case in GOOD if case[0] != "phone"]
)
def test_3_8_a_group_s_person_has_the_kind(kind: str, user_id: str, value: str) -> None:
    """From userId, and from the places in context.traits."""
    for event in (
        group(userId=user_id),
        group(userId=None, context={"traits": {"userId": user_id}}),
        group(userId=None, context={"traits": {"id": user_id}}),
    ):
        item = v2_item(event, **of_kind(kind))
        assert item["cio_relationships"] == [{"identifiers": {kind: value}}]


def test_3_8_customerio_relates_nobody_by_phone() -> None:
    """The group's person is left out with a warning; the object is sent."""
    item = v2_item(group(userId="+15551234567"), "RELATIONSHIP_LEFT_OUT", **of_kind("phone"))
    assert item["cio_relationships"] == []
    assert item["identifiers"] == {"object_type_id": "1", "object_id": "g"}


def test_3_8_a_group_without_user_id_goes_on_with_the_email() -> None:
    """Rule 8.5: an email is an email, under every kind of user id."""
    event = group(userId=None, properties={"email": "jane@example.com"})
    for kind in KINDS:
        item = v2_item(event, **of_kind(kind))
        assert item["cio_relationships"] == [{"identifiers": {"email": "jane@example.com"}}]


@pytest.mark.parametrize(
    "event",
    [
        of_type("identify", traits={"userId": "cio_a"}),
        of_type("identify", traits={"id": "cio_a", "a": 1}),
        of_type("track", context={"traits": {"userId": "cio_a"}}),
        of_type("track", context={"traits": {"id": "cio_a"}}),
        of_type("page", context={"mappedToDestination": True, "externalId": [{"id": "cio_a"}]}),
    ],
)
def test_3_8_it_is_the_user_id_of_3_1_wherever_it_stands(event: dict[str, Any]) -> None:
    """traits, context.traits, a mapped id (3.5)."""
    assert v2_item(event, **of_kind("id"))["identifiers"] == {"id": "cio_a"}


@pytest.mark.parametrize(("number", "text"), [(12345, "12345"), (7.5, "7.5")])
def test_3_8_a_number_is_an_id_as_text(number: float, text: str) -> None:
    """Rule 2.1."""
    assert v2_item(identify(userId=number), **of_kind("id"))["identifiers"] == {"id": text}
    assert v2_item(identify(userId=number), **of_kind("cio_id"))["identifiers"] == {"cio_id": text}


@pytest.mark.parametrize("kind", ["id", "email", "cio_id"])
def test_2_2_an_identifier_of_any_kind_has_150_bytes_at_most(kind: str) -> None:
    """A cio_id is counted without its prefix, as it is sent."""
    tail = "@" + "d" * 60 + "." + "e" * 60 + ".com" if kind == "email" else ""
    prefix = "cio_" if kind == "cio_id" else ""
    fitting = text_of_bytes(150 - len(tail), "a" if tail else "é") + tail
    item = v2_item(identify(userId=prefix + fitting), **of_kind(kind))
    assert item["identifiers"] == {kind: fitting}
    for event in (
        identify(userId=prefix + "a" + fitting),
        of_type("alias", userId=prefix + "a" + fitting, previousId=fitting),
        of_type("alias", userId=fitting, previousId=prefix + "a" + fitting),
        group(userId=prefix + "a" + fitting),
    ):
        assert refusal_of(event, **of_kind(kind)) == "ID_TOO_LONG"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "event",
    [
        of_type("identify", anonymousId="a"),
        of_type("identify", traits={"email": "jane@example.com"}),
        of_type("identify", anonymousId="a", traits={"email": "jane@example.com", "phone": "+1"}),
        of_type("identify"),
    ],
)
def test_3_8_an_identify_without_user_id_does_not_fall_back(
    event: dict[str, Any], kind: str
) -> None:
    """Nothing stands in for it unless `identifyFallback` is given; null is not given (11.1)."""
    assert refusal_of(event, **of_kind(kind)) == "MISSING_IDENTITY"
    assert refusal_of(event, **of_kind(kind, identifyFallback=None)) == "MISSING_IDENTITY"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fallback", "event", "identifiers"),
    [
        ("anonymousId", of_type("identify", anonymousId="a"), {"id": "a"}),
        ("anonymousId", of_type("identify", anonymousId="cio_a"), {"id": "cio_a"}),
        ("anonymousId", of_type("identify", anonymousId="a@b.co"), {"id": "a@b.co"}),
        ("anonymousId", of_type("identify", anonymousId="+15551234567"), {"id": "+15551234567"}),
        ("anonymousId", of_type("identify", traits={"email": "a@b.co"}), {"email": "a@b.co"}),
        (
            "email",
            of_type("identify", anonymousId="a", traits={"email": "a@b.co"}),
            {"email": "a@b.co"},
        ),
    ],
)
def test_3_8_what_stands_in_keeps_its_own_kind(
    fallback: str, event: dict[str, Any], identifiers: dict[str, str], kind: str
) -> None:
    """An anonymous id is an id, whatever its shape; an email is an email."""
    item = v2_item(event, **of_kind(kind, identifyFallback=fallback))
    assert item["identifiers"] == identifiers


def test_3_8_the_email_fallback_does_not_take_the_anonymous_id() -> None:
    """Rule 3.3."""
    event = of_type("identify", anonymousId="a")
    assert refusal_of(event, **of_kind("id", identifyFallback="email")) == "MISSING_IDENTITY"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sort", ["track", "page", "screen"])
def test_3_8_events_without_user_id_go_on_by_3_4(sort: str, kind: str) -> None:
    """By email, else as an anonymous event."""
    by_email = of_type(sort, anonymousId="a", properties={"email": "a@b.co"})
    assert v2_item(by_email, **of_kind(kind))["identifiers"] == {"email": "a@b.co"}
    anonymous = of_type(sort, anonymousId="cio_a")
    assert v2_item(anonymous, **of_kind(kind))["identifiers"] == {"anonymous_id": "cio_a"}
    assert refusal_of(of_type(sort), **of_kind(kind)) == "MISSING_IDENTITY"


@pytest.mark.parametrize("kind", KINDS)
def test_3_8_phone_as_identifier_then_holds_for_those_without_user_id(kind: str) -> None:
    """Rule 13.4: someone with a user id never goes by the phone number in the traits."""
    phone = {"traits": {"phone": "+15550000001"}}
    config = of_kind(kind, phoneAsIdentifier=True)
    without = {"phone": "+15550000001"}
    assert v2_item(of_type("track", anonymousId="a", **phone), **config)["identifiers"] == without
    assert v2_item(of_type("identify", **phone), **config)["identifiers"] == without
    user_id = {"id": "u", "email": "a@b.co", "phone": "+15559999999", "cio_id": "abc"}[kind]
    for event in (track(userId=user_id, **phone), identify(userId=user_id, **phone)):
        assert v2_item(event, **config)["identifiers"] == {kind: user_id}
    assert refusal_of(track(userId="cio_", **phone), **of_kind("cio_id")) == "INVALID_ID"


def test_3_8_a_placeholder_is_no_user_id() -> None:
    """Rule 2.1 comes first."""
    outcome, _ = sent(identify(userId="undefined", anonymousId="a"), **of_kind("id"))
    assert outcome.error is not None
    assert outcome.error.code == "MISSING_IDENTITY"
    assert codes(outcome) == ["PLACEHOLDER_ID"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", ["id", "email", "cio_id"])
def test_3_8_rows_name_their_kind_themselves(column: str, kind: str) -> None:
    """Rule 9.2: the setting is about userId, and a row has none."""
    value = "a@b.co" if column == "email" else "x"
    item = v2_item(row(**{column: value}), connection=PERSON, **of_kind(kind))
    assert item["identifiers"] == {column: value}


@pytest.mark.parametrize("kind", KINDS)
def test_5_6_the_event_s_id_is_that_of_the_user_id_as_given(kind: str) -> None:
    """Before 3.7: the setting changes no event's id, so a resend stays the same event."""
    user_id = {
        "id": "cio_u",
        "email": "Jane@example.com",
        "phone": "+1 (555) 123-4567",
        "cio_id": "cio_abc",
    }[kind]
    event = track(userId=user_id, messageId="m", timestamp="2024-01-02T03:04:05.678Z")
    assert v2_item(event, **of_kind(kind))["id"] == v2_item(event)["id"]


@pytest.mark.parametrize("kind", KINDS)
def test_11_1_in_v1_the_setting_has_no_effect(kind: str) -> None:
    """The id's own shape decides, and an identify falls back as ever."""
    for user_id in SHAPES:
        event = identify(userId=user_id)
        known = request_of(event, apiVersion="v1", userIdIdentifierType=kind)
        assert known["path"] == request_of(event, apiVersion="v1")["path"]
        alias = of_type("alias", userId=user_id, previousId="b@c.de")
        of_alias = request_of(alias, apiVersion="v1", userIdIdentifierType=kind)
        assert of_alias["body"] == request_of(alias, apiVersion="v1")["body"]
    anonymous = of_type("identify", anonymousId="a")
    assert request_of(anonymous, userIdIdentifierType=kind)["path"] == "/api/v1/customers/a"


def test_11_1_not_given_the_shape_decides_in_v2_too() -> None:
    """Rule 3.7."""
    for none in (None, ""):
        config = of_kind("id") | {"userIdIdentifierType": none}
        shown = [v2_item(identify(userId=shape), **config)["identifiers"] for shape in SHAPES[:4]]
        assert shown == [
            {"id": "u"},
            {"email": "jane@example.com"},
            {"cio_id": "abc"},
            {"id": "+15551234567"},
        ]
        assert v2_item(of_type("identify", anonymousId="a"), **config)["identifiers"] == {"id": "a"}


def test_3_8_semantic_events_go_by_the_kind_too() -> None:
    """Rule 13.2: they are tracks of a known person."""
    for name in ("User Deleted", "User Suppressed", "User Unsuppressed"):
        event = track(userId="cio_a", event=name)
        item = v2_item(event, **of_kind("id", semanticEvents=True))
        assert item["identifiers"] == {"id": "cio_a"}


def test_3_8_the_destination_is_usable_with_every_kind() -> None:
    """Both API versions."""
    for kind in KINDS:
        for api_version in ("v1", "v2"):
            assert destination(apiVersion=api_version, userIdIdentifierType=kind)
