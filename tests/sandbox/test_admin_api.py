"""What the sandbox tells programs."""

import asyncio

import pytest
from ciosidecar_sandbox.outcome import applied
from ciosidecar_sandbox.request_log import MAX_WAITING_ROWS
from ciosidecar_sandbox.workspace import Workspace

from tests.sandbox.support import Track


def test_the_way_in(track: Track) -> None:
    """/sandbox/ lists the rest; all of it is JSON."""
    answer = track.http.get("/sandbox", follow_redirects=True)
    assert "/sandbox/people" in answer.json()["paths"]
    for path in ("people", "events", "objects", "requests", "counters", "faults"):
        assert track.http.get(f"/sandbox/{path}").headers["content-type"] == "application/json"


def test_people_are_paged_and_searched(track: Track) -> None:
    """Newest first; the search looks at identifiers and texts, in any case."""
    for number in range(25):
        track.identify(f"u{number}", city="Berlin" if number % 2 else "PARIS")
    track.identify("jane@example.com")
    first = track.get("/sandbox/people", limit="10")
    assert [person["id"] for person in first["people"][:2]] == [None, "u24"]
    assert (first["total"], first["next_offset"]) == (26, 10)
    last = track.get("/sandbox/people", limit="10", offset="20")
    assert (len(last["people"]), last["next_offset"]) == (6, None)
    assert len(track.get("/sandbox/people", q="paris")["people"]) == 13
    assert track.get("/sandbox/people", q="JANE@")["people"][0]["email"] == "jane@example.com"
    assert track.get("/sandbox/people", q="nobody")["people"] == []


@pytest.mark.parametrize("kind", ["id", "email", "phone", "cio_id", "any"])
def test_a_person_by_any_identifier(track: Track, kind: str) -> None:
    """cio_id with or without its prefix; any tries all."""
    track.identify("u1", email="jane@example.com", phone="+4930123")
    cio_id = track.person(id="u1")["cio_id"]
    values = {
        "id": ["u1"],
        "email": ["jane@example.com", "JANE@EXAMPLE.COM"],
        "phone": ["+4930123"],
        "cio_id": [cio_id, f"cio_{cio_id}"],
    }
    values["any"] = [value for found in values.values() for value in found]
    for value in values[kind]:
        assert track.person(**{kind: value})["id"] == "u1"
    assert track.http.get("/sandbox/person", params={kind: "none"}).status_code == 404


def test_events_are_filtered_and_paged(track: Track) -> None:
    """By name, person, anonymous id and event id; newest first."""
    for number in range(12):
        track.event(f"u{number % 2}", f"e{number % 3}")
    track.anonymous("a1", "e0", id="01HK421N5033S3AST0AB7P7010")
    cio_id = track.person(id="u1")["cio_id"]
    assert len(track.get("/sandbox/events", name="e0")["events"]) == 5
    assert len(track.get("/sandbox/events", person=cio_id)["events"]) == 6
    assert len(track.get("/sandbox/events", anonymous_id="a1")["events"]) == 1
    assert len(track.get("/sandbox/events", id="01HK421N5033S3AST0AB7P7010")["events"]) == 1
    page = track.get("/sandbox/events", limit="5")
    assert [event["number"] for event in page["events"]] == [13, 12, 11, 10, 9]
    page = track.get("/sandbox/events", limit="5", before=str(page["next_before"]))
    assert [event["number"] for event in page["events"]] == [8, 7, 6, 5, 4]


def test_the_log_is_paged_and_filtered(track: Track) -> None:
    """Newest first, by outcome, call and person; it shows the body."""
    track.identify("u1", plan="pro")
    track.event("u1", "Order")
    track.put("/api/v1/customers/u1", {"plan": "x" * 1001})
    track.merge({"id": "u1"}, {"id": "none"})
    assert [row["call"] for row in track.rows()] == ["merge", "identify", "event", "identify"]
    assert [row["call"] for row in track.rows(limit="2", before="3")] == ["event", "identify"]
    assert track.rows(outcome="dropped")[0]["reason"] == "the secondary (id none) does not exist"
    assert track.rows(outcome="refused")[0]["status"] == 400
    assert len(track.rows(call="identify")) == 2
    assert len(track.rows(person=track.person(id="u1")["cio_id"])) == 3
    assert track.rows()[-1]["body"] == '{"plan":"pro"}'
    assert len(track.rows(outcome="refused")[0]["body"]) == 1000


@pytest.mark.parametrize(
    "path",
    [
        "people?limit=0",
        "people?limit=1001",
        "people?limit=x",
        "people?offset=-1",
        "events?before=x",
        "requests?outcome=sung",
        "objects?offset=99999999999999999999",
    ],
)
def test_bad_queries_are_400(track: Track, path: str) -> None:
    """As JSON."""
    answer = track.http.get(f"/sandbox/{path}")
    assert answer.status_code == 400
    assert "error" in answer.json()["meta"]


def test_reset_forgets_everything(track: Track) -> None:
    """Counts and log included."""
    track.identify("u1", anonymous_id="a1")
    track.event("u1", "Order")
    track.http.post("/api/v1/customers/u2/suppress")
    track.post("/api/v1/segments/7/add_customers", {"ids": ["u1"]})
    assert track.http.post("/sandbox/reset").json() == {}
    counters = track.get("/sandbox/counters")
    assert not any(counters.values())
    track.identify("u2", anonymous_id="a1")
    assert track.last() == ("applied", "")


async def test_subscribers_get_every_row() -> None:
    """From when they subscribe to when they stop; a slow one loses the oldest."""
    workspace = Workspace(keep=10)

    def write(call: str) -> None:
        workspace.log.add(applied(), at=0, method="PUT", path="/", status=200, call=call)

    write("before")
    with workspace.subscribe() as queue, workspace.subscribe() as second:
        write("during")
        assert (await asyncio.wait_for(queue.get(), 5)).call == "during"
        for number in range(MAX_WAITING_ROWS + 5):
            write(str(number))
        assert queue.qsize() == second.qsize() == MAX_WAITING_ROWS
        assert queue.get_nowait().call == "5"
    write("after")
    assert second.qsize() == MAX_WAITING_ROWS
