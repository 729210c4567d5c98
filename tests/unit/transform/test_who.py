"""Whom an event is about. Rules 3.1-3.5."""

from typing import Any

import pytest

from tests.unit.transform.support import (
    attributes_of,
    body_of,
    identify,
    item_of,
    of_type,
    refusal_of,
    request_of,
    sent,
    track,
)

EMAIL = "jane@example.com"
EVENTS = ["track", "page", "screen"]


@pytest.mark.parametrize(
    ("members", "person"),
    [
        ({"userId": "1", "traits": {"userId": "2", "id": "3"}}, "1"),
        ({"userId": 1}, "1"),
        ({"traits": {"userId": "2", "id": "3"}}, "2"),
        ({"traits": {"id": "3"}, "context": {"traits": {"userId": "4"}}}, "3"),
        ({"context": {"traits": {"userId": "4", "id": "5"}}}, "4"),
        ({"context": {"traits": {"id": 5}}}, "5"),
        ({"userId": 0, "traits": {"userId": "", "id": " "}, "context": {"traits": {"id": 5}}}, "5"),
        (
            {
                "userId": None,
                "traits": {"userId": {}, "id": True},
                "context": {"traits": {"id": 6}},
            },
            "6",
        ),
    ],
    ids=[
        "userId",
        "number",
        "traits.userId",
        "traits.id",
        "c.userId",
        "c.id",
        "skip-0",
        "skip-odd",
    ],
)
def test_3_1_the_user_id_is_the_first_usable(members: dict[str, Any], person: str) -> None:
    """userId, traits.userId, traits.id, context.traits.userId, context.traits.id, in this order."""
    for kind in EVENTS:
        event = of_type(kind, anonymousId="anon", **members)
        assert request_of(event)["path"] == f"/api/v1/customers/{person}/events"
    _, (identified,) = sent({"type": "identify", **members})
    assert identified["path"] == f"/api/v1/customers/{person}"
    assert body_of(of_type("alias", **members))["primary"] == {"id": person}


@pytest.mark.parametrize(
    "members",
    [
        {
            "traits": {"email": EMAIL},
            "context": {"traits": {"email": "b@b.co"}},
            "properties": {"email": "c@c.co"},
        },
        {"traits": {"email": "no"}, "context": {"traits": {"email": EMAIL}}},
        {"context": {"traits": {"email": EMAIL}}, "properties": {"email": "c@c.co"}},
        {"traits": {"email": 5}, "properties": {"email": EMAIL}},
        {"properties": {"email": EMAIL}, "context": {"externalId": [{"id": "c@c.co"}]}},
        {"context": {"externalId": [{"id": EMAIL, "type": "x"}, {"id": "c@c.co"}]}},
    ],
    ids=["traits", "skip-bad", "context", "skip-odd", "properties", "externalId"],
)
def test_3_2_the_email_is_the_first_valid(members: dict[str, Any]) -> None:
    """traits, context.traits, properties, then the first external id if it is an email."""
    for kind in EVENTS:
        path = request_of(of_type(kind, anonymousId="anon", **members))["path"]
        assert path == "/api/v1/customers/jane%40example.com/events"
    path = request_of({"type": "identify", **members})["path"]
    assert path == "/api/v1/customers/jane%40example.com"


@pytest.mark.parametrize(
    "external_id",
    [
        [{"id": "X9"}],
        [{"id": "X9"}, {"id": EMAIL}],
        [],
        [EMAIL],
        {"id": EMAIL},
        EMAIL,
        None,
        5,
        [{"id": [EMAIL]}],
        [{"ID": EMAIL}],
        [None, {"id": EMAIL}],
    ],
    ids=str,
)
def test_3_2_another_external_id_addresses_nobody(external_id: object) -> None:
    """An external id that is no email, or not the first, is no identity."""
    context = {"externalId": external_id}
    assert body_of(of_type("track", anonymousId="a", context=context))["anonymous_id"] == "a"
    assert refusal_of({"type": "identify", "context": context}) == "MISSING_IDENTITY"


