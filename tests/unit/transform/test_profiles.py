"""Fewer profiles: `profiles`. Rule 13.9."""

from typing import Any

import pytest

from .support import (
    codes,
    group,
    identify,
    of_type,
    packed,
    refusal_of,
    row,
    sent,
    track,
)

JANE = {"email": "jane@example.com"}
DEVICE = {"context": {"device": {"token": "t", "type": "ios"}}}
VERSIONS = ["v1", "v2"]
SETTINGS = ["everyone", "identified", "withEmail"]

ANONYMOUS = {
    "track": of_type("track", anonymousId="a"),
    "page": of_type("page", anonymousId="a"),
    "screen": of_type("screen", anonymousId="a"),
    "device event": of_type("track", event="Application Opened", anonymousId="a", **DEVICE),
    "identify": of_type("identify", anonymousId="a"),
    "identify with email": of_type("identify", anonymousId="a", traits=JANE),
    "identify of a placeholder": of_type("identify", userId="undefined", anonymousId="a"),
}
WITHOUT_EMAIL = {
    "user id": identify(anonymousId="a"),
    "no email": identify(traits={"email": "n/a"}),
    "user_properties": identify(user_properties=JANE),
    "cio_id": identify(userId="cio_abc"),
    "an email as user id": identify(userId="jane@example.com"),
}
NOT_JUDGED = {
    "track": track(),
    "track by email": of_type("track", anonymousId="a", properties=JANE),
    "page": of_type("page", userId="u"),
    "screen": of_type("screen", userId="u"),
    "device": track(event="Application Opened", **DEVICE),
    "alias": of_type("alias", userId="u"),
    "group": group(),
    "group of nobody": group(userId=None, anonymousId="a"),
    "identify with email": identify(traits=JANE),
    "identify by email": of_type("identify", traits=JANE),
    "email in context": identify(context={"traits": JANE}),
    "email in properties": identify(properties=JANE),
    "email in externalId": identify(context={"externalId": [{"id": "jane@example.com"}]}),
    "email with white space": identify(properties={"email": " jane@example.com "}),
}
WAREHOUSE = {
    "sources": {"channel": "sources"},
    "mapped": {
        "context": {
            "mappedToDestination": True,
            "externalId": [{"id": "x", "identifierType": "row"}],
        }
    },
}


def filtered(event: dict[str, Any], **config: Any) -> bool:
    """Whether an event is filtered as that of an anonymous profile; if not, that it is sent."""
    outcome, requests = sent(event, **config)
    if outcome.status == 298:
        assert (outcome.filtered, outcome.error, requests) == ("ANONYMOUS", None, [])
        return True
    assert (outcome.status, outcome.filtered, len(requests)) == (200, None, 1), outcome.error
    return False


@pytest.mark.parametrize("api_version", VERSIONS)
@pytest.mark.parametrize("profiles", SETTINGS)
@pytest.mark.parametrize("event", ANONYMOUS.values(), ids=ANONYMOUS)
def test_13_9_anonymous_profiles_are_for_everyone_only(
    event: dict[str, Any], profiles: str, api_version: str
) -> None:
    """Events of 3.4 and an identify by anonymousId, also where it has an email."""
    config = {"profiles": profiles, "apiVersion": api_version}
    assert filtered(event, **config) == (profiles != "everyone")


@pytest.mark.parametrize("api_version", VERSIONS)
@pytest.mark.parametrize("profiles", SETTINGS)
@pytest.mark.parametrize("event", WITHOUT_EMAIL.values(), ids=WITHOUT_EMAIL)
def test_13_9_an_identify_without_email_by_3_2_is_filtered_by_with_email(
    event: dict[str, Any], profiles: str, api_version: str
) -> None:
    """3.2 looks neither into userId nor into user_properties."""
    config = {"profiles": profiles, "apiVersion": api_version}
    assert filtered(event, **config) == (profiles == "withEmail")


