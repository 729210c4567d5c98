"""/api/tap and `ciosidecar tap`: results as they happen, bounded, and without personal data."""

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest
from ciosidecar import Client, StreamOptions

from tests.admin.observed import (
    CONFIG,
    HOSTILE,
    PERSON,
    SECRET,
    deliver,
    event,
    get,
    observed,
    row,
    state,
    state_once,
)
from tests.processes import COMMAND, TIMEOUT_S, Server, run

MEMBERS = {
    *("time", "destination_ref", "session_id", "batch_id", "position", "event_type", "outcome"),
    *("code", "status", "http_status", "attempts", "duration_s"),
}
NO_IDENTITY = b'{"type":"track","event":"Order"}'


@contextmanager
def tapped(running: Server, query: str = "") -> Iterator[Any]:
    """The answer of /api/tap, once the tap is open."""
    connection = HTTPConnection(running.ready_line["admin"], timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"/api/tap{query}")
        response = connection.getresponse()
        assert response.status == 200, response.read()
        yield response
    finally:
        connection.close()


def lines_of(response: Any, number: int) -> list[dict[str, Any]]:
    """The next lines of a tap."""
    return [json.loads(response.readline()) for _ in range(number)]


def test_a_line_says_what_became_of_an_event() -> None:
    """Delivered, and refused before delivery: every documented member, and no other."""
    with observed() as running, tapped(running) as tap:
        deliver(running, [event(), NO_IDENTITY])
        found = sorted(lines_of(tap, 2), key=lambda line: line["position"])
        assert all(line.keys() == MEMBERS for line in found)
        delivered, rejected = found
        assert delivered["destination_ref"] == "orders"
        assert delivered["event_type"] == "identify"
        assert (delivered["outcome"], delivered["code"]) == ("delivered", "")
        assert (delivered["status"], delivered["http_status"], delivered["attempts"]) == (
            200,
            200,
            1,
        )
        assert 0 < delivered["duration_s"] < 30
        assert abs(delivered["time"] - time.time()) < 60
        assert (rejected["outcome"], rejected["code"]) == ("rejected", "MISSING_IDENTITY")
        assert (rejected["status"], rejected["attempts"], rejected["duration_s"]) == (400, 0, None)
        assert delivered["session_id"] == rejected["session_id"]
        assert len(delivered["session_id"]) == 16


def test_events_that_are_only_transformed_are_tapped_too() -> None:
    """Of streams and of unary calls, which have no session."""
    with observed() as running, tapped(running) as tap, Client(running.addresses[0]) as client:
        client.transform([event()], CONFIG)
        (line,) = lines_of(tap, 1)
        assert (line["outcome"], line["session_id"]) == ("transformed", "")
        with client.stream(CONFIG) as stream:
            list(stream.map([event()]))
        (line,) = lines_of(tap, 1)
        assert line["outcome"] == "transformed"
        assert line["session_id"]


def test_nothing_personal_is_in_a_line() -> None:
    """Neither identifiers nor bodies nor credentials, however it ends."""
    with observed("400=0.5") as running, tapped(running) as tap:
        deliver(running, [event(number) for number in range(20)])
        text = json.dumps(lines_of(tap, 20))
    for word in (PERSON, "jane", SECRET, "a-site-id"):
        assert word not in text


def test_a_tap_is_filtered() -> None:
    """By destination, by outcome, and by both; failed stands for all that failed."""
    with (
        observed() as running,
        tapped(running, "?destination=second") as second,
        tapped(running, "?outcome=failed") as failed,
        tapped(running, "?outcome=delivered,filtered&destination=first&limit=1") as first,
    ):
        deliver(running, [event(), NO_IDENTITY], ref="first")
        deliver(running, [event(2)], ref="second")
        assert [line["destination_ref"] for line in lines_of(second, 1)] == ["second"]
        assert [line["code"] for line in lines_of(failed, 1)] == ["MISSING_IDENTITY"]
        (line,) = lines_of(first, 1)
        assert (line["destination_ref"], line["outcome"]) == ("first", "delivered")
        assert first.read() == b""


def test_a_destination_without_ref_has_one_name() -> None:
    """`none` selects it and is its name in lines, as in the state; a caller's own `none` is another one."""
    with (
        observed() as running,
        tapped(running, "?destination=none") as without,
        tapped(running, "?destination=") as empty,
        tapped(running, "?destination=ref:none") as named,
    ):
        deliver(running, [event(1)], ref="none")
        deliver(running, [event(2)], ref="")
        deliver(running, [event(3), event(4)], ref="none")
        assert [line["destination_ref"] for line in lines_of(without, 1)] == ["none"]
        assert [line["destination_ref"] for line in lines_of(empty, 1)] == ["none"]
        assert [line["destination_ref"] for line in lines_of(named, 3)] == ["ref:none"] * 3
        assert row(state(running), "none")["outcomes"] == {"delivered": 1}


