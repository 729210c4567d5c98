"""record: warehouse rows of people and events. Rules 9.1-9.3."""

from typing import Any

import pytest

from tests.unit.transform.support import (
    TIME,
    TIME_S,
    codes,
    packed,
    refusal_of,
    request_of,
    row,
    row_in_v2,
    sent,
    text_of_bytes,
    track,
)

PERSON: dict[str, Any] = {"destination": {"object": "person"}}
EVENT: dict[str, Any] = {"destination": {"object": "event"}}
API_VERSIONS = pytest.mark.parametrize("api_version", ["v1", "v2"])


@API_VERSIONS
@pytest.mark.parametrize(
    "members",
    [
        {},
        {"action": "delete"},
        {"identifiers": None},
        {"type": "RECORD"},
        {"userId": "u", "event": "e", "name": "n", "groupId": "g"},
    ],
    ids=str,
)
def test_9_1_a_record_without_a_connection_is_refused(
    members: dict[str, Any], api_version: str
) -> None:
    """Whatever the row says, nobody knows what it is about without its connection."""
    assert refusal_of(row(id="u") | members, apiVersion=api_version) == "INVALID_RECORD"


def test_9_1_no_setting_of_a_destination_stands_in_for_a_connection() -> None:
    """What a row is about is the connection's matter."""
    config = {"object": "person", "audienceId": 5, "identifierMappings": [{"to": "id"}]}
    assert refusal_of(row(id="u"), **config) == "INVALID_RECORD"


@API_VERSIONS
@pytest.mark.parametrize("connection", [PERSON, EVENT, {"audienceId": 5}], ids=str)
@pytest.mark.parametrize("action", ["upsert", "INSERT", "", None, 5, True, ["insert"], {"a": 1}])
def test_9_1_another_action_is_refused(
    action: object, connection: dict[str, Any], api_version: str
) -> None:
    """insert, update and delete, so written, are the actions."""
    event = row(action, id="u", name="n")
    assert refusal_of(event, connection=connection, apiVersion=api_version) == "INVALID_RECORD"


@pytest.mark.parametrize("kind", ["RECORD", "Record"])
def test_9_1_the_type_is_read_in_any_case(kind: str) -> None:
    """1.2 holds for records too."""
    event = row(id="u") | {"type": kind}
    assert request_of(event, connection=PERSON)["path"] == "/api/v1/customers/u"


@API_VERSIONS
def test_9_1_other_events_do_not_look_at_the_connection(api_version: str) -> None:
    """An event beside the rows is what it would be without them."""
    bad = {"audienceId": "abc"}
    request = request_of(track(), connection=bad, apiVersion=api_version)
    assert request["raw"] == request_of(track(), apiVersion=api_version)["raw"]


WHO: dict[str, tuple[dict[str, object], str, dict[str, str]]] = {
    "id": ({"id": "u"}, "u", {"id": "u"}),
    "number": ({"id": 12345}, "12345", {"id": "12345"}),
    "half": ({"id": 7.5}, "7.5", {"id": "7.5"}),
    "email": ({"email": "a@b.co"}, "a%40b.co", {"email": "a@b.co"}),
    "id-before-email": ({"email": "a@b.co", "id": "u"}, "u", {"id": "u"}),
    "cio-id-first": ({"id": "u", "cio_id": "0a1b"}, "cio_0a1b", {"cio_id": "0a1b"}),
    "cio-id-with-prefix": ({"cio_id": "cio_0a1b"}, "cio_0a1b", {"cio_id": "0a1b"}),
    "cio-id-of-digits": ({"cio_id": 55}, "cio_55", {"cio_id": "55"}),
    "nothing-but-a-prefix": ({"cio_id": "cio_"}, "cio_cio_", {"cio_id": "cio_"}),
    "email-under-id": ({"id": "a@b.co"}, "a%40b.co", {"email": "a@b.co"}),
    "email-with-white-space": ({"email": " a@b.co\n"}, "a%40b.co", {"email": "a@b.co"}),
    "unusable-before": (
        {"cio_id": True, "id": "", "email": "a@b.co"},
        "a%40b.co",
        {"email": "a@b.co"},
    ),
}


