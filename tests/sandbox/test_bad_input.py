"""What clients do wrong: clear answers, and nothing breaks."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.sandbox.support import AUTH, TIMEOUT_S, Track, sandbox_process

BODY_CALLS = [
    ("PUT", "/api/v1/customers/u1"),
    ("POST", "/api/v1/customers/u1/events"),
    ("PUT", "/api/v1/customers/u1/devices"),
    ("POST", "/api/v1/events"),
    ("POST", "/api/v1/merge_customers"),
    ("POST", "/api/v1/segments/7/add_customers"),
    ("POST", "/api/v1/segments/7/remove_customers"),
    ("POST", "/api/v1/forms/signup/submit"),
    ("POST", "/api/v1/metrics"),
    ("POST", "/api/v1/push/events"),
    ("POST", "/unsubscribe/d1"),
    ("POST", "/api/v2/entity"),
    ("POST", "/api/v2/batch"),
]
BODILESS_CALLS = [
    ("DELETE", "/api/v1/customers/u1"),
    ("DELETE", "/api/v1/customers/u1/devices/tok"),
    ("POST", "/api/v1/customers/u1/suppress"),
    ("POST", "/api/v1/customers/u1/unsuppress"),
]
MIB = 1024 * 1024


@pytest.mark.parametrize(("method", "path"), BODY_CALLS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"5",
        b"null",
        b'"text"',
        b'{"a":1}}',
        b'{"a":NaN}',
        b'{"name":"\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_a_body_must_be_a_json_object(track: Track, method: str, path: str, body: bytes) -> None:
    """400 in the shape of the version."""
    headers = {"Content-Type": "application/json"}
    answer = track.http.request(method, path, content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json().keys() <= {"meta", "errors"}
    assert track.last()[0] == "refused"


@pytest.mark.parametrize(("method", "path"), BODY_CALLS)
@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)
def test_the_content_type_must_be_json(
    track: Track, method: str, path: str, content_type: str | None
) -> None:
    """415 otherwise."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = track.http.request(method, path, content=b"{}", headers=headers)
    assert answer.status_code == 415
    assert "error" in answer.json()["meta"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", 'application/json; charset="UTF-8"'],
)
def test_json_may_say_that_it_is_utf_8(track: Track, content_type: str) -> None:
    """In any case of letters."""
    headers = {"Content-Type": content_type}
    answer = track.http.put("/api/v1/customers/u1", content=b"{}", headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "path"), BODILESS_CALLS)
@pytest.mark.parametrize("body", [b"", b"{}", b"nonsense"])
def test_a_body_nobody_reads_does_not_matter(
    track: Track, method: str, path: str, body: bytes
) -> None:
    """The vendor's client sends {} with these, others nothing."""
    assert track.http.request(method, path, content=body).json() == {}


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/customer/u1",
        "/api/v1/customers",
        "/api/v1/customers/",
        "/api/v1/customers/u1/",
        "/api/v1/customers/u1/songs",
        "/api/v1/customers/u1/devices/a/b",
        "/api/v1/customers/u1/devices/",
        "/api/v1/segments/7",
        "/api/v2",
        "/api/v2/batch/",
        "/api/v3/batch",
        "/unsubscribe/",
        "/unsubscribe/a/b",
        "/sandbox/nothing",
        "/favicon.ico",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_404_as_json(track: Track, method: str, path: str) -> None:
    """Whatever the method."""
    answer = track.http.request(method, path)
    assert answer.status_code == 404
    assert "error" in answer.json()["meta"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/customers/u1", "PUT, DELETE"),
        ("/api/v1/customers/u1/events", "POST"),
        ("/api/v1/customers/u1/devices", "PUT"),
        ("/api/v1/customers/u1/devices/tok", "DELETE"),
        ("/api/v1/events", "POST"),
        ("/api/v2/batch", "POST"),
        ("/api/v2/entity", "POST"),
        ("/sandbox/reset", "POST"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "OPTIONS"])