def test_3_3_identify_goes_by_anonymous_id_without_a_user_id() -> None:
    """Without a user id, anonymousId names the person, and is not attached once more."""
    request = request_of({"type": "identify", "anonymousId": "a"}, createdAtFallback="none")
    assert (request["path"], request["body"]) == ("/api/v1/customers/a", {})


@pytest.mark.parametrize(
    "members",
    [
        {"traits": {"email": EMAIL}},
        {"context": {"traits": {"email": EMAIL}}},
        {"properties": {"email": EMAIL}},
        {"context": {"externalId": [{"id": EMAIL}]}},
    ],
    ids=["traits", "context.traits", "properties", "externalId"],
)
def test_3_3_an_anonymous_id_used_in_spite_of_an_email_warns(members: dict[str, Any]) -> None:
    """Wherever the email is, using anonymousId before it is worth a warning."""
    event = {"type": "identify", "anonymousId": "a", **members}
    assert request_of(event, "ANONYMOUS_WITH_EMAIL")["path"] == "/api/v1/customers/a"
    assert request_of(event | {"userId": "u"})["path"] == "/api/v1/customers/u"


def test_3_3_an_identify_without_anyone_is_refused() -> None:
    """Without user id, anonymous id and email there is nobody to identify."""
    assert refusal_of({"type": "identify", "traits": {"a": 1}}) == "MISSING_IDENTITY"
    assert refusal_of({"type": "identify", "traits": {"email": "x@y"}}) == "MISSING_IDENTITY"


def test_3_3_identify_fallback_email_prefers_the_email() -> None:
    """With identifyFallback "email" the email names the person and anonymousId is attached."""
    event = {"type": "identify", "anonymousId": "a", "traits": {"email": EMAIL}}
    request = request_of(event, identifyFallback="email", createdAtFallback="none")
    assert request["path"] == "/api/v1/customers/jane%40example.com"
    assert request["body"] == {"email": EMAIL, "anonymous_id": "a"}


def test_3_3_identify_fallback_email_never_uses_anonymous_id() -> None:
    """With identifyFallback "email" an anonymousId alone is nobody."""
    event = {"type": "identify", "anonymousId": "a"}
    assert refusal_of(event, identifyFallback="email") == "MISSING_IDENTITY"
    path = request_of(event | {"userId": "u"}, identifyFallback="email")["path"]
    assert path == "/api/v1/customers/u"


@pytest.mark.parametrize("kind", EVENTS)
def test_3_4_events_prefer_user_id_then_email_then_anonymous_id(kind: str) -> None:
    """A known person by user id or email; else an anonymous event; else nobody."""
    event = of_type(kind, userId="u", anonymousId="a", traits={"email": EMAIL})
    known = request_of(event)
    assert known["path"] == "/api/v1/customers/u/events"
    assert "anonymous_id" not in known["body"]
    by_email = request_of(event | {"userId": None})
    assert by_email["path"] == "/api/v1/customers/jane%40example.com/events"
    assert "anonymous_id" not in by_email["body"]
    anonymous = request_of(event | {"userId": "", "traits": {}})
    assert (anonymous["method"], anonymous["path"]) == ("POST", "/api/v1/events")
    assert anonymous["body"]["anonymous_id"] == "a"
    assert refusal_of(of_type(kind)) == "MISSING_IDENTITY"


@pytest.mark.parametrize("kind", EVENTS)
def test_3_4_an_anonymous_id_that_is_not_needed_is_not_read(kind: str) -> None:
    """A broken anonymousId does not touch the event of a known person."""
    odd: list[object] = [[], {}, True, "a" * 151]
    for broken in odd:
        assert request_of(of_type(kind, userId="u", anonymousId=broken))["path"].endswith("/events")


def mapped(
    kind: str, id_: object = "ext", flag: object = True, **members: object
) -> dict[str, Any]:
    external = [{"id": id_, "type": "CUSTOMERIO-customers", "identifierType": "crm"}]
    context = {"mappedToDestination": flag, "externalId": external}
    return of_type(kind, channel="sources", context=context, **members)