@pytest.mark.parametrize("api_version", VERSIONS)
@pytest.mark.parametrize("profiles", SETTINGS)
@pytest.mark.parametrize("event", NOT_JUDGED.values(), ids=NOT_JUDGED)
def test_13_9_nothing_else_is_filtered(
    event: dict[str, Any], profiles: str, api_version: str
) -> None:
    """Known people's events, devices, merges, objects, and who has an email."""
    assert not filtered(event, profiles=profiles, apiVersion=api_version)


def test_13_9_everyone_is_the_default() -> None:
    """Not given, and null."""
    for event in (*ANONYMOUS.values(), *WITHOUT_EMAIL.values()):
        assert not filtered(event)
        assert not filtered(event, profiles=None)


@pytest.mark.parametrize("profiles", SETTINGS)
@pytest.mark.parametrize("warehouse", WAREHOUSE.values(), ids=WAREHOUSE)
@pytest.mark.parametrize(
    "event",
    [
        ANONYMOUS["track"],
        ANONYMOUS["page"],
        ANONYMOUS["identify"],
        ANONYMOUS["identify with email"],
        WITHOUT_EMAIL["user id"],
    ],
)
def test_13_9_warehouse_rows_are_not_judged(
    event: dict[str, Any], warehouse: dict[str, Any], profiles: str
) -> None:
    """Of channel `sources`, and mapped ones."""
    assert not filtered(event | warehouse, profiles=profiles)


@pytest.mark.parametrize("profiles", SETTINGS)
@pytest.mark.parametrize("api_version", VERSIONS)
def test_13_9_records_are_not_judged(api_version: str, profiles: str) -> None:
    """People, events and audiences."""
    config = {"profiles": profiles, "apiVersion": api_version}
    assert not filtered(row(id="u"), connection={"object": "person"}, **config)
    assert not filtered(row(id="u", name="Paid"), connection={"object": "event"}, **config)
    assert not filtered(row(id="u"), connection={"audienceId": 7}, **config)


def test_13_9_without_identity_an_event_is_refused_all_the_same() -> None:
    """Nobody is no anonymous profile."""
    for profiles in SETTINGS:
        assert refusal_of(of_type("identify"), profiles=profiles) == "MISSING_IDENTITY"
        assert refusal_of(of_type("track"), profiles=profiles) == "MISSING_IDENTITY"


def test_13_9_with_the_email_fallback_an_anonymous_id_is_not_tried() -> None:
    """Rule 3.3: an identify goes by email, or is refused."""
    config = {"profiles": "identified", "identifyFallback": "email"}
    assert not filtered(ANONYMOUS["identify with email"], **config)
    assert refusal_of(ANONYMOUS["identify"], **config) == "MISSING_IDENTITY"


def test_13_9_a_phone_number_identifies_and_is_no_email() -> None:
    """Rule 13.4."""
    config: dict[str, Any] = {"apiVersion": "v2", "phoneAsIdentifier": True}
    phone = {"traits": {"phone": "+15551234567"}}
    event = of_type("track", anonymousId="a", **phone)
    assert not filtered(event, profiles="identified", **config)
    assert not filtered(event, profiles="withEmail", **config)
    by_phone = of_type("identify", **phone)
    assert not filtered(by_phone, profiles="identified", **config)
    assert filtered(by_phone, profiles="withEmail", **config)


def test_13_9_a_kind_of_user_id_changes_nothing() -> None:
    """Rule 3.8 with an anonymousId as fallback."""
    config = {"apiVersion": "v2", "userIdIdentifierType": "id", "identifyFallback": "anonymousId"}
    assert filtered(ANONYMOUS["identify"], profiles="identified", **config)
    assert not filtered(identify(), profiles="identified", **config)


def test_13_9_an_event_keeps_the_warnings_it_had() -> None:
    """A filtered event says what was read."""
    outcome, _ = sent(ANONYMOUS["identify of a placeholder"], profiles="identified")
    assert (outcome.status, codes(outcome)) == (298, ["PLACEHOLDER_ID"])


def test_13_9_a_filtered_event_leaves_its_neighbours_alone() -> None:
    """Rule 1.4."""
    events = [track(), track(userId="v")]
    assert [covered for _, covered in packed(events, profiles="withEmail", apiVersion="v2")] == [
        [0, 1]
    ]
