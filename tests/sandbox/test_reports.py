"""Forms, metrics, unsubscribing, and where the account is."""

import httpx
import pytest

from tests.sandbox.support import Track


def test_a_form_makes_itself_and_the_person(track: Track) -> None:
    """204; fields are attributes, but for the reserved ones."""
    data = {"email": "jane@example.com", "first_name": "Jane", "form_url": "https://x"}
    answer = track.post("/api/v1/forms/signup/submit", {"data": data})
    assert (answer.status_code, answer.content) == (204, b"")
    person = track.person(email="jane@example.com")
    assert person["attributes"] == {"first_name": "Jane"}
    assert (person["events"][0]["type"], person["events"][0]["name"]) == ("form", "signup")
    assert track.get("/sandbox/counters")["forms"] == 1


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"name": "x"},
        {"id": "u1", "email": "jane@example.com"},
        {"id": "u1", "age": 5},
        {"id": 5},
        {"email": ""},
        {"id": "u1", "long": "x" * 1001},
    ],
)
def test_a_form_has_one_identifier_and_texts(track: Track, data: object) -> None:
    """400 otherwise."""
    answer = track.post("/api/v1/forms/signup/submit", {"data": data})
    assert answer.status_code == 400
    assert len(answer.json()["meta"]["errors"]) == 1


def test_metrics_are_counted_without_credentials(track: Track) -> None:
    """v1 metrics, the legacy push events, and v2 deliveries."""
    body = {"delivery_id": "d1", "metric": "opened", "timestamp": 1, "recipient": "jane@b.co"}
    assert httpx.post(track.url + "/api/v1/metrics", json=body).json() == {}
    push = {"delivery_id": "d1", "event": "opened", "device_id": "tok", "timestamp": 1}
    assert httpx.post(track.url + "/api/v1/push/events", json=push).json() == {}
    delivery = {
        "type": "delivery",
        "action": "event",
        "identifiers": {"id": "d1"},
        "name": "opened",
        "attributes": {"device_token": "tok"},
    }
    assert track.entity(delivery).json() == {}
    assert track.get("/sandbox/counters")["metrics"] == 3


@pytest.mark.parametrize(
    "metric",
    ["bounced", "clicked", "converted", "deferred", "delivered", "dropped", "opened", "spammed"],
)
def test_every_metric_of_every_channel(track: Track, metric: str) -> None:
    """A delivery's channel is not in the request."""
    body = {"delivery_id": "d1", "metric": metric}
    assert track.post("/api/v1/metrics", body).status_code == 200


@pytest.mark.parametrize("body", [{}, {"delivery_id": "d"}, {"delivery_id": "d", "metric": "x"}])
def test_bad_metrics(track: Track, body: object) -> None:
    """400."""
    assert track.post("/api/v1/metrics", body).status_code == 400


def test_unsubscribing_needs_no_credentials_and_finds_nobody(track: Track) -> None:
    """The sandbox sends no messages, so no delivery is anybody's; the log says so."""
    answer = httpx.post(track.url + "/unsubscribe/d1", json={"unsubscribe": True})
    assert answer.json() == {}
    assert track.last()[0] == "dropped"
    assert track.post("/unsubscribe/d1", {"unsubscribe": "yes"}).status_code == 400


def test_the_region_leads_back_here(track: Track) -> None:
    """A client that looks for its region goes on with the sandbox."""
    answer = track.http.get("/api/v1/accounts/region")
    assert answer.json() == {"url": track.url, "region": "us", "environment_id": 1}