def test_a_wrong_method_is_405_and_says_which_there_are(
    track: Track, method: str, path: str, allowed: str
) -> None:
    """In Allow, and as JSON."""
    answer = track.http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert "error" in answer.json()["meta"]


def test_an_identifier_that_is_not_utf_8_is_400(track: Track) -> None:
    """%FF is no character."""
    assert track.http.put("/api/v1/customers/%FF", json={}).status_code == 400


def test_a_number_out_of_range_is_400(track: Track) -> None:
    """1e400 is JSON that no double holds; in event data it does not matter."""
    headers = {"Content-Type": "application/json"}
    answer = track.http.put("/api/v1/customers/u1", content=b'{"a":1e400}', headers=headers)
    assert answer.status_code == 400
    body = b'{"name":"Order","data":{"a":1e400}}'
    path = "/api/v1/customers/u1/events"
    assert track.http.post(path, content=body, headers=headers).status_code == 200
    assert track.person(id="u1")["events"][0]["data"] == '{"a":1e400}'


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // MIB):
        yield b" " * MIB


def test_vast_bodies_are_refused_and_not_kept() -> None:
    """413 over 50 MiB, said in advance or not; 400 below; memory stays flat; it goes on."""
    with sandbox_process() as process, httpx.Client(base_url=process.url, auth=AUTH) as http:
        headers = {"Content-Type": "application/json"}
        http.post("/api/v2/batch", content=b" " * MIB, headers=headers, timeout=TIMEOUT_S)
        before = process.resident_bytes()
        for size, status in ((50 * MIB, 400), (51 * MIB, 413), (200 * MIB, 413)):
            answer = http.post(
                "/api/v2/batch", content=chunks(size), headers=headers, timeout=TIMEOUT_S
            )
            assert answer.status_code == status
        with socket.create_connection(process.address, TIMEOUT_S) as raw:
            raw.sendall(_head(50 * MIB + 1))
            assert raw.recv(100).startswith(b"HTTP/1.1 413")
        assert process.resident_bytes() - before < 30 * MIB
        assert http.put("/api/v1/customers/u1", json={}).status_code == 200


def _head(length: int) -> bytes:
    return (
        b"POST /api/v2/batch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic c2l0ZTprZXk=\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length
    )


def test_half_sent_requests_are_survived_and_logged(track: Track) -> None:
    """Nothing of them is accepted."""
    address = (track.running.url.split("//")[1].split(":")[0], int(track.url.rpartition(":")[2]))
    body = b'{"batch":[{"type":"person","action":"identify","identifiers":{"id":"u1"}}]}'
    for sent in (_head(len(body)) + body[:-1], _head(len(body)), _head(9)[:40], b"\r\n", b""):
        with socket.create_connection(address, TIMEOUT_S) as raw:
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(1000):
                pass
    assert track.get("/sandbox/counters")["people"] == 0
    rows = track.rows()
    assert [row["status"] for row in rows] == [0, 0]
    assert "disconnected" in rows[0]["reason"]


@pytest.mark.parametrize(
    "sent", [b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9\r\n\r\n"]
)
def test_what_is_not_http_is_400(track: Track, sent: bytes) -> None:
    """TLS on the plain port, say."""
    host, _, port = track.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), TIMEOUT_S) as raw:
        raw.sendall(sent)
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


def test_thousands_of_connections_in_turn_leave_nothing() -> None:
    """Ten thousand clients that come, call and go: memory is flat."""
    with sandbox_process("--keep", "10") as process:
        request = _head(2).replace(b"/api/v2/batch", b"/api/v2/entity") + b"{}"

        def call(count: int) -> None:
            for _ in range(count):
                with socket.create_connection(process.address, TIMEOUT_S) as raw:
                    raw.sendall(request)
                    assert raw.recv(1000).startswith(b"HTTP/1.1 400")

        call(1000)
        before = process.resident_bytes()
        call(9000)
        assert process.resident_bytes() - before < 4 * MIB
