"""v2 batches: each item by itself."""

from typing import Any

import pytest

from tests.sandbox.support import Track


def identify(who: str, **attributes: Any) -> dict[str, Any]:
    return {
        "type": "person",
        "action": "identify",
        "identifiers": {"id": who},
        "attributes": attributes,
    }


def test_a_good_batch_is_200(track: Track) -> None:
    """In order; types may be mixed."""
    acme = {
        "type": "object",
        "action": "identify",
        "identifiers": {"object_type_id": "1", "object_id": "acme"},
        "cio_relationships": [{"identifiers": {"id": "u1"}}],
    }
    answer = track.post(
        "/api/v2/batch", {"batch": [identify("u1", n=1), acme, identify("u1", n=2)]}
    )
    assert (answer.status_code, answer.json()) == (200, {})
    person = track.person(id="u1")
    assert (person["attributes"], len(person["relationships"])) == ({"n": 2}, 1)


def test_a_batch_with_a_bad_item_is_207_and_the_rest_is_accepted(track: Track) -> None:
    """Every bad item by index, reason, field and message."""
    batch = [
        identify("u1", n=1),
        identify("u2", plan="x" * 1001),
        5,
        {"type": "person", "action": "event", "identifiers": {"id": "u4"}},
        identify("u5", n=5),
    ]
    answer = track.post("/api/v2/batch", {"batch": batch})
    assert answer.status_code == 207
    assert answer.json()["errors"] == [
        {
            "batch_index": 1,
            "reason": "invalid",
            "field": "attributes.plan",
            "message": "property value cannot be longer than 1000 bytes",
        },
        {"batch_index": 2, "reason": "invalid", "field": "", "message": "must be an object"},
        {
            "batch_index": 3,
            "reason": "required",
            "field": "name",
            "message": "event name must not be blank",
        },
    ]
    assert track.get("/sandbox/counters")["people"] == 2
    rows = track.rows()
    assert [(row["batch_index"], row["outcome"]) for row in rows] == [
        (4, "applied"),
        (3, "refused"),
        (2, "refused"),
        (1, "refused"),
        (0, "applied"),
    ]
    assert {row["request"] for row in rows} == {1}


@pytest.mark.parametrize("body", [{}, [], 5, {"batch": {}}, {"batch": None}])
def test_a_body_that_is_no_batch_is_400(track: Track, body: object) -> None:
    """With v2's errors."""
    answer = track.post("/api/v2/batch", body)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert set(error) == {"reason", "field", "message"}


def test_an_empty_batch_does_nothing(track: Track) -> None:
    """200."""
    assert track.post("/api/v2/batch", {"batch": []}).json() == {}
    assert track.last() == ("dropped", "the batch is empty")


def test_a_thousand_items(track: Track) -> None:
    """As many as a batch has room for; there is no other limit."""
    batch = [identify(f"u{number}", n=number) for number in range(4000)]
    assert track.post("/api/v2/batch", {"batch": batch}).status_code == 200
    assert track.get("/sandbox/counters")["people"] == 4000
