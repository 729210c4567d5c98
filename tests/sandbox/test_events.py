"""Events: known people's and anonymous ones."""

import time

import pytest

from tests.sandbox.support import Track

ULID = "01HK421N5033S3AST0AB7P7010"


def test_an_event_is_in_the_persons_timeline(track: Track) -> None:
    """With its name, type, time and data; spaces around the name are trimmed."""
    track.event("u1", " Order ", type="page", timestamp=1_700_000_000, data={"total": 9.5})
    (event,) = track.person(id="u1")["events"]
    assert (event["name"], event["type"]) == ("Order", "page")
    assert (event["timestamp"], event["data"]) == (1_700_000_000, {"total": 9.5})


@pytest.mark.parametrize(
    ("given", "kind"), [("page", "page"), ("screen", "screen"), ("event", "event"), ("x", "event")]
)
def test_any_other_type_is_an_event(track: Track, given: str, kind: str) -> None:
    """Page and screen are kept."""
    track.event("u1", "Order", type=given)
    assert track.person(id="u1")["events"][0]["type"] == kind


def test_an_event_makes_the_person(track: Track) -> None:
    """By id or email; never by cio_id."""
    track.event("u1", "Order")
    track.event("jane@example.com", "Order")
    track.event("cio_ffffffff", "Order")
    assert track.get("/sandbox/counters")["people"] == 2
    assert track.last() == ("dropped", "no person has the cio_id ffffffff")


@pytest.mark.parametrize("first", ["v1", "anonymous", "v2"])
@pytest.mark.parametrize("second", ["v1", "anonymous", "v2"])
def test_a_repeated_event_id_is_ignored(track: Track, first: str, second: str) -> None:
    """Across v1, anonymous and v2 events, and in any case of letters."""
    for call, event_id in ((first, ULID), (second, ULID.lower())):
        if call == "v1":
            track.event("u1", "Order", id=event_id)
        elif call == "anonymous":
            track.anonymous("a1", "Order", id=event_id)
        else:
            track.person_op("event", {"id": "u1"}, name="Order", id=event_id)
    assert len(track.get("/sandbox/events")["events"]) == 1
    outcome, reason = track.last()
    assert outcome == "dropped"
    assert "came before" in reason


def test_an_id_that_is_no_ulid_is_taken_but_tells_no_repeats_apart(track: Track) -> None:
    """The log remarks on it."""
    for _ in range(2):
        track.event("u1", "Order", id="message-1")
        assert "not a ULID" in track.last()[1]
    assert track.event_names(id="u1") == ["Order", "Order"]


@pytest.mark.parametrize("timestamp", ["soon", 1_700_000_000_000, -5, [], 1.5, True])
@pytest.mark.parametrize("version", [1, 2])
def test_an_invalid_timestamp_becomes_now(track: Track, timestamp: object, version: int) -> None:
    """Silently, with 200."""
    before = int(time.time())
    if version == 1:
        track.event("u1", "Order", timestamp=timestamp)
    else:
        track.person_op("event", {"id": "u1"}, name="Order", timestamp=timestamp)
    assert before <= track.person(id="u1")["events"][0]["timestamp"] <= time.time()
    assert "the current time is used" in track.last()[1]


@pytest.mark.parametrize("action", ["event", "page", "screen"])
def test_v2_events(track: Track, action: str) -> None:
    """The action is the type; attributes are the data."""
    track.person_op(action, {"email": "jane@example.com"}, name="Home", attributes={"a": [1]})
    (event,) = track.person(email="jane@example.com")["events"]
    assert (event["type"], event["name"], event["data"]) == (action, "Home", {"a": [1]})


def test_anonymous_events_join_on_identify(track: Track) -> None:
    """In order of arrival, among the person's own; anonymous_id is an attribute like others."""
    track.anonymous("a1", "first")
    track.event("u1", "second")
    track.person_op("event", {"anonymous_id": "a1"}, name="third")
    track.anonymous("a2", "not theirs")
    assert track.event_names(id="u1") == ["second"]
    track.identify("u1", anonymous_id="a1")
    assert track.event_names(id="u1") == ["first", "second", "third"]
    assert track.person(id="u1")["anonymous_ids"] == ["a1"]
    assert track.get("/sandbox/counters")["anonymous_ids_waiting"] == 1


def test_events_just_after_identify_join_at_once_and_later_ones_wait(
    track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five minutes are the limit; another identify takes what came since."""
    workspace = track.running.workspace
    now = time.time()
    track.identify("u1", anonymous_id="a1")
    track.anonymous("a1", "soon")
    assert track.event_names(id="u1") == ["soon"]
    monkeypatch.setattr(workspace, "clock", lambda: now + 400)
    track.anonymous("a1", "later")
    assert track.event_names(id="u1") == ["soon"]
    assert "waits for another identify" in track.last()[1]
    track.identify("u1", anonymous_id="a1")
    assert track.event_names(id="u1") == ["soon", "later"]


def test_an_anonymous_id_cannot_be_reused(track: Track) -> None:
    """The second person gets nothing of it, and the log says so."""
    track.identify("u1", anonymous_id="a1")
    track.identify("u2", anonymous_id="a1", plan="pro")
    outcome, reason = track.last()
    assert outcome == "partly"
    assert "cannot be reused" in reason
    track.anonymous("a1", "whose")
    assert track.event_names(id="u1") == ["whose"]
    assert track.event_names(id="u2") == []


def test_an_event_for_nobody_at_all_is_dropped(track: Track) -> None:
    """Without anonymous_id an event needs data.recipient."""
    assert track.post("/api/v1/events", {"name": "Invite"}).status_code == 200
    assert track.last()[0] == "dropped"
    body = {"name": "Invite", "data": {"recipient": "jane@example.com"}}
    assert track.post("/api/v1/events", body).status_code == 200
    assert track.last() == ("applied", "")
    assert len(track.get("/sandbox/events")["events"]) == 1


@pytest.mark.parametrize("body", [{}, {"name": None}, {"name": ""}, {"name": "  "}, {"name": 5}])
@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/customers/u1/events"])
def test_a_name_is_needed(track: Track, body: dict[str, object], path: str) -> None:
    """400 in v1's shape."""
    answer = track.post(path, {"anonymous_id": "a", **body})
    assert answer.status_code == 400
    assert "event name" in answer.json()["meta"]["errors"][0]


@pytest.mark.parametrize("data", ["", [], 5, True, None])
def test_data_must_be_an_object(track: Track, data: object) -> None:
    """ "data": "" is refused too."""
    answer = track.post("/api/v1/customers/u1/events", {"name": "Order", "data": data})
    assert answer.json() == {"meta": {"errors": ["event data must be a hash"]}}
