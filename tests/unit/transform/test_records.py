"""record: warehouse rows, which need a connection. SPEC 9.1."""

from typing import Any

import pytest

from tests.unit.transform.support import packed, refusal_of, track

ROW: dict[str, Any] = {"type": "record", "action": "insert", "identifiers": {"id": "u", "a": 1}}


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"action": "update"},
        {"action": "delete"},
        {"action": "upsert"},
        {"action": None},
        {"action": ["insert"]},
        {"identifiers": None},
        {"identifiers": []},
        {"identifiers": {}},
        {"type": "RECORD"},
        {"userId": "u", "event": "e", "name": "n", "groupId": "g"},
    ],
    ids=str,
)
def test_9_1_a_record_without_a_connection_is_refused(members: dict[str, Any]) -> None:
    """Whatever the row says, nobody knows what it is about without its connection."""
    assert refusal_of(ROW | members) == "INVALID_RECORD"


def test_9_1_a_record_is_refused_whatever_the_destination_says() -> None:
    """No setting of a destination stands in for a connection."""
    config = {"object": "person", "audienceId": 5, "identifierMappings": [{"to": "id"}]}
    assert refusal_of(ROW, **config) == "INVALID_RECORD"


def test_9_1_events_beside_a_record_go_out() -> None:
    """A record's refusal is its own (1.4)."""
    assert refusal_of(ROW) == "INVALID_RECORD"
    assert [positions for _, positions in packed([track(), track()])] == [[0], [1]]
