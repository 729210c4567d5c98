"""The type of an object. Rules 8.2, 13.2."""

from typing import Any

import pytest

from .api_versions import v2_item
from .support import codes, group, item_of, refusal_of, sent, track

NAMES = ["objectTypeId", "object_type_id"]
BOTH = ["v1", "v2"]
GOOD: list[tuple[object, str]] = [
    ("1", "1"),
    ("2", "2"),
    ("10", "10"),
    ("9" * 18, "9" * 18),
    (3, "3"),
    (3.0, "3"),
    (10**17, "1" + "0" * 17),
]
BAD: list[object] = [
    "company",
    "0",
    "01",
    "00",
    "9" * 19,
    10**18,
    -1,
    "-1",
    "+1",
    7.5,
    "7.5",
    "1.0",
]
BAD += [" 1", "1 ", "1\n", "1_0", "0x1", "1e3", "\u0662", "\uff12", "\u00b2", "1,000", 10**20]
ABSENT: list[object] = [None, "", " ", 0, 0.0, True, False, {}, [], ["2"], 1e21]


def type_of(event: dict[str, Any], *warnings: str, **config: Any) -> str:
    """The type of the object as sent, the same in both API versions."""
    identifiers = item_of(event, *warnings, **config)["identifiers"]
    assert v2_item(event, *warnings, **config)["identifiers"] == identifiers
    return str(identifiers["object_type_id"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("written", "text"), GOOD)
def test_8_2_the_type_is_a_whole_number_as_text(written: object, text: str, name: str) -> None:
    """1 to 18 ASCII digits, the first other than 0; both spellings."""
    assert type_of(group(traits={name: written})) == text


@pytest.mark.parametrize("api_version", BOTH)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("written", BAD)
def test_8_2_any_other_is_refused(written: object, name: str, api_version: str) -> None:
    """`INVALID_ID`: Customer.io refuses it. Whatever the action."""
    for action in ("identify", "delete", "add_relationships", "delete_relationships"):
        event = group(traits={name: written, "action": action})
        assert refusal_of(event, apiVersion=api_version) == "INVALID_ID"


@pytest.mark.parametrize("written", ABSENT)
def test_8_2_one_that_is_not_usable_counts_as_absent(written: object) -> None:
    """The other spelling is tried, and then it is "1" (2.1: inside traits)."""
    assert type_of(group(traits={"objectTypeId": written})) == "1"
    assert type_of(group(traits={"object_type_id": written})) == "1"
    assert type_of(group(traits={"objectTypeId": written, "object_type_id": 2})) == "2"
    assert type_of(group()) == "1"


def test_8_2_the_first_usable_decides() -> None:
    """objectTypeId before object_type_id, good or bad."""
    assert type_of(group(traits={"object_type_id": "3", "objectTypeId": "2"})) == "2"
    assert type_of(group(traits={"objectTypeId": "2", "object_type_id": "company"})) == "2"
    event = group(traits={"objectTypeId": "company", "object_type_id": "2"})
    assert refusal_of(event) == "INVALID_ID"


def test_2_1_a_placeholder_is_passed_over_with_a_warning() -> None:
    """Rule 2.1 holds for it as for any id."""
    event = group(traits={"objectTypeId": "undefined", "object_type_id": "2"})
    assert type_of(event, "PLACEHOLDER_ID") == "2"


def test_8_2_only_the_group_s_own_traits_are_looked_at() -> None:
    """Neither context.traits nor properties."""
    event = group(context={"traits": {"objectTypeId": "2"}}, properties={"objectTypeId": "company"})
    assert type_of(event) == "1"


SEMANTIC = [
    track(event="Object Deleted", properties={"objectId": "o"}),
    track(event="Relationship Deleted", properties={"objectId": "o"}),
]


@pytest.mark.parametrize("event", SEMANTIC, ids=["object", "relationship"])
def test_13_2_an_object_type_of_a_semantic_event_is_by_8_2(event: dict[str, Any]) -> None:
    """In the properties."""
    for written, text in GOOD:
        properties = event["properties"] | {"objectTypeId": written}
        assert type_of(event | {"properties": properties}, semanticEvents=True) == text
    for written in BAD:
        properties = event["properties"] | {"objectTypeId": written}
        assert refusal_of(event | {"properties": properties}, semanticEvents=True) == "INVALID_ID"
    for written in ABSENT:
        properties = event["properties"] | {"objectTypeId": written}
        assert type_of(event | {"properties": properties}, semanticEvents=True) == "1"


@pytest.mark.parametrize("raw", [b"1" * 1_000_000, b'"' + b"1" * 1_000_000 + b'"', b"1e999999999"])
def test_8_2_a_megabyte_of_digits_is_refused_or_absent(raw: bytes) -> None:
    """Never a fault of ours."""
    event = b'{"type":"group","groupId":"g","traits":{"objectTypeId":' + raw + b"}}"
    outcome, _ = sent(event)
    assert outcome.status in (200, 400)
    assert codes(outcome) == []
