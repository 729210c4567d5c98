"""Keys of a config that nothing reads are named, each with the setting that was meant. Rule 11.1."""

import json

import pytest
from ciosidecar_transform.settings.unread_keys import MAX_KEYS, unread_keys


def test_a_key_that_nothing_reads_is_named() -> None:
    """What is a setting is not; what the dashboard has for itself is, with that reason."""
    config = {"siteID": "site", "apiKey": "key", "sitID": "x", "eventDelivery": True, "color": 1}
    notes = {note.key: note.text for note in unread_keys(json.dumps(config).encode())}
    assert notes == {
        "sitID": "is no setting, and is ignored (rule 11.1): did you mean siteID?",
        "eventDelivery": "is the dashboard's own: it is ignored here",
        "color": "is no setting, and is ignored (rule 11.1)",
    }


@pytest.mark.parametrize("config", [b"", b"{", b"[]", b"5", b'{"a": "\xff"}', b"[" * 100_000])
def test_nothing_is_said_of_a_config_that_cannot_be_read(config: bytes) -> None:
    """That is said elsewhere."""
    assert unread_keys(config) == []


def test_keys_and_notes_are_bounded() -> None:
    """A hundred notes, and a hundred characters of a key."""
    config = {f"{n:05d}" + "x" * 1000: 1 for n in range(2 * MAX_KEYS)}
    notes = unread_keys(json.dumps(config).encode())
    assert len(notes) == MAX_KEYS
    assert {len(note.key) for note in notes} == {100}
    assert not any(note.fatal for note in notes)
