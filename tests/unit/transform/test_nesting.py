"""However deeply an event is nested, it is answered, and by its own fault only. Rules 1.1, 1.4."""

import sys
from typing import Any

import pytest
from ciosidecar_transform import transform

from tests.unit.transform.support import NOW, destination, request_of

MEMBERS = {
    "properties": b'{"type":"track","event":"e","userId":"u","properties":%b}',
    "device": b'{"type":"track","event":"Application Opened","userId":"u","properties":%b,'
    b'"context":{"device":{"token":"t","type":"ios"}}}',
    "context": b'{"type":"page","name":"n","userId":"u","context":{"page":%b}}',
    "traits": b'{"type":"identify","userId":"u","traits":%b}',
    "trait": b'{"type":"identify","userId":"u","traits":{"a":%b}}',
    "created-at": b'{"type":"identify","userId":"u","traits":{"createdAt":%b}}',
    "address": b'{"type":"identify","userId":"u","traits":{"address":%b}}',
    "anonymous-id": b'{"type":"identify","userId":"u","anonymousId":%b}',
    "mapped": b'{"type":"identify","userId":"u","context":{"mappedToDestination":%b}}',
    "group": b'{"type":"group","groupId":"g","userId":"u","traits":%b}',
    "relationship": b'{"type":"group","groupId":"g","traits":{"relationshipAttributes":%b}}',
    "alias": b'{"type":"alias","userId":"u","previousId":"p","context":%b}',
    "timestamp": b'{"type":"screen","event":"e","userId":"u","timestamp":%b}',
    "unknown": b'{"type":"track","event":"e","userId":"u","x":%b}',
}
CONFIGS: list[dict[str, Any]] = [
    {},
    {"apiVersion": "v2"},
    {
        "convertDates": True,
        "convertDatesDeny": ["b"],
        "emptyStrings": "drop",
        "reservedProperties": "prefix",
        "groupRelationships": "full",
        "apiKey": "{{ traits.k || k }}",
    },
]
FORMS = [(b'{"a":', b"}"), (b"[", b"]"), (b'{"a":[', b"]}")]


def nested(levels: int, opens: bytes, closes: bytes) -> bytes:
    repeats = levels // (len(closes))
    return opens * repeats + b'"2024-01-02"' + closes * repeats


@pytest.mark.parametrize("config", CONFIGS, ids=["v1", "v2", "opt-in"])
@pytest.mark.parametrize("event", MEMBERS.values(), ids=MEMBERS)
@pytest.mark.parametrize("levels", [500, 997])
def test_1_1_a_thousand_levels_work(levels: int, event: bytes, config: dict[str, Any]) -> None:
    """Whatever the member, the form and the settings; the members above it count as levels."""
    to = destination(**config)
    for opens, closes in FORMS:
        outcome, requests = transform(event % nested(levels, opens, closes), to, now=NOW)
        assert outcome.status == 200, (opens, outcome.error)
        assert len(requests) == 1


def test_1_1_a_thousand_levels_arrive_as_they_came() -> None:
    """What is passed on is not cut, nor are dates in it forgotten."""
    deep = nested(998, *FORMS[0])
    assert deep in request_of(MEMBERS["properties"] % deep)["raw"]
    converted = deep.replace(b'"2024-01-02"', b"1704153600")
    assert converted in request_of(MEMBERS["properties"] % deep, convertDates=True)["raw"]


@pytest.mark.parametrize("config", CONFIGS, ids=["v1", "v2", "opt-in"])
@pytest.mark.parametrize("event", MEMBERS.values(), ids=MEMBERS)
def test_1_1_where_the_stack_ends_an_event_is_too_deep_and_no_fault_of_ours(
    event: bytes, config: dict[str, Any]
) -> None:
    """What can be read in one place, and no longer in one that lies deeper in the stack."""
    to = destination(**config)
    limit = sys.getrecursionlimit()
    # A test may be that deep in the stack, and a rule that much deeper than the reader of events.
    for levels in range(limit - 150, limit + 2):
        outcome, requests = transform(event % nested(levels, b"[", b"]"), to, now=NOW)
        assert outcome.status == 200 or (
            outcome.error is not None and outcome.error.code == "INVALID_JSON"
        ), (levels, outcome.error)
        assert len(requests) == (outcome.status == 200)
