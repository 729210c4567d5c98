"""Faults on demand: each kind, by seed, changed while it runs."""

import socket
import time

import httpx
import pytest
from ciosidecar_sandbox.faults import BadFaults, Faults, read_faults

from tests.sandbox.support import Track


def statuses(track: Track, count: int) -> list[int]:
    found = []
    for number in range(count):
        try:
            path = f"/api/v1/customers/u{number}"
            found.append(track.http.put(path, json={}, timeout=5).status_code)
        except httpx.HTTPError:
            found.append(0)
    return found


def test_the_same_seed_gives_the_same_faults(track: Track) -> None:
    """Another seed others; and about as many as asked for."""
    spec = "429=0.2,503=0.1,html502=0.1,reset=0.1"
    track.fault(spec, seed=7)
    first = statuses(track, 200)
    track.fault(spec, seed=7)
    assert statuses(track, 200) == first
    track.fault(spec, seed=8)
    assert statuses(track, 200) != first
    assert 20 < first.count(429) < 65
    assert 60 < first.count(200) < 140


def test_a_reset_of_the_sandbox_begins_the_faults_anew(track: Track) -> None:
    """So that a test can be repeated."""
    track.fault("500=0.5", seed=3)
    first = statuses(track, 50)
    track.http.post("/sandbox/reset")
    assert statuses(track, 50) == first


@pytest.mark.parametrize("status", [400, 401, 408, 429, 500, 503, 504, 522])
def test_any_error_status(track: Track, status: int) -> None:
    """As JSON; nothing is accepted; it is in the log and counted."""
    track.fault(f"{status}=1")
    answer = track.put("/api/v1/customers/u1", {})
    assert answer.status_code == status
    assert "error" in answer.json()["meta"]
    assert track.find(id="u1") is None
    assert track.last() == ("fault", f"{status} (fault)")
    assert track.get("/sandbox/counters")["by_fault"] == {str(status): 1}


@pytest.mark.parametrize(("wait", "header"), [(None, None), (0, "0"), (7, "7"), (1.5, "1.5")])
def test_retry_after_on_429_by_setting(
    track: Track, wait: float | None, header: str | None
) -> None:
    """Without the setting there is no such header."""
    track.fault("429=1", retry_after_s=wait)
    assert track.put("/api/v1/customers/u1", {}).headers.get("retry-after") == header
    track.fault("503=1", retry_after_s=wait)
    assert "retry-after" not in track.put("/api/v1/customers/u1", {}).headers


@pytest.mark.parametrize(("spec", "accepted"), [("reset=1", False), ("reset-after=1", True)])
def test_a_reset_before_and_after_acceptance(track: Track, spec: str, accepted: bool) -> None:
    """The client sees the same: connection reset by peer, no byte of an answer."""
    track.fault(spec)
    host, _, port = track.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), 5) as raw:
        raw.sendall(
            b"PUT /api/v1/customers/u1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YTpi\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )
        with pytest.raises(ConnectionResetError):
            raw.recv(1)
    assert (track.find(id="u1") is not None) is accepted
    assert track.rows()[0]["outcome"] == "fault"


def test_hang_never_answers(track: Track) -> None:
    """Until the client goes away; then everything goes on."""
    track.fault("hang=1")
    with pytest.raises(httpx.ReadTimeout):
        track.http.put("/api/v1/customers/u1", json={}, timeout=0.2)
    track.fault("")
    assert track.put("/api/v1/customers/u2", {}).status_code == 200
    assert track.find(id="u1") is None


def test_slow_takes_its_time_and_then_works(track: Track) -> None:
    """And other faults come late too."""
    track.fault("slow=1:300ms")
    started = time.monotonic()
    assert track.put("/api/v1/customers/u1", {}).status_code == 200
    assert time.monotonic() - started >= 0.3
    assert track.find(id="u1") is not None


def test_html502_is_a_page(track: Track) -> None:
    """As proxies send it."""
    track.fault("html502=1")
    answer = track.put("/api/v1/customers/u1", {})
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert answer.text.startswith("<html>")


def test_redirect_leads_back_with_the_documented_body(track: Track) -> None:
    """Each of the four statuses, with query; the target is the same path here."""
    track.fault("redirect=1")
    seen = set()
    for _ in range(40):
        answer = track.post("/api/v1/segments/7/add_customers?id_type=email", {"ids": ["a"]})
        seen.add(answer.status_code)
        path = "/api/v1/segments/7/add_customers?id_type=email"
        assert answer.headers["location"] == track.url + path
        assert answer.json() == {
            "errors": [{"detail": "wrong datacenter", "status": str(answer.status_code)}]
        }
    assert seen == {301, 302, 307, 308}


def test_207_refuses_one_item_of_a_batch(track: Track) -> None:
    """One at random; the others are accepted; other calls are left alone."""
    track.fault("207=1")
    batch = [
        {"type": "person", "action": "identify", "identifiers": {"id": f"u{number}"}}
        for number in range(10)
    ]
    refused = set()
    for _ in range(20):
        track.running.workspace.reset()
        answer = track.post("/api/v2/batch", {"batch": batch})
        assert answer.status_code == 207
        (error,) = answer.json()["errors"]
        refused.add(error["batch_index"])
        assert track.find(id=f"u{error['batch_index']}") is None
        assert track.get("/sandbox/counters")["people"] == 9
    assert len(refused) > 3
    assert track.put("/api/v1/customers/u1", {}).status_code == 200


def test_faults_are_injected_into_the_api_only(track: Track) -> None:
    """The JSON for programs answers."""
    track.fault("500=1", seed=4, retry_after_s=2)
    assert track.get("/sandbox/faults") == {"spec": "500=1", "seed": 4, "retry_after_s": 2}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("nope=0.1", "'nope' is not a fault"),
        ("200=0.1", "'200' is not a fault"),
        ("429", "needs a probability"),
        ("429=", "from 0 to 1"),
        ("429=2", "from 0 to 1"),
        ("429=-0.1", "from 0 to 1"),
        ("429=nan", "from 0 to 1"),
        ("429=0.1:2s", "no duration"),
        ("slow=0.1", "needs a duration"),
        ("slow=0.1:2", "needs a duration"),
        ("slow=0.1:9999s", "at most"),
        ("429=0.1,429=0.2", "twice"),
        ("429=0.6,503=0.6", "add up to 1.2"),
    ],
)
def test_a_bad_specification_is_explained(track: Track, spec: str, said: str) -> None:
    """In words, and nothing changes."""
    with pytest.raises(BadFaults, match=said):
        read_faults(spec)
    answer = track.http.put("/sandbox/faults", json={"spec": spec})
    assert answer.status_code == 400
    assert said in answer.json()["meta"]["error"]
    assert track.get("/sandbox/faults")["spec"] == ""


@pytest.mark.parametrize(
    "body",
    [[], {"spec": 5}, {"seed": "x"}, {"retry_after_s": "1"}, {"retry_after_s": -1}, {"x": 1}],
)
def test_bad_faults_as_json(track: Track, body: object) -> None:
    """400."""
    assert track.http.put("/sandbox/faults", json=body).status_code == 400


def test_one_fault_does_not_shift_another() -> None:
    """Adding slow or 503 leaves the 429s where they were: runs can be compared."""
    alone = Faults("429=0.1", 5)
    together = Faults("429=0.1,503=0.2,slow=0.5:1s", 5)
    first = [alone.inject().name == "429" for _ in range(1000)]
    second = [together.inject().name == "429" for _ in range(1000)]
    assert first == second