@pytest.mark.parametrize("flag", [True, "true"], ids=["true", "text"])
@pytest.mark.parametrize(("id_", "text"), [("ext", "ext"), (7, "7"), ("a@b.co", "a%40b.co")])
def test_3_5_a_mapped_id_replaces_user_id(flag: object, id_: object, text: str) -> None:
    """On a mapped event the external id is the user id, for every type."""
    for kind in EVENTS:
        path = request_of(mapped(kind, id_, flag, userId="u"))["path"]
        assert path == f"/api/v1/customers/{text}/events"
    assert request_of(mapped("identify", id_, flag, userId="u"))["path"] == (
        f"/api/v1/customers/{text}"
    )
    assert body_of(mapped("alias", "ext", flag, userId="u"))["primary"] == {"id": "ext"}
    item = item_of(mapped("group", "ext", flag, userId="u"))
    assert item["cio_relationships"] == [{"identifiers": {"id": "ext"}}]


@pytest.mark.parametrize("kind", ["identify", "track", "page", "screen", "alias", "group"])
def test_3_5_user_id_is_not_read_on_a_mapped_event(kind: str) -> None:
    """A broken userId refuses nothing where the mapped id stands in for it."""
    assert request_of(mapped(kind, userId=["broken"]))["raw"]


@pytest.mark.parametrize("flag", ["false", "True", 1, None, "", {}], ids=repr)
def test_3_5_any_other_flag_is_not_mapped(flag: object) -> None:
    """Only true and "true" make a mapped event."""
    event = mapped("identify", flag=flag, userId="u", traits={"a": 1})
    request = request_of(event)
    assert (request["path"], request["body"]) == ("/api/v1/customers/u", {"a": 1})


@pytest.mark.parametrize("id_", [None, "", " ", 0, [], {}, True], ids=repr)
def test_3_5_an_unusable_mapped_id_is_not_mapped(id_: object) -> None:
    """Without a usable external id the event is one like others."""
    request = request_of(mapped("identify", id_, userId="u", traits={"a": 1}))
    assert (request["path"], request["body"]) == ("/api/v1/customers/u", {"a": 1})


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"traits": {"a": 1}}, {"a": 1, "crm": 7}),
        ({"traits": {"crm": "old", "a": 1}}, {"a": 1, "crm": 7}),
        ({}, {}),
        ({"traits": {}}, {}),
        ({"user_properties": {"a": 1}}, {"a": 1}),
    ],
    ids=["added", "over-a-trait", "no-traits", "empty-traits", "user_properties-only"],
)
def test_3_5_the_traits_gain_the_mapped_id(
    members: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Traits that are not empty gain the identifierType with the id as given."""
    assert attributes_of(mapped("identify", 7, **members)) == expected
    if "user_properties" not in members:
        assert item_of(mapped("group", 7, **members))["attributes"] == expected


def test_3_5_context_traits_gain_the_mapped_id_when_in_use() -> None:
    """What gains the id is the traits in use, context.traits too."""
    event = mapped("identify")
    event["context"]["traits"] = {"b": 2}
    assert attributes_of(event) == {"b": 2, "crm": "ext"}


@pytest.mark.parametrize("name", [None, "", 5, ["crm"]], ids=repr)
def test_3_5_an_identifier_type_is_a_text_that_is_not_empty(name: object) -> None:
    """Without a name the id is not added to the traits; it still names the person."""
    event = mapped("identify", traits={"a": 1})
    event["context"]["externalId"][0]["identifierType"] = name
    request = request_of(event)
    assert (request["path"], request["body"]) == ("/api/v1/customers/ext", {"a": 1})


def test_3_5_a_mapped_name_with_dots_stays_one_name() -> None:
    """The identifierType is an attribute's name like others, dots included."""
    event = mapped("identify", traits={"a": 1})
    event["context"]["externalId"][0]["identifierType"] = "x.y"
    assert attributes_of(event) == {"a": 1, "x.y": "ext"}


def test_3_5_an_event_that_is_not_mapped_takes_no_external_id() -> None:
    """Without the flag an external id changes nothing."""
    context = {"externalId": [{"id": "ext", "identifierType": "crm"}]}
    assert attributes_of(identify(traits={"a": 1}, context=context)) == {"a": 1}
    assert request_of(track(context=context))["path"] == "/api/v1/customers/u/events"
