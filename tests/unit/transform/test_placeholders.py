"""Texts that programs write where they have no id. Rule 2.1."""

from typing import Any

import pytest

from .api_versions import PERSON, attributes_of_both, v1_body, v2_item
from .support import (
    attributes_of,
    body_of,
    codes,
    group,
    identify,
    item_of,
    of_type,
    refusal_of,
    request_of,
    row,
    sent,
    track,
)

PLACEHOLDERS = ["undefined", "null", "NaN", "None", "nil", "<nil>", "[object Object]"]
NO_PLACEHOLDERS = [
    "Undefined",
    "NULL",
    "nan",
    "none",
    "NIL",
    "nil>",
    "[object object]",
    " undefined",
    "null ",
    "undefined-1",
    "true",
    "N/A",
]
WARNING = "PLACEHOLDER_ID"


@pytest.mark.parametrize("api_version", ["v1", "v2"])
@pytest.mark.parametrize("written", PLACEHOLDERS)
def test_2_1_a_placeholder_counts_as_absent_with_a_warning(written: str, api_version: str) -> None:
    """The next in the order of 3.3 is taken, and the result says so."""
    event = identify(userId=written, anonymousId="a")
    config: dict[str, Any] = {"apiVersion": api_version}
    whole = request_of(event, WARNING, **config)
    if api_version == "v1":
        assert whole["path"] == "/api/v1/customers/a"
    else:
        assert whole["body"]["batch"][0]["identifiers"] == {"id": "a"}


@pytest.mark.parametrize("written", NO_PLACEHOLDERS)
def test_2_1_only_the_exact_texts_are_placeholders(written: str) -> None:
    """Another case, white space around it or more letters make it an id like any other."""
    assert v2_item(identify(userId=written))["identifiers"] == {"id": written}


@pytest.mark.parametrize("kind", ["track", "page", "screen"])
def test_2_1_an_event_of_a_placeholder_is_of_the_anonymous_profile(kind: str) -> None:
    """Rule 3.4 goes on with the email, then with the anonymous id."""
    event = of_type(kind, userId="null", anonymousId="a")
    assert v1_body(event, WARNING)["anonymous_id"] == "a"
    assert v2_item(event, WARNING)["identifiers"] == {"anonymous_id": "a"}
    event["properties"] = {"email": "jane@example.com"}
    assert v2_item(event, WARNING)["identifiers"] == {"email": "jane@example.com"}


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (identify(userId="undefined"), "MISSING_IDENTITY"),
        (of_type("identify", anonymousId="undefined"), "MISSING_IDENTITY"),
        (of_type("track", anonymousId="undefined"), "MISSING_IDENTITY"),
        (of_type("track", userId="NaN", anonymousId="nil"), "MISSING_IDENTITY"),
        (of_type("alias", userId="None"), "MISSING_IDENTITY"),
        (of_type("alias", userId="u", previousId="None"), "MISSING_IDENTITY"),
        (group(groupId="undefined"), "MISSING_GROUP_ID"),
        (group(groupId=None, traits={"groupId": "undefined"}), "MISSING_GROUP_ID"),
        (track(userId="nil", event="Application Uninstalled"), "MISSING_DEVICE_TOKEN"),
    ],
)
def test_2_1_with_nothing_but_placeholders_an_event_is_refused(
    event: dict[str, Any], code: str
) -> None:
    """A placeholder is as good as nothing, whatever the member."""
    assert refusal_of(event) == code
    assert WARNING in codes(sent(event)[0])


@pytest.mark.parametrize("place", ["traits.userId", "traits.id", "context.userId", "context.id"])
def test_2_1_a_placeholder_in_traits_is_passed_over_too(place: str) -> None:
    """Each place of 3.1, with a warning of its own."""
    where, name = place.split(".")
    traits = {name: "undefined"}
    event = of_type("track", anonymousId="a")
    event |= {"traits": traits} if where == "traits" else {"context": {"traits": traits}}
    assert v1_body(event, WARNING)["anonymous_id"] == "a"


def test_2_1_every_placeholder_on_the_way_warns_and_none_behind_the_hit() -> None:
    """A search stops at its first hit (12.4)."""
    event = track(userId="null", traits={"userId": "undefined", "id": "u"})
    event["context"] = {"traits": {"userId": "None"}}
    assert request_of(event, WARNING, WARNING)["path"] == "/api/v1/customers/u/events"


def test_2_1_an_anonymous_id_that_is_a_placeholder_is_not_attached() -> None:
    """Everybody would get the events of everybody else."""
    event = identify(anonymousId="undefined")
    assert "anonymous_id" not in attributes_of_both(event, WARNING)


def test_2_1_an_anonymous_id_that_is_tried_and_then_attached_warns_once() -> None:
    """An identify by email reads it twice."""
    event = of_type("identify", anonymousId="undefined", traits={"email": "a@b.co"})
    assert attributes_of_both(event, WARNING) == {"email": "a@b.co"}


@pytest.mark.parametrize("written", PLACEHOLDERS)
def test_2_1_a_message_id_that_is_a_placeholder_does_not_warn(written: str) -> None:
    """Nor does it keep the event from being sent."""
    assert body_of(track(messageId=written))["name"] == "e"


def test_2_1_a_group_of_a_placeholder_relates_nobody() -> None:
    """The object itself is good."""
    assert item_of(group(userId="[object Object]"), WARNING)["cio_relationships"] == []


def test_2_1_a_device_token_that_is_a_placeholder_makes_an_ordinary_event() -> None:
    """Rule 6.1: without token an ordinary event."""
    device = {"token": "null", "type": "ios"}
    event = track(event="Application Opened", context={"device": device})
    assert body_of(event, WARNING)["name"] == "Application Opened"


def test_2_1_a_mapped_id_that_is_a_placeholder_leaves_the_user_id_in_place() -> None:
    """Rule 3.5 asks for a usable external id."""
    context = {"mappedToDestination": True, "externalId": [{"id": "undefined"}]}
    event = identify(context=context, traits={"a": 1})
    assert request_of(event, WARNING)["path"] == "/api/v1/customers/u"


@pytest.mark.parametrize("api_version", ["v1", "v2"])
def test_2_1_a_row_goes_by_the_next_usable_identifier(api_version: str) -> None:
    """Rule 9.2: cio_id, id, email."""
    event = row(id="undefined", email="jane@example.com")
    # The column id is no usable id, and so no attribute either (4.2).
    warnings = (WARNING, "ID_ATTRIBUTE_LEFT_OUT")
    request = request_of(event, *warnings, connection=PERSON, apiVersion=api_version)
    if api_version == "v1":
        assert request["path"] == "/api/v1/customers/jane%40example.com"
    else:
        assert request["body"]["batch"][0]["identifiers"] == {"email": "jane@example.com"}


def test_2_1_a_row_of_an_audience_without_usable_identifier_is_refused() -> None:
    """Rule 9.5: exactly one identifier."""
    assert refusal_of(row(id="null"), connection={"audienceId": 7}) == "INVALID_RECORD"


def test_2_1_a_name_or_a_trait_may_be_such_a_text() -> None:
    """Only ids are judged."""
    assert body_of(track(event="undefined"))["name"] == "undefined"
    assert attributes_of(identify(traits={"plan": "null"}))["plan"] == "null"
