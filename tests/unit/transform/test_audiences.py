"""record: warehouse rows of an audience. Rule 9.5."""

from typing import Any

import pytest

from tests.unit.transform.support import (
    TIME,
    identify,
    packed,
    refusal_of,
    request_of,
    row,
    text_of_bytes,
    track,
)

AUDIENCE: dict[str, Any] = {"destination": {"audienceId": 23}}
API_VERSIONS = pytest.mark.parametrize("api_version", ["v1", "v2"])


def calls(*events: Any, api_version: str = "v1", **options: Any) -> list[tuple[str, list[str]]]:
    """The calls for segments that rows become, in order: which, and the ids."""
    options.setdefault("connection", AUDIENCE)
    return [
        (request["path"].removeprefix("/api/v1/segments/"), request["body"]["ids"])
        for request, _ in packed(events, apiVersion=api_version, **options)
    ]


@API_VERSIONS
@pytest.mark.parametrize(
    ("action", "change"),
    [
        ("insert", "add_customers"),
        ("update", "add_customers"),
        ("delete", "remove_customers"),
    ],
)
def test_9_5_a_row_puts_somebody_into_a_segment_or_takes_them_out(
    action: str, change: str, api_version: str
) -> None:
    """A call of v1 in both API versions: v2 has none for segments."""
    request = request_of(row(action, id="u"), connection=AUDIENCE, apiVersion=api_version)
    assert (request["method"], request["endpoint_path"]) == ("POST", "v1/segments")
    assert request["path"] == f"/api/v1/segments/23/{change}?id_type=id"
    assert request["raw"] == b'{"ids":["u"]}'


@pytest.mark.parametrize(
    ("to", "identifiers", "text"),
    [
        ("id", {"id": "u"}, "u"),
        ("id", {"id": 12345}, "12345"),
        ("id", {"id": 12345678901234567890}, "12345678901234567890"),
        ("id", {"id": 7.5}, "7.5"),
        ("id", {"id": 'ü"\n'}, 'ü"\n'),
        ("email", {"email": "A@b.co"}, "A@b.co"),
        ("email", {"id": "x@y"}, "x@y"),
        ("cio_id", {"cio_id": "0a1b"}, "0a1b"),
        ("cio_id", {"cio_id": "cio_0a1b"}, "cio_0a1b"),
    ],
)
def test_9_5_the_identifier_is_sent_as_text(
    to: str, identifiers: dict[str, Any], text: str
) -> None:
    """Whatever its column is called: what it is, the connection says."""
    connection = AUDIENCE["destination"] | {"identifierMappings": [{"from": "c", "to": to}]}
    requests = calls(row(**identifiers), connection=connection)
    assert requests == [(f"23/add_customers?id_type={to}", [text])]


@API_VERSIONS
@pytest.mark.parametrize(
    "identifiers",
    [
        {},
        {"id": "u", "email": "a@b.co"},
        {"id": "u", "email": None},
        {"id": True},
        {"id": False},
        {"id": None},
        {"id": ""},
        {"id": " "},
        {"id": 0},
        {"id": ["u"]},
        {"id": {"id": "u"}},
        None,
        [],
        ["u"],
        "u",
    ],
    ids=str,
)
def test_9_5_a_row_has_exactly_one_identifier(identifiers: object, api_version: str) -> None:
    """Two, none, or one that is no id: nobody knows who is meant."""
    event = {"type": "record", "action": "insert", "identifiers": identifiers, "userId": "u"}
    assert refusal_of(event, connection=AUDIENCE, apiVersion=api_version) == "INVALID_RECORD"


@pytest.mark.parametrize("letter", ["a", "é", "日"])
def test_9_5_an_identifier_has_150_bytes_at_most(letter: str) -> None:
    """2.2"""
    assert calls(row(id=text_of_bytes(150, letter)))
    over = row(id=text_of_bytes(151, letter))
    assert refusal_of(over, connection=AUDIENCE) == "ID_TOO_LONG"


@API_VERSIONS
def test_9_5_rows_share_requests_in_input_order(api_version: str) -> None:
    """The n-th id is that of the n-th position; those added and those removed go apart."""
    rows = [row(("insert", "delete", "update")[n % 3], id=f"u{n}") for n in range(9)]
    requests = packed(rows, connection=AUDIENCE, apiVersion=api_version)
    assert [(request["body"]["ids"], positions) for request, positions in requests] == [
        (["u0", "u2", "u3", "u5", "u6", "u8"], [0, 2, 3, 5, 6, 8]),
        (["u1", "u4", "u7"], [1, 4, 7]),
    ]


