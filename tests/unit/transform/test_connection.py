"""What a connection's config says its rows are. Rules 9.1, 9.5."""

import json
from typing import Any

import pytest
from ciosidecar_transform import read_connection
from ciosidecar_transform.settings.connections import Audience, EventRows, PersonRows, Unusable

from tests.unit.transform.support import refusal_of, row

API_VERSIONS = pytest.mark.parametrize("api_version", ["v1", "v2"])

WRAPPED = {
    "flat": lambda settings: settings,
    "dashboard": lambda settings: {"destination": settings, "source": {"a": 1}},
    "connection": lambda settings: {
        "sourceId": "s",
        "destinationId": "d",
        "enabled": True,
        "config": {"destination": settings},
    },
    "config": lambda settings: {"config": settings},
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_9_1_a_connections_settings_are_found_where_callers_hold_them(wrap: Any) -> None:
    """The settings alone, the dashboard's config with them, or the whole connection."""

    def read(**settings: object) -> Any:
        return read_connection(json.dumps(wrap(settings)).encode())

    assert read(object="person") == PersonRows()
    assert read(object="event", unknown=5) == EventRows()
    assert read(audienceId=23, identifierMappings=[{"to": "email"}]) == Audience(23, "email")


@pytest.mark.parametrize(
    ("settings", "connection"),
    [
        ({"object": "Person"}, PersonRows()),
        ({"object": "EVENT"}, EventRows()),
        ({"object": "person", "audienceId": None}, PersonRows()),
        ({"object": "person", "audienceId": 23}, Audience(23, "id")),
        ({"audienceId": "23"}, Audience(23, "id")),
        ({"audienceId": "0023"}, Audience(23, "id")),
        ({"audienceId": 2**64 - 1}, Audience(2**64 - 1, "id")),
        ({"audienceId": 1, "identifierMappings": None}, Audience(1, "id")),
        ({"audienceId": 1, "identifierMappings": []}, Audience(1, "id")),
        ({"audienceId": 1, "identifierMappings": [{}]}, Audience(1, "id")),
        ({"audienceId": 1, "identifierMappings": [{"from": "a", "to": None}]}, Audience(1, "id")),
        ({"audienceId": 1, "identifierMappings": [{"to": "id"}]}, Audience(1, "id")),
        ({"audienceId": 1, "identifierMappings": [{"to": "cio_id"}, 5]}, Audience(1, "cio_id")),
        ({"audienceId": 1, "identifierMappings": [{"to": "Email"}]}, Audience(1, "email")),
    ],
    ids=str,
)
def test_9_1_what_a_connection_says(settings: dict[str, Any], connection: Any) -> None:
    """A segment, if it names one, else people or events; an absent kind of identifier is id."""
    assert read_connection(json.dumps(settings).encode()) == connection


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({}, "object"),
        ({"object": None}, "object"),
        ({"object": ""}, "object"),
        ({"object": "people"}, "object"),
        ({"object": 5}, "object"),
        ({"object": ["person"]}, "object"),
        ({"audienceId": 0}, "audienceId"),
        ({"audienceId": ""}, "audienceId"),
        ({"audienceId": "abc"}, "audienceId"),
        ({"audienceId": "0"}, "audienceId"),
        ({"audienceId": "-5"}, "audienceId"),
        ({"audienceId": "5 "}, "audienceId"),
        ({"audienceId": "٢٣"}, "audienceId"),
        ({"audienceId": "9" * 5000}, "audienceId"),
        ({"audienceId": -5}, "audienceId"),
        ({"audienceId": 2**64}, "audienceId"),
        ({"audienceId": 1.5}, "audienceId"),
        ({"audienceId": True}, "audienceId"),
        ({"audienceId": [23]}, "audienceId"),
        ({"object": "person", "audienceId": "abc"}, "audienceId"),
        ({"audienceId": 1, "identifierMappings": [{"to": "phone"}]}, "identifierMappings"),
        ({"audienceId": 1, "identifierMappings": [{"to": ""}]}, "identifierMappings"),
        ({"audienceId": 1, "identifierMappings": [{"to": 5}]}, "identifierMappings"),
        ({"audienceId": 1, "identifierMappings": ["id"]}, "identifierMappings"),
        ({"audienceId": 1, "identifierMappings": {"to": "id"}}, "identifierMappings"),
        ({"audienceId": 1, "identifierMappings": "id"}, "identifierMappings"),
    ],
    ids=lambda settings: str(settings)[:60],
)
@API_VERSIONS
def test_9_1_rows_of_a_connection_that_cannot_be_used_are_refused(
    settings: dict[str, Any], key: str, api_version: str
) -> None:
    """INVALID_RECORD names the key and never its value: nothing is guessed."""
    unusable = read_connection(json.dumps(settings).encode())
    assert isinstance(unusable, Unusable)
    assert key in unusable.text
    assert "abc" not in unusable.text
    assert refusal_of(row(id="u"), connection=settings, apiVersion=api_version) == "INVALID_RECORD"


@pytest.mark.parametrize(
    "config",
    [b"", b"{", b"[]", b"5", b'"object"', b"null", b"\xff", b'{"object":"person"', b"[" * 2000],
    ids=lambda config_json: str(config_json[:20]),
)
def test_9_1_what_is_no_config_is_no_connection(config: bytes) -> None:
    """Nothing raises, whatever the bytes."""
    assert isinstance(read_connection(config), Unusable)


def test_9_1_odd_members_beside_the_settings_do_not_matter() -> None:
    """What nobody reads cannot refuse: half an emoji, a number that no double holds."""
    config = b'{"destination":{"object":"person","a":"\\ud83d","n":1e999,"x":[]}}'
    assert read_connection(config) == PersonRows()
