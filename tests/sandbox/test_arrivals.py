"""Every arrival of an operation is kept, repeats included, with its answer."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from ciosidecar_sandbox.settings import CannotStart
from ciosidecar_sandbox.testing import running_sandbox

from tests.sandbox.support import Track, sandbox_process

ULID = "01HK421N5033S3AST0AB7P7010"


@pytest.fixture
def kept() -> Iterator[Track]:
    """A sandbox that keeps arrivals."""
    with running_sandbox(arrivals=True) as running:
        track = Track(running)
        with track.http:
            yield track


def arrivals(track: Track, **query: str) -> list[dict[str, Any]]:
    """The arrivals, in the order of their answers."""
    found: list[dict[str, Any]] = track.get("/sandbox/arrivals", **query)["arrivals"]
    return found


def test_a_repeat_is_an_arrival_too(kept: Track) -> None:
    """The sandbox ignores the second event with an id, and still shows both arrivals."""
    body = {"name": "Order", "id": ULID}
    for _ in range(2):
        kept.http.post("/api/v1/customers/u1/events", json=body)
    assert len(kept.get("/sandbox/events")["events"]) == 1
    first, second = arrivals(kept)
    sent = json.dumps(body, separators=(",", ":")).encode()
    assert first["body_sha256"] == second["body_sha256"] == hashlib.sha256(sent).hexdigest()
    assert (first["number"], second["number"]) == (1, 2)
    assert (first["request"], second["request"]) == (1, 2)
    for arrival in (first, second):
        assert (arrival["method"], arrival["path"]) == ("POST", "/api/v1/customers/u1/events")
        assert (arrival["call"], arrival["who"], arrival["event_id"]) == ("event", "id u1", ULID)
        assert (arrival["result"], arrival["status"], arrival["fault"]) == ("accepted", 200, "")
        assert (arrival["answer"], arrival["operations"]) == ("written", 1)
        assert arrival["received_at"] <= arrival["decided_at"] <= arrival["answered_at"]
    assert first["connection"] == second["connection"]
    assert first["peer"] == second["peer"]


def test_each_item_of_a_batch_is_an_arrival(kept: Track) -> None:
    """With its position, its own hash and its own answer."""
    items = [
        {"type": "person", "action": "event", "identifiers": {"id": "u1"}, "name": "A", "id": ULID},
        {"type": "person", "action": "sing", "identifiers": {"id": "u1"}},
    ]
    assert kept.post("/api/v2/batch", {"batch": items}).status_code == 207
    good, bad = arrivals(kept)
    assert (good["batch_index"], good["operations"], good["event_id"]) == (0, 2, ULID)
    assert (good["result"], good["status"]) == ("accepted", 200)
    assert (bad["batch_index"], bad["result"], bad["status"]) == (1, "refused", 207)
    assert json.loads(bad["body"]) == items[1]
    assert good["request"] == bad["request"]


@pytest.mark.parametrize("fault", ["503", "207"])
def test_a_fault_is_a_fault_of_each_item(kept: Track, fault: str) -> None:
    """A batch that fails whole has an arrival for each item; a 207 names one."""
    kept.fault(f"{fault}=1")
    operation = {"type": "person", "action": "identify", "identifiers": {"id": "u1"}}
    kept.post("/api/v2/batch", {"batch": [operation] * 3})
    found = [(arrival["result"], arrival["fault"]) for arrival in arrivals(kept)]
    if fault == "503":
        assert found == [("fault", "503")] * 3
    else:
        assert sorted(found) == [("accepted", ""), ("accepted", ""), ("fault", "207")]


def test_a_refused_batch_is_refused_item_by_item(kept: Track) -> None:
    """Also when the body cannot be read, as one arrival."""
    answer = kept.http.post(
        "/api/v2/batch", content=b'{"batch": [{}, {}]}', headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 415
    assert [arrival["result"] for arrival in arrivals(kept)] == ["refused", "refused"]
    assert kept.http.post("/api/v2/batch", content=b"{").status_code == 415
    assert [arrival["body"] for arrival in arrivals(kept)][2:] == ["{"]


def test_an_answer_that_is_not_written_is_cut(kept: Track) -> None:
    """After a reset, and after a client that left before a slow answer."""
    kept.fault("reset-after=1")
    with pytest.raises(httpx.HTTPError):
        kept.put("/api/v1/customers/u1", {})
    kept.fault("reset=1")
    with pytest.raises(httpx.HTTPError):
        kept.put("/api/v1/customers/u1", {})
    kept.fault("slow=1:500ms")
    host, _, port = kept.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), 5) as raw:
        raw.sendall(
            b"PUT /api/v1/customers/u1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YTpi\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )
    # The request is open as soon as the sandbox has read it, and no more once it is cut.
    _until(kept, total=3, open_requests=0)
    after, before, left = arrivals(kept)
    assert (after["result"], after["fault"], after["answer"]) == ("accepted", "reset-after", "cut")
    assert (before["result"], before["fault"], before["answer"]) == ("fault", "reset", "cut")
    assert (left["result"], left["fault"], left["answer"]) == ("accepted", "", "cut")
    assert left["answered_at"] - left["received_at"] > 0.4


def _until(track: Track, *, total: int, open_requests: int) -> None:
    for _ in range(200):
        page = track.get("/sandbox/arrivals")
        if (page["total"], page["open"]) == (total, open_requests):
            return
        threading.Event().wait(0.05)
    raise AssertionError(page)


def test_arrivals_are_paged_and_a_reset_removes_them(kept: Track) -> None:
    """`next_after` is where the next page begins, also where there is no more."""
    for number in range(5):
        kept.identify(f"u{number}")
    page = kept.get("/sandbox/arrivals", limit="2")
    assert ([arrival["who"] for arrival in page["arrivals"]], page["next_after"]) == (
        ["id u0", "id u1"],
        2,
    )
    page = kept.get("/sandbox/arrivals", after="4")
    assert ([arrival["who"] for arrival in page["arrivals"]], page["next_after"]) == (["id u4"], 5)
    assert kept.get("/sandbox/arrivals", after="5")["arrivals"] == []
    assert (page["total"], page["open"], page["forgotten"]) == (5, 0, 0)
    kept.http.post("/sandbox/reset")
    assert arrivals(kept) == []


def test_forgotten_arrivals_are_counted() -> None:
    """`--keep` bounds them; a reader who is late sees that arrivals are missing."""
    with running_sandbox(arrivals=True, keep=2) as running:
        track = Track(running)
        with track.http:
            for number in range(5):
                track.identify(f"u{number}")
            page = track.get("/sandbox/arrivals")
    assert [arrival["number"] for arrival in page["arrivals"]] == [4, 5]
    assert (page["forgotten"], page["next_after"]) == (3, 5)


def test_arrivals_are_bounded_in_bytes() -> None:
    """However large operations are, `--arrivals-bytes` holds; a text that is not ASCII takes more than its length."""
    most = 100_000
    with running_sandbox(arrivals=True, arrivals_bytes=most) as running:
        track = Track(running)
        with track.http:
            for number in range(60):
                track.put(f"/api/v1/customers/u{number}", {"a": "😀" * 250})
            page = track.get("/sandbox/arrivals", limit="1000")
            assert page["total"] == 60
            assert page["forgotten"] == 60 - len(page["arrivals"]) > 0
            # Nearly full, with four bytes for each character and again for its UTF-8.
            assert 0.9 * most < page["bytes"] <= most
            assert page["bytes"] > len(page["arrivals"]) * 2_000
            assert page["arrivals"][-1]["who"] == "id u59"
            track.http.post("/sandbox/reset")
            assert track.get("/sandbox/arrivals")["bytes"] == 0


def test_no_arrival_at_all_fits() -> None:
    """It is forgotten at once, and counted; a limit below 1 is refused."""
    with running_sandbox(arrivals=True, arrivals_bytes=1) as running:
        track = Track(running)
        with track.http:
            track.identify("u1")
            page = track.get("/sandbox/arrivals")
    assert (page["arrivals"], page["total"], page["forgotten"], page["bytes"]) == ([], 1, 1, 0)
    with (
        pytest.raises(CannotStart, match="--arrivals-bytes must be at least 1"),
        running_sandbox(arrivals_bytes=0),
    ):
        pass


def test_without_the_option_there_are_none(track: Track) -> None:
    """404, with the option that is missing; the flag turns it on."""
    answer = track.http.get("/sandbox/arrivals")
    assert answer.status_code == 404
    assert "--arrivals" in answer.json()["meta"]["error"]
    with sandbox_process("--arrivals") as process:
        assert httpx.get(f"{process.url}/sandbox/arrivals").json()["arrivals"] == []
