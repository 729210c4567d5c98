"""record: what becomes of a row's columns. Rule 9.4."""

from typing import Any

import pytest

from tests.unit.transform.support import (
    NOW,
    TIME,
    refusal_of,
    request_of,
    row,
    row_in_v2,
)

PERSON: dict[str, Any] = {"destination": {"object": "person"}}
EVENT: dict[str, Any] = {"destination": {"object": "event"}}
API_VERSIONS = pytest.mark.parametrize("api_version", ["v1", "v2"])


@pytest.mark.parametrize("created_at", [None, "", 0, False, "0"])
def test_9_4_a_row_without_created_at_has_no_time(created_at: object) -> None:
    """Neither 1970 nor now: it is left out."""
    for connection in (PERSON, EVENT):
        assert "timestamp" not in row_in_v2(
            row(id="u", name="n", created_at=created_at), connection
        )
    assert (
        "_timestamp"
        not in request_of(row(id="u", created_at=created_at), connection=PERSON)["body"]
    )


def test_9_4_an_unusable_created_at_warns() -> None:
    """The row is sent without it (2.4)."""
    for connection in (PERSON, EVENT):
        event = row(id="u", name="n", created_at="garbage")
        item = row_in_v2(event, connection, "UNUSABLE_TIME")
        assert "timestamp" not in item
        assert "created_at" not in item["attributes"]


def test_9_4_the_time_of_a_row_is_its_created_at_alone() -> None:
    """What the pipeline says of the event is not when the row was made."""
    event = row(id="u", a=1) | {"timestamp": TIME, "originalTimestamp": TIME, "channel": "sources"}
    assert request_of(event, connection=PERSON)["body"] == {"a": 1}


def test_9_4_columns_arrive_as_they_were_row_in_v2() -> None:
    """Names and digits are kept (1.3), and nobody gets a created_at of now (4.5)."""
    event = (
        b'{"type":"record","action":"insert","identifiers":{"id":"u","a.b\\\\":12345678901234567890,'
        b'"n":1.0,"createdAt":"x","unsubscribed":"yes","":null}}'
    )
    body = request_of(event, connection=PERSON)["raw"]
    assert body == (
        b'{"a.b\\\\":12345678901234567890,"n":1.0,"createdAt":"x","unsubscribed":"yes","":null}'
    )
    assert str(NOW).encode() not in body


def test_9_4_limits_of_attributes_hold() -> None:
    """4.9, for the people that rows are about; not for the data of events (5.7)."""
    event = row(id="u", name="n", long="x" * 1001)
    cut = request_of(event, "TEXT_CUT", connection=PERSON)["body"]
    assert cut == {"name": "n", "long": "x" * 1000}
    assert request_of(event, connection=EVENT)["body"]["data"] == {"long": "x" * 1001}


@API_VERSIONS
def test_9_4_an_event_row_has_100_000_bytes_of_data_at_most(api_version: str) -> None:
    """5.7, at the exact byte."""
    around = len('{"a":""}')
    fits, over = (row(id="u", name="n", a="x" * (size - around)) for size in (100_000, 100_001))
    assert request_of(fits, connection=EVENT, apiVersion=api_version)["path"].endswith("/events")
    assert refusal_of(over, connection=EVENT, apiVersion=api_version) == "TOO_LARGE"


def test_9_4_a_person_addressed_by_cio_id_may_be_given_another_id() -> None:
    """That is the one way to change an id, so it stays among the attributes."""
    item = row_in_v2(row(cio_id="0a", id="new", email="a@b.co"), PERSON)
    assert item["attributes"] == {"id": "new", "email": "a@b.co"}


@pytest.mark.parametrize("column", ["id", "cio_id"])
@pytest.mark.parametrize("odd", [None, "", True, {"a": 1}], ids=repr)
def test_9_4_an_unusable_id_is_no_attribute(column: str, odd: object) -> None:
    """Customer.io would drop the whole update behind a 200 (4.2)."""
    event = row(**{column: odd, "email": "a@b.co"}, a=1)
    body = request_of(event, "ID_ATTRIBUTE_LEFT_OUT", connection=PERSON)["body"]
    assert body == {"a": 1}