def test_a_stream_without_ref_has_that_name_too() -> None:
    """In the state, and so on the page and in top."""
    with (
        observed() as running,
        Client(running.addresses[0]) as client,
        client.stream(CONFIG, StreamOptions(client_name="a-program")),
    ):
        (stream,) = state_once(running, lambda found: found["streams"])["streams"]
    assert stream["destination_ref"] == "none"


@pytest.mark.parametrize(
    "query", ["outcome=lost", "limit=0", "limit=many", "limit=-1", "bodies=yes", "destinations=a"]
)
def test_a_wrong_parameter_is_refused(query: str) -> None:
    """With a sentence in JSON."""
    with observed() as running:
        status, body = get(running, f"/api/tap?{query}")
        assert status == 400
        assert json.loads(body)["error"]


def test_hostile_names_cannot_drive_a_terminal() -> None:
    """Every byte of a line is printable ASCII; the filter takes the name as its caller wrote it."""
    with observed() as running, ExitStack() as stack:
        command = [*COMMAND, "tap", "--admin", running.ready_line["admin"], "--limit", "1"]
        tap = stack.enter_context(subprocess.Popen([*command, "--destination", HOSTILE], stdout=-1))
        stack.callback(tap.kill)
        _deliver_until_exit(running, tap, HOSTILE)
        out, _ = tap.communicate(timeout=TIMEOUT_S)
    assert out.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in out[:-1])
    assert "<script>" in json.loads(out)["destination_ref"]


def _deliver_until_exit(running: Server, tap: "subprocess.Popen[bytes]", ref: str) -> None:
    """Delivers again and again: when the tap is open cannot be seen from outside."""
    until = time.monotonic() + TIMEOUT_S
    while tap.poll() is None:
        assert time.monotonic() < until
        deliver(running, [event()], ref=ref)


def test_bodies_need_a_flag_of_the_server() -> None:
    """Without --tap-bodies they are refused, with the reason."""
    with observed() as running:
        refused = run("tap", "--admin", running.ready_line["admin"], "--bodies")
        assert refused.returncode == 1
        assert b"--tap-bodies" in refused.stderr
        assert refused.stdout == b""


def test_bodies_are_shown_where_the_server_allows_them() -> None:
    """The request without its headers: no credentials."""
    with observed("", "--tap-bodies") as running, tapped(running, "?bodies=1") as tap:
        deliver(running, [event(7)])
        line = tap.readline()
        request = json.loads(line)["request"]
        assert request["method"] == "PUT"
        assert request["body"]["email"] == f"7.{PERSON}"
        assert request["path"].startswith("/api/v1/customers/")
        assert SECRET.encode() not in line
        assert b"Authorization" not in line


def test_without_asking_there_are_no_bodies() -> None:
    """Also where the server allows them."""
    with observed("", "--tap-bodies") as running, tapped(running) as tap:
        deliver(running, [event()])
        assert PERSON.encode() not in tap.readline()


def test_a_slow_reader_loses_lines_and_is_told_how_many() -> None:
    """Delivery goes on at its pace; what was read and what was lost add up."""
    number = 30_000
    with observed() as running, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, _, port = running.ready_line["admin"].rpartition(":")
        slow.connect((host, int(port)))
        slow.settimeout(TIMEOUT_S)
        slow.sendall(b"GET /api/tap HTTP/1.0\r\nHost: localhost\r\n\r\n")
        seen = slow.recv(100)
        assert seen.startswith(b"HTTP/1.0 200"), seen
        with Client(running.addresses[0]) as client, client.stream(CONFIG) as stream:
            assert sum(1 for _ in stream.map([NO_IDENTITY] * number)) == number
        text = seen
        while True:
            text += slow.recv(65_536)
            lines = [line for line in text.split(b"\n") if line.startswith(b'{"')]
            complete = lines if text.endswith(b"\n") else lines[:-1]
            lost = sum(json.loads(line)["lost"] for line in complete if b'"lost"' in line)
            read = sum(b'"lost"' not in line for line in complete)
            if read + lost == number:
                break
        assert lost > 0
        assert read >= 1000