@pytest.mark.parametrize(
    ("number", "counts"), [(1000, [1000]), (1001, [1000, 1]), (2001, [1000, 1000, 1])]
)
def test_9_5_a_request_has_1000_ids_at_most(number: int, counts: list[int]) -> None:
    """The 1,001st begins another, after it."""
    requests = calls(*[row(id=f"u{n}") for n in range(number)])
    assert [len(ids) for _, ids in requests] == counts
    assert [identifier for _, ids in requests for identifier in ids] == [
        f"u{n}" for n in range(number)
    ]


@API_VERSIONS
@pytest.mark.parametrize(
    "actions",
    [
        ["insert", "delete"],
        ["delete", "insert"],
        ["insert", "delete", "insert"],
        ["delete", "delete", "insert", "insert", "delete"],
    ],
    ids=" ".join,
)
def test_9_5_the_last_action_on_an_id_wins(actions: list[str], api_version: str) -> None:
    """Calls are listed in the order of the rows of each id, so replaying them ends as they do."""
    others = [row(("insert", "delete")[n % 2], id=f"v{n}") for n in range(4)]
    events = [event for action in actions for event in (row(action, id="u"), *others)]
    inside: dict[str, bool] = {}
    done = []
    for call, ids in calls(*events, api_version=api_version):
        for identifier in ids:
            inside[identifier] = "add_customers" in call
        done += ["insert" if "add_customers" in call else "delete"] * ids.count("u")
    assert done == actions
    assert inside == {"u": actions[-1] == "insert", **{f"v{n}": n % 2 == 0 for n in range(4)}}


def test_9_5_a_request_has_500_000_bytes_at_most() -> None:
    """An id of control characters is six times as long in JSON as by its own bytes."""
    rows = [row(id="\x01" * 146 + f"{n:04}") for n in range(1000)]
    requests = packed(rows, connection=AUDIENCE)
    assert [position for _, positions in requests for position in positions] == list(range(1000))
    around, each = len('{"ids":[]}'), len('"",') + 146 * 6 + 4
    fit = (500_000 - around + 1) // each
    assert [len(positions) for _, positions in requests] == [fit, 1000 - fit]
    assert max(len(request["raw"]) for request, _ in requests) == around + fit * each - 1


def test_9_5_one_person_under_two_spellings_of_an_email_is_one() -> None:
    """Customer.io tells no upper case from lower case in emails."""
    connection = {"audienceId": 1, "identifierMappings": [{"to": "email"}]}
    rows = [row(email="A@b.co"), row("delete", email="a@b.co"), row(email="a@B.co")]
    assert [ids for _, ids in calls(*rows, connection=connection)] == [
        ["A@b.co"],
        ["a@b.co"],
        ["a@B.co"],
    ]


def test_9_5_a_cio_id_is_the_same_with_and_without_its_prefix() -> None:
    """3.7: so an add and a remove of both do not swap."""
    connection = {"audienceId": 1, "identifierMappings": [{"to": "cio_id"}]}
    rows = [row(c="0a"), row("delete", c="cio_0a"), row(c="0a")]
    requests = calls(*rows, connection=connection)
    assert [ids for _, ids in requests] == [["0a"], ["cio_0a"], ["0a"]]


def test_9_5_a_row_alone_shares_with_nobody() -> None:
    """And keeps its id's order."""
    rows = [row(id="u"), row(id="v"), row("delete", id="u"), row(id="w")]
    requests = packed(rows, connection=AUDIENCE, alone=[2])
    assert [positions for _, positions in requests] == [[0, 1], [2], [3]]


@API_VERSIONS
def test_9_5_people_are_made_before_they_are_added(api_version: str) -> None:
    """What else is said of the person keeps its place among the rows (10.3)."""
    events = [row("delete", id="u"), identify(), row(id="u"), track()]
    requests = packed(events, connection=AUDIENCE, apiVersion=api_version)
    assert [positions for _, positions in requests] == [[0], [1], [2], [3]]


def test_9_5_nothing_else_of_a_row_is_read() -> None:
    """A row has no time and no attributes here."""
    event = row(id="u") | {"timestamp": "garbage", "traits": 5, "properties": [TIME]}
    assert request_of(event, connection=AUDIENCE)["raw"] == b'{"ids":["u"]}'
