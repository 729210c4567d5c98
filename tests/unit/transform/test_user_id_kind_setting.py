"""`userIdIdentifierType` and `profiles` as settings: what may stand there. Rules 3.8, 11.1, 13.9."""

import json
from typing import Any

import pytest
from ciosidecar_transform import read_destination

from .support import fatal_keys, refusal_of, track

KEY = "userIdIdentifierType"
OTHER_TYPES: list[Any] = [7, 0, True, False, [], ["id"], {}, {"web": "id"}, 1.5]
OTHER_TEXTS = ["ID", "Id", "Email", "cioId", "cio-id", "anonymous_id", "user_id", " id", "id ", " "]


def notes(**config: Any) -> list[tuple[str, str]]:
    """What a usable destination is told of its settings, beside good credentials."""
    settings = {"siteID": "site", "apiKey": "key"} | config
    usable, problems = read_destination(json.dumps(settings).encode())
    assert usable is not None
    assert not any(problem.fatal for problem in problems)
    return [(problem.key, problem.text) for problem in problems]


@pytest.mark.parametrize("value", [*OTHER_TYPES, *OTHER_TEXTS])
def test_11_1_another_value_than_the_four_is_invalid_with_v2(value: object) -> None:
    """Of another type, in another case, or unknown; with phoneAsIdentifier too."""
    assert fatal_keys(apiVersion="v2", userIdIdentifierType=value) == [KEY]
    assert fatal_keys(apiVersion="v2", userIdIdentifierType=value, phoneAsIdentifier=True) == [KEY]


@pytest.mark.parametrize("value", [*OTHER_TYPES, *OTHER_TEXTS, "id", "email", "phone", "cio_id"])
def test_11_1_with_v1_every_value_is_reported_and_without_effect(value: object) -> None:
    """Whether it would be good in v2 or not: the destination works."""
    for version in ({}, {"apiVersion": "v1"}):
        ((key, text),) = notes(userIdIdentifierType=value, **version)
        assert key == KEY
        assert "3.8" in text


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("value", [None, ""])
def test_11_1_null_and_an_empty_text_are_not_given(value: object, version: str) -> None:
    """Nothing is reported."""
    assert notes(apiVersion=version, userIdIdentifierType=value) == []


def test_11_1_a_problem_names_the_key_and_never_the_value() -> None:
    """What stands there may be a secret that was pasted into the wrong field."""
    settings = {"siteID": "s", "apiKey": "k", "apiVersion": "v2", KEY: "s3cr3t"}
    _, problems = read_destination(json.dumps(settings).encode())
    assert [problem.key for problem in problems] == [KEY]
    assert "s3cr3t" not in problems[0].text


def test_13_4_phone_as_identifier_needs_v2_whatever_the_kind() -> None:
    """With v1 the kind is without effect, and phoneAsIdentifier is what makes it unusable."""
    config = {"apiVersion": "v1", "phoneAsIdentifier": True, "userIdIdentifierType": "phone"}
    assert fatal_keys(**config) == ["phoneAsIdentifier"]
    assert fatal_keys(**config | {"apiVersion": "v2"}) == []


def test_13_1_the_kind_may_be_filled_in_from_each_event() -> None:
    """What the event has there is judged as the setting is."""
    config = {"apiVersion": "v2", "userIdIdentifierType": "{{ context.kind || 'id' }}"}
    assert refusal_of(track(context={"kind": "uuid"}), **config) == "INVALID_DESTINATION"
    assert refusal_of(track(context={"kind": "phone"}), **config) == "INVALID_ID"


@pytest.mark.parametrize(
    "value",
    ["", "Everyone", "all", "with_email", " everyone", 7, True, False, [], {}, ["everyone"]],
)
def test_13_9_profiles_is_one_of_three(value: object) -> None:
    """Our own values are case-sensitive; a wrong one is `INVALID_DESTINATION` (11.1)."""
    assert fatal_keys(profiles=value) == ["profiles"]


@pytest.mark.parametrize("value", [None, "everyone", "identified", "withEmail"])
def test_13_9_each_of_the_three_and_null_are_good(value: object) -> None:
    """null counts as not given."""
    assert notes(profiles=value) == []