def test_the_number_of_taps_is_limited() -> None:
    """The ninth is refused; when one ends, another may come."""
    with observed() as running, ExitStack() as stack:
        taps = [ExitStack() for _ in range(8)]
        for tap in taps:
            stack.enter_context(tap)
            tap.enter_context(tapped(running))
        status, body = get(running, "/api/tap")
        assert status == 503
        assert b"8 taps" in body
        taps[0].close()
        until = time.monotonic() + TIMEOUT_S
        while get(running, "/api/tap?limit=0")[0] != 400 or not _opens(running):
            assert time.monotonic() < until


def _opens(running: Server) -> bool:
    connection = HTTPConnection(running.ready_line["admin"], timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/api/tap")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def test_an_open_tap_does_not_hold_up_the_exit() -> None:
    """It ends with the sidecar, as a whole answer."""
    with observed() as running, tapped(running) as tap:
        start = time.monotonic()
        running.signal(signal.SIGTERM)
        assert tap.read() == b""
        assert running.end()[0] == 0
        assert time.monotonic() - start < 10


def test_the_end_of_the_sidecar_is_said() -> None:
    """On stderr, with exit code 0; the end by a limit is not."""
    with observed() as running:
        command = [*COMMAND, "tap", "--admin", running.ready_line["admin"]]
        with (
            subprocess.Popen(command, stdout=-1, stderr=-1) as endless,
            subprocess.Popen([*command, "--limit", "1"], stdout=-1, stderr=-1) as limited,
        ):
            try:
                _deliver_until_exit(running, limited, "orders")
                out, errors = limited.communicate(timeout=TIMEOUT_S)
                assert (limited.returncode, out.count(b"\n"), errors) == (0, 1, b"")
                assert endless.stdout is not None
                enough = threading.Event()
                feeding = threading.Thread(target=_feed, args=(running, enough))
                feeding.start()
                endless.stdout.readline()
                enough.set()
                feeding.join(TIMEOUT_S)
                running.signal(signal.SIGTERM)
                _, errors = endless.communicate(timeout=TIMEOUT_S)
            finally:
                endless.kill()
                limited.kill()
    assert endless.returncode == 0
    assert b"the sidecar has ended" in errors


@pytest.mark.parametrize("number", [signal.SIGINT])
def test_ctrl_c_is_the_usual_end(number: signal.Signals) -> None:
    """Exit code 0 and nothing on stderr."""
    with observed() as running:
        command = [*COMMAND, "tap", "--admin", running.ready_line["admin"]]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tap:
            try:
                assert tap.stdout is not None
                enough = threading.Event()
                feeding = threading.Thread(target=_feed, args=(running, enough))
                feeding.start()
                assert json.loads(tap.stdout.readline())["destination_ref"] == "orders"
                enough.set()
                feeding.join(TIMEOUT_S)
                tap.send_signal(number)
                _, errors = tap.communicate(timeout=TIMEOUT_S)
            finally:
                enough.set()
                tap.kill()
        assert (tap.returncode, errors) == (0, b"")


def _feed(running: Server, enough: threading.Event) -> None:
    while not enough.wait(0.1):
        deliver(running, [event()])


@pytest.mark.parametrize("command", ["top", "tap"])
def test_an_address_without_a_sidecar_says_what_to_do(command: str) -> None:
    """Exit code 1, the address, and where to find the right one."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    failed = run(command, "--admin", address)
    words = " ".join(failed.stderr.decode().split())
    assert (failed.returncode, failed.stdout) == (1, b"")
    for word in (address, "Connection refused", "ciosidecar serve", "--admin"):
        assert word in words
    assert "Traceback" not in words


@pytest.mark.parametrize("command", ["top", "tap"])
@pytest.mark.parametrize(
    "address", ["", "nonsense", "unix:/tmp/a", "https://127.0.0.1:1", "127.0.0.1"]
)
def test_what_is_no_address_is_a_usage_error(command: str, address: str) -> None:
    """Exit code 2."""
    failed = run(command, f"--admin={address}")
    assert failed.returncode == 2
    assert b"host:port" in failed.stderr


@pytest.mark.parametrize("command", ["top", "tap"])
def test_a_port_of_something_else_is_said(command: str) -> None:
    """The gRPC port instead of the admin port, a frequent mistake: a sentence, no traceback."""
    with observed() as running:
        failed = run(command, "--admin", running.addresses[0])
        assert failed.returncode == 1
        assert b"ciosidecar: " in failed.stderr
        assert b"Traceback" not in failed.stderr
