"""The admin port: where it listens, what it refuses, and what health and readiness say."""

import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from ciosidecar_server.settings import DEFAULT_ADMIN_LISTEN
from ciosidecar_server.testing import server as in_process

from tests.conftest import batch, destination
from tests.processes import TIMEOUT_S, Server, run, server

LOOPBACK = ("--listen", "127.0.0.1:0")


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """One sidecar for the tests that only ask."""
    with server(*LOOPBACK) as found:
        yield found


def ask(
    running: Server, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer."""
    connection = http.client.HTTPConnection(running.ready_line["admin"], timeout=TIMEOUT_S)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        connection.close()


def exchange(address: str, sent: bytes, within_s: float = TIMEOUT_S) -> bytes:
    """Everything that comes back for some bytes, until the server closes the connection."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=within_s) as connection:
        connection.sendall(sent)
        found = b""
        while received := connection.recv(65_536):
            found += received
        return found


def test_the_ready_line_has_the_admin_port(running: Server) -> None:
    """With the port that was taken, on loopback."""
    host, _, port = running.ready_line["admin"].rpartition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0


def test_the_default_is_loopback() -> None:
    """Metrics and the page are for this machine, unless the operator says otherwise."""
    assert DEFAULT_ADMIN_LISTEN.startswith("127.0.0.1:")


def test_none_is_off() -> None:
    """The ready line says null, and the process listens on nothing but gRPC."""
    with server(*LOOPBACK, "--admin-listen", "none") as running:
        assert running.ready_line["admin"] is None
        assert len(listening(running.process.pid)) == 1


def open_files(pid: int) -> list[str]:
    """What a process has open, as Linux calls it."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.append(str(link.readlink()))
    return found


def listening(pid: int) -> set[str]:
    """Inodes of a process's TCP sockets that listen."""
    inodes = {name.removeprefix("socket:[").rstrip("]") for name in open_files(pid)}
    tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()]
    return {line[9] for line in lines if line[3] == "0A" and line[9] in inodes}


def test_a_taken_port_is_an_error_that_names_the_flag(running: Server) -> None:
    """A second sidecar does not run without its admin port in silence."""
    failed = run("serve", *LOOPBACK, "--admin-listen", running.ready_line["admin"])
    assert (failed.returncode, failed.stdout) == (1, b"")
    words = " ".join(failed.stderr.decode().split())
    assert f"--admin-listen {running.ready_line['admin']}" in words
    assert "started" not in words
    assert "Address already in use" in words
    assert "is taken by another program" in words
    assert "with --admin-listen" in words
    assert "attempting" not in words
    assert "Traceback" not in words


@pytest.mark.parametrize(
    "address",
    [
        "",
        "50549",
        "localhost",
        "127.0.0.1:99999",
        "::1:0",
        "unix:/tmp/a.sock",
        "http://127.0.0.1:0",
    ],
)
def test_what_is_no_address_is_an_error_that_names_the_flag(address: str) -> None:
    """Exit code 1, and the forms that there are."""
    failed = run("serve", *LOOPBACK, f"--admin-listen={address}")
    words = " ".join(failed.stderr.decode().split())
    assert failed.returncode == 1, words
    assert "--admin-listen" in words
    assert "host:port" in words


@pytest.mark.parametrize("address", ["no-such-host.invalid:0", "192.0.2.1:0"])
def test_an_address_of_another_machine_is_an_error(address: str) -> None:
    """It is named."""
    failed = run("serve", *LOOPBACK, "--admin-listen", address)
    assert failed.returncode == 1
    assert address in failed.stderr.decode()


@pytest.mark.parametrize("address", ["localhost:0", "[::1]:0"])
def test_every_loopback_address_will_do(address: str) -> None:
    """By name and in IPv6, without a warning."""
    if "[" in address and not ipv6():
        pytest.skip("this machine has no IPv6 on loopback")
    with server(*LOOPBACK, "--admin-listen", address, "--log-level", "warning") as running:
        assert ask(running, "/healthz")[0] == 200
        running.signal(signal.SIGTERM)
        assert running.end() == (0, "")


def ipv6() -> bool:
    """True if this machine has a loopback address of IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_an_address_that_others_reach_is_said_aloud() -> None:
    """One warning, and any Host: a scraper may know the machine by any name."""
    with server(*LOOPBACK, "--admin-listen", "0.0.0.0:0") as running:
        port = running.ready_line["admin"].rpartition(":")[2]
        sent = b"GET /healthz HTTP/1.1\r\nHost: sidecar.example.com\r\n\r\n"
        assert exchange(f"127.0.0.1:{port}", sent).startswith(b"HTTP/1.1 200 ")
        running.signal(signal.SIGTERM)
        code, errors = running.end()
    assert code == 0
    assert errors.count("can be reached from other machines") == 1


def test_it_is_alive_and_ready(running: Server) -> None:
    """200 and JSON, for a program and a person."""
    assert json.loads(ask(running, "/healthz")[2]) == {"alive": True}
    status, headers, body = ask(running, "/readyz")
    assert (status, json.loads(body)) == (200, {"ready": True})
    assert headers["Content-Type"].startswith("application/json")


def test_head_has_no_body(running: Server) -> None:
    """As load balancers ask."""
    status, headers, body = ask(running, "/readyz", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_but_reading(running: Server, method: str) -> None:
    """405, with the methods that there are."""
    status, headers, _ = ask(running, "/", method)
    assert status == 405
    assert headers["Allow"] == "GET,HEAD"


def test_every_answer_says_what_a_browser_may_do(running: Server) -> None:
    """Also one that refuses: no scripts from elsewhere, no frames, no guessed types, nothing kept."""
    for path in ("/", "/healthz", "/no-such-page"):
        _, headers, _ = ask(running, path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "ciosidecar"
        assert not any(name.startswith("Access-Control") for name in headers)


@pytest.mark.parametrize(
    "name", ["evil.example", "127.0.0.1.evil.example", "", "[", "evil.example:50549"]
)
def test_a_name_that_leads_here_from_elsewhere_is_refused(running: Server, name: str) -> None:
    """A web page that points its own name to 127.0.0.1 gets nothing to read (DNS rebinding)."""
    sent = f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()
    answer = exchange(running.ready_line["admin"], sent)
    assert answer.split()[1] in (b"400", b"403"), answer


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "[::1]:1"]
)
def test_the_names_of_loopback_are_answered(running: Server, name: str) -> None:
    """With any port: a tunnel has another one."""
    sent = f"GET /healthz HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()
    assert exchange(running.ready_line["admin"], sent).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(1000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["garbage", "version", "line", "fields", "field", "http2", "tls"],
)
def test_a_malformed_request_ends_its_connection_only(running: Server, sent: bytes) -> None:
    """At the latest when the time for a request's head is over, and nothing is logged: any scanner would fill the log."""
    try:
        answer = exchange(running.ready_line["admin"], sent)
    except ConnectionResetError:
        answer = b""
    assert not answer or answer.split()[1] == b"400", answer
    assert ask(running, "/healthz")[0] == 200