@pytest.mark.parametrize(("columns", "path", "identifiers"), WHO.values(), ids=WHO)
def test_9_2_a_row_is_about_the_same_person_in_both_api_versions(
    columns: dict[str, object], path: str, identifiers: dict[str, str]
) -> None:
    """The first usable of cio_id, id and email, as 3.7 reads it."""
    event = row("delete", **columns)
    assert request_of(event, connection=PERSON)["path"] == f"/api/v1/customers/{path}"
    assert row_in_v2(event, PERSON)["identifiers"] == identifiers


@API_VERSIONS
@pytest.mark.parametrize("connection", [PERSON, EVENT], ids=str)
@pytest.mark.parametrize(
    "identifiers",
    [
        {},
        {"name": "n"},
        {"email": "x@y"},
        {"email": "n/a"},
        {"id": None},
        {"id": ""},
        {"id": " "},
        {"id": 0},
        {"id": True},
        {"id": ["u"]},
        {"id": {"a": 1}},
        {"ID": "u"},
        {"cio_id": False, "email": None},
        None,
        [],
        "u",
        5,
    ],
    ids=str,
)
def test_9_2_a_row_about_nobody_is_refused(
    identifiers: object, connection: dict[str, Any], api_version: str
) -> None:
    """A boolean is nobody, nor is a blank, a zero, or an object."""
    event = {"type": "record", "action": "insert", "identifiers": identifiers, "userId": "u"}
    assert refusal_of(event, connection=connection, apiVersion=api_version) == "MISSING_IDENTITY"


@API_VERSIONS
@pytest.mark.parametrize(
    ("column", "letter"),
    [*((column, letter) for column in ("cio_id", "id") for letter in "aé日"), ("email", "a")],
)
def test_9_2_ids_have_150_bytes_at_most(column: str, letter: str, api_version: str) -> None:
    """2.2, for whatever names the person of a row."""
    # An email has at most 64 characters before its @.
    domain = "@" + "b" * 100 + ".example" if column == "email" else ""
    fits, over = (
        row("delete", **{column: text_of_bytes(size - len(domain), letter) + domain})
        for size in (150, 151)
    )
    assert request_of(fits, connection=PERSON, apiVersion=api_version)
    assert refusal_of(over, connection=PERSON, apiVersion=api_version) == "ID_TOO_LONG"


@pytest.mark.parametrize("person", [".", ".."])
def test_9_2_a_dot_segment_is_no_id_in_a_path(person: str) -> None:
    """3.6 holds for rows, where an id stands in a path."""
    assert refusal_of(row(id=person), connection=PERSON) == "INVALID_ID"
    assert row_in_v2(row(id=person), PERSON)["identifiers"] == {"id": person}


@pytest.mark.parametrize("action", ["insert", "update"])
def test_9_3_a_person_row_identifies(action: str) -> None:
    """Insert and update are the same: Customer.io makes whom it does not know."""
    event = row(action, id="u", email="a@b.co", created_at=TIME, **{"a.b": 1.0})
    request = request_of(event, connection=PERSON)
    assert (request["method"], request["path"]) == ("PUT", "/api/v1/customers/u")
    assert request["endpoint_path"] == "v1/customers"
    assert request["body"] == {"email": "a@b.co", "a.b": 1.0, "_timestamp": TIME_S}
    assert row_in_v2(event, PERSON) == {
        "type": "person",
        "action": "identify",
        "identifiers": {"id": "u"},
        "attributes": {"email": "a@b.co", "a.b": 1.0},
        "timestamp": TIME_S,
    }


def test_9_3_a_person_row_that_is_deleted_deletes_the_person() -> None:
    """The row has nothing but who it is about, whatever its columns."""
    event = row("delete", id="u", plan="pro", created_at="garbage")
    request = request_of(event, connection=PERSON)
    assert (request["method"], request["path"]) == ("DELETE", "/api/v1/customers/u")
    assert (request["raw"], request["endpoint_path"]) == (b"", "v1/customers")
    assert "Content-Type" not in request["headers"]
    assert row_in_v2(event, PERSON) == {
        "type": "person",
        "action": "delete",
        "identifiers": {"id": "u"},
    }


