"""Who may call the sandbox: programs and its own page, but no page of another site."""

import socket
from typing import Any

import httpx
import pytest
from ciosidecar_sandbox.testing import Running, running_sandbox

from tests.sandbox.support import Track, sandbox_process

PATHS = [
    ("GET", "/"),
    ("GET", "/people"),
    ("GET", "/live"),
    ("GET", "/static/page.css"),
    ("GET", "/sandbox/people"),
    ("GET", "/sandbox/person?id=u1"),
    ("GET", "/sandbox/faults"),
    ("PUT", "/sandbox/faults"),
    ("POST", "/sandbox/reset"),
    ("PUT", "/api/v1/customers/u1"),
    ("POST", "/api/v2/batch"),
    ("POST", "/unsubscribe/abc"),
]
LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def ask(track: Track, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    with track.http.stream(method, path, headers=headers, json={}) as answer:
        if "event-stream" not in answer.headers.get("content-type", ""):
            answer.read()
        return answer


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (421, {"Host": "evil.example"}),
        (421, {"Host": "evil.example:8089"}),
        (421, {"Host": "localhost.evil.example"}),
        (421, {"Host": "127.0.0.1.evil.example"}),
        (421, {"Host": "[::1].evil.example]"}),
        (421, {"Host": ""}),
        (403, {"Origin": "https://evil.example"}),
        (403, {"Origin": "http://127.0.0.1:1"}),
        (403, {"Origin": "http://localhost"}),
        (403, {"Origin": "null"}),
        (403, {"Origin": ""}),
        (403, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
        (403, {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}),
        (403, {"Sec-Fetch-Site": "cross-site", **LINK, "Sec-Fetch-Dest": "iframe"}),
    ],
)
def test_another_sites_page_gets_nothing(
    track: Track, method: str, path: str, status: int, headers: dict[str, str]
) -> None:
    """Neither by a name that leads here, nor by a request from its page; nothing is read or changed."""
    track.identify("u1", secret="s3cret")
    answer = ask(track, method, path, headers)
    assert answer.status_code == status
    assert "s3cret" not in answer.text
    assert list(answer.json()) == ["meta"]
    assert track.attributes(id="u1") == {"secret": "s3cret"}


def test_a_form_of_another_site_resets_nothing(track: Track) -> None:
    """A form's POST is a navigation, and changes something: refused."""
    track.identify("u1")
    headers = {"Sec-Fetch-Site": "cross-site", **LINK}
    assert track.http.post("/sandbox/reset", headers=headers).status_code == 403
    assert track.find(id="u1") is not None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "none", **LINK},
        {"Sec-Fetch-Site": "cross-site", **LINK},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
    ],
    ids=["program", "typed", "link", "own-page"],
)
def test_programs_links_and_its_own_page_are_answered(track: Track, headers: Any) -> None:
    """As before."""
    for path in ("/", "/people", "/sandbox/people"):
        assert track.http.get(path, headers=headers).status_code == 200


def test_its_own_page_may_change_things(track: Track) -> None:
    """Origin and Host are the same, by whatever name."""
    port = httpx.URL(track.url).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
        headers = {
            "Host": host,
            "Origin": f"http://{host.lower()}",
            "Sec-Fetch-Site": "same-origin",
        }
        assert track.http.post("/sandbox/reset", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:1", "127.0.0.1", "127.1.2.3:8089", "[::1]:8089", "192.0.2.7", "[::1]"],
)
def test_addresses_and_localhost_are_names_of_it(track: Track, host: str) -> None:
    """No site can make an address lead elsewhere."""
    assert track.http.get("/sandbox/counters", headers={"Host": host}).status_code == 200
    headers = {"Host": host, "Content-Type": "application/json"}
    answer = track.http.put("/api/v1/customers/u1", headers=headers, content=b"{}")
    assert answer.status_code == 200


def test_a_request_of_two_hosts_needs_both(shared: Running) -> None:
    """A second Host header does not hide the first."""
    url = httpx.URL(shared.url)
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        connection.sendall(
            b"GET /sandbox/people HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n"
            b"Connection: close\r\n\r\n"
        )
        said = connection.makefile("rb").readline()
    assert b" 200 " not in said


def test_a_name_of_ones_own_has_to_be_allowed() -> None:
    """--allow-host, case-insensitively, repeatable: for the API too."""
    with running_sandbox(allow_host=("customerio", "Sandbox.Example")) as sandbox:
        for host, status in (
            ("customerio:8089", 200),
            ("sandbox.example", 200),
            ("SANDBOX.EXAMPLE:1", 200),
            ("another.example", 421),
        ):
            url = sandbox.url + "/api/v1/customers/u1"
            answer = httpx.put(url, json={}, auth=("site", "key"), headers={"Host": host})
            assert answer.status_code == status
    assert "--allow-host" in answer.json()["meta"]["error"]


def test_allow_host_is_a_flag() -> None:
    """Given twice."""
    flags = ("--allow-host", "one.example", "--allow-host", "two.example")
    with sandbox_process(*flags) as process:
        for host in ("one.example", "two.example"):
            answer = httpx.get(process.url + "/sandbox/counters", headers={"Host": host})
            assert answer.status_code == 200