def test_a_connection_carries_one_request(running: Server) -> None:
    """No idle connection stays: the answer says so, and the connection ends."""
    sent = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3
    answer = exchange(running.ready_line["admin"], sent)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert b"\r\nconnection: close\r\n" in answer.lower()


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost: lo"], ids=["silent", "half a head"]
)
def test_a_client_that_sends_nothing_is_closed(running: Server, sent: bytes) -> None:
    """Within seconds, whether it sent a part of its request or nothing."""
    start = time.monotonic()
    exchange(running.ready_line["admin"], sent)
    assert time.monotonic() - start < 20


def test_a_body_is_not_waited_for(running: Server) -> None:
    """A request that announces a gigabyte is answered at once."""
    sent = (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
        + b"x" * 100
    )
    start = time.monotonic()
    assert exchange(running.ready_line["admin"], sent).startswith(b"HTTP/1.1 200 ")
    assert time.monotonic() - start < 4


def test_a_flood_of_connections_is_bounded() -> None:
    """Connections beyond the limit are closed at once; afterwards the port answers again."""
    with server(*LOOPBACK) as running, ExitStack() as stack:
        host, _, port = running.ready_line["admin"].rpartition(":")
        opened = [
            stack.enter_context(socket.create_connection((host, int(port)), timeout=TIMEOUT_S))
            for _ in range(100)
        ]
        closed_at_once = 0
        for connection in opened[-20:]:
            closed_at_once += connection.recv(1) == b""
        assert closed_at_once == 20
        sockets = [name for name in open_files(running.process.pid) if name.startswith("socket:")]
        assert len(sockets) < 90
        for connection in opened:
            connection.close()
        until = time.monotonic() + TIMEOUT_S
        while not answers(running):
            assert time.monotonic() < until


def answers(running: Server) -> bool:
    """True if the admin port answers."""
    try:
        return ask(running, "/healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_a_draining_sidecar_is_not_ready() -> None:
    """503 with the reason, from SIGTERM until the last stream ends; it is alive all the while."""
    with server(*LOOPBACK, "--grace", "60") as running:
        with grpc.insecure_channel(running.addresses[0]) as channel:
            requests = RequestsUntilTold()
            responses = v1.SidecarServiceStub(channel).TransformStream(
                iter(requests), timeout=TIMEOUT_S
            )
            assert next(responses).WhichOneof("message") == "opened"
            assert next(responses).WhichOneof("message") == "results"
            running.signal(signal.SIGTERM)
            while next(responses).WhichOneof("message") != "drain":
                pass
            status, _, body = ask(running, "/readyz")
            assert status == 503
            assert json.loads(body)["ready"] is False
            assert json.loads(body)["reason"].startswith("draining")
            assert ask(running, "/healthz")[0] == 200
            requests.told.set()
            assert all(response.WhichOneof("message") == "results" for response in responses)
        assert running.end()[0] == 0


class RequestsUntilTold:
    """A caller that keeps its stream busy until it is told to finish."""

    def __init__(self) -> None:
        self.told = threading.Event()

    def __iter__(self) -> Iterator[v1.TransformStreamRequest]:
        yield v1.TransformStreamRequest(open=v1.OpenStream(destinations=[destination()]))
        event = b'{"type":"track","userId":"u1","event":"Order"}'
        for batch_id in count(1):
            yield v1.TransformStreamRequest(batch=batch(event, batch_id=batch_id))
            if self.told.wait(0.02):
                break
        yield v1.TransformStreamRequest(finish=v1.Finish())


def test_a_loop_that_hung_is_not_ready_for_a_while() -> None:
    """A stopped process that goes on had a loop that was late: 503 with the reason, later 200 again."""
    with server(*LOOPBACK) as running:
        assert ask(running, "/readyz")[0] == 200
        running.signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(3)
        running.signal(signal.SIGCONT)
        status, _, body = ask(running, "/readyz")
        assert status == 503
        assert json.loads(body)["reason"].startswith("overloaded")
        until = time.monotonic() + TIMEOUT_S
        while ask(running, "/readyz")[0] != 200:
            assert time.monotonic() < until


def test_a_server_in_a_test_has_no_admin_port_unless_asked() -> None:
    """Test servers do not take ports that nobody asked for."""
    with in_process() as quiet:
        assert quiet.admin is None
    with in_process(admin_listen="127.0.0.1:0") as asked:
        assert asked.admin is not None
        answer: Any = exchange(asked.admin, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