@pytest.mark.parametrize("action", ["insert", "update"])
def test_9_3_an_event_row_is_an_event(action: str) -> None:
    """Named by its column `name`; whom it is about and when stand beside the data."""
    event = row(action, id="u", name="Order", created_at=TIME, total=59.70)
    request = request_of(event, connection=EVENT)
    assert (request["method"], request["path"]) == ("POST", "/api/v1/customers/u/events")
    assert request["body"] == {
        "name": "Order",
        "type": "event",
        "data": {"total": 59.7},
        "timestamp": TIME_S,
    }
    assert row_in_v2(event, EVENT) == {
        "type": "person",
        "action": "event",
        "identifiers": {"id": "u"},
        "name": "Order",
        "timestamp": TIME_S,
        "attributes": {"total": 59.7},
    }


@API_VERSIONS
@pytest.mark.parametrize("name", [None, "", " ", 5, ["n"], {"n": 1}, True])
def test_9_3_an_event_row_needs_a_name(name: object, api_version: str) -> None:
    """5.5 holds for rows."""
    event = row(id="u", name=name)
    assert refusal_of(event, connection=EVENT, apiVersion=api_version) == "MISSING_EVENT_NAME"
    nameless = row(id="u")
    assert refusal_of(nameless, connection=EVENT, apiVersion=api_version) == "MISSING_EVENT_NAME"


@API_VERSIONS
def test_9_3_an_event_cannot_be_deleted(api_version: str) -> None:
    """What happened has happened."""
    event = row("delete", id="u", name="Order")
    assert refusal_of(event, connection=EVENT, apiVersion=api_version) == "INVALID_RECORD"


@pytest.mark.parametrize("letter", ["a", "é", "日"])
def test_9_3_a_long_name_is_cut_to_100_bytes(letter: str) -> None:
    """At a code point, with a warning (5.5)."""
    fits = row_in_v2(row(id="u", name=text_of_bytes(100, letter)), EVENT)
    assert len(fits["name"].encode()) == 100
    over = row_in_v2(row(id="u", name=letter * 101), EVENT, "EVENT_NAME_CUT")
    assert over["name"] == letter * (100 // len(letter.encode()))


def test_9_3_an_event_row_with_a_message_id_has_an_event_id() -> None:
    """Sent again it is the same event; another row of that message, or another id, is another."""

    def id_of(event: dict[str, Any], **config: Any) -> Any:
        return row_in_v2(event, EVENT, **config).get("id")

    event = row(id="u", name="n", a=1) | {"messageId": "m", "originalTimestamp": TIME}
    assert len(id_of(event)) == 26
    assert id_of(event) == request_of(event, connection=EVENT)["body"]["id"]
    others = (event | {"messageId": "k"}, event | row(id="u", name="n", a=2))
    assert len({id_of(record) for record in (event, *others)}) == 3
    assert id_of(event, eventIds="none") is None


@API_VERSIONS
def test_9_rows_and_events_of_one_person_stay_in_order(api_version: str) -> None:
    """A row is about its person under every name it has (10.3)."""
    events = [row(id="u", email="a@b.co"), track(), row("delete", email="a@b.co")]
    requests = packed(events, connection=PERSON, apiVersion=api_version)
    assert [position for _, positions in requests for position in positions] == [0, 1, 2]


@API_VERSIONS
def test_9_a_bad_row_is_its_own_matter(api_version: str) -> None:
    """1.4: rows beside it go out, each with its own outcome."""
    assert refusal_of(row(), connection=PERSON, apiVersion=api_version) == "MISSING_IDENTITY"
    outcome, _ = sent(row(id="u"), connection=PERSON, apiVersion=api_version)
    assert (outcome.status, codes(outcome)) == (200, [])
