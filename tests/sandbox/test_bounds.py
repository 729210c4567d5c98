"""Everything is bounded: the oldest go."""

from collections.abc import Iterator

import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.sandbox.support import Track


@pytest.fixture(scope="module")
def small() -> Iterator[Track]:
    """A sandbox that keeps ten of everything."""
    with running_sandbox(keep=10) as running:
        track = Track(running)
        with track.http:
            yield track


@pytest.fixture
def track(small: Track) -> Track:
    small.http.post("/sandbox/reset")
    return small


def test_people_and_what_points_to_them(track: Track) -> None:
    """The oldest person goes, out of segments and objects too."""
    relation = {"relationships": [{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]}
    track.identify("u0", email="u0@example.com", cio_relationships=relation)
    track.event("u0", "Order")
    track.post("/api/v1/segments/7/add_customers", {"ids": ["u0"]})
    for number in range(1, 11):
        track.identify(f"u{number}")
    assert track.find(id="u0") is None
    assert track.find(email="u0@example.com") is None
    assert track.get("/sandbox/object", type="1", id="acme")["people_count"] == 0
    assert track.get("/sandbox/events")["events"][0]["person"] is None
    counters = track.get("/sandbox/counters")
    assert (counters["people"], counters["people_forgotten"]) == (10, 1)


def test_events_in_the_list_and_in_timelines(track: Track) -> None:
    """The oldest go from both, and from among those that wait."""
    track.anonymous("a1", "waits")
    for number in range(15):
        track.event(f"u{number % 2}", f"e{number}")
    assert len(track.get("/sandbox/events")["events"]) == 10
    assert track.event_names(id="u1") == ["e5", "e7", "e9", "e11", "e13"]
    assert track.event_names(id="u0") == ["e6", "e8", "e10", "e12", "e14"]
    counters = track.get("/sandbox/counters")
    assert (counters["events"], counters["events_received"]) == (10, 16)
    assert counters["anonymous_ids_waiting"] == 0


def test_events_go_in_order_after_a_merge_and_a_join(track: Track) -> None:
    """What joined late is as old as it arrived."""
    track.anonymous("a1", "e0")
    track.event("s", "e1")
    track.event("p", "e2")
    track.identify("s", anonymous_id="a1")
    track.merge({"id": "p"}, {"id": "s"})
    assert track.event_names(id="p") == ["e0", "e1", "e2"]
    for number in range(9):
        track.event("q", f"f{number}")
    assert track.event_names(id="p") == ["e2"]


def test_the_log_objects_forms_segments_and_the_rest(track: Track) -> None:
    """None of them has more than ten."""
    for number in range(15):
        identifiers = {"object_type_id": "1", "object_id": str(number)}
        track.entity({"type": "object", "action": "identify", "identifiers": identifiers})
        track.post(f"/api/v1/forms/f{number}/submit", {"data": {"id": "u1"}})
        track.identify("u1", anonymous_id=f"a{number}")
        track.post(f"/api/v1/segments/{number + 1}/add_customers", {"ids": ["u1"]})
        track.post("/api/v1/metrics", {"delivery_id": "d", "metric": "opened"})
        track.http.post(f"/api/v1/customers/s{number}/suppress")
    counters = track.get("/sandbox/counters")
    for name in ("objects", "forms", "segments", "metrics", "suppressed"):
        assert counters[name] == 10, name
    assert len(track.rows(limit="100")) == 10
    assert counters["operations"] == 90
    assert track.person(id="u1")["segments"] == list(range(6, 16))
