"""`ciosidecar deliver`: lines in, what became of them out, into a sandbox."""

import json
import os
import pty
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ciosidecar_server.sandbox.testing import Running, running_sandbox

from tests.processes import COMMAND, TIMEOUT_S, run, server

CONFIG: dict[str, Any] = {"siteID": "site", "apiKey": "key"}


def track(number: int, user: str = "u1", **further: Any) -> dict[str, Any]:
    """A line: an event of its own id and name."""
    event = {"type": "track", "userId": user, "event": f"E{number}", "messageId": f"m{number}"}
    return {"event": event | further, "config": CONFIG}


def lines_of(*found: object) -> bytes:
    """Objects as JSON lines."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in found)


def deliver(
    url: str, stdin: bytes, *arguments: str
) -> tuple[list[dict[str, Any]], "subprocess.CompletedProcess[bytes]"]:
    """The lines that come out of a delivery to a URL, and how it ended."""
    done = run("deliver", "--customerio-url", url, *arguments, stdin=stdin)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()], done


def names(sandbox: Running) -> list[str]:
    """The names of the events a sandbox holds, in the order in which they came."""
    return [event.name for event in sandbox.workspace.events.kept]


def test_a_delivered_line_says_what_customerio_answered() -> None:
    """The documented shape, to the last key; the event is in the sandbox; exit code 0."""
    with running_sandbox() as sandbox:
        (line,), done = deliver(sandbox.url, lines_of(track(1)))
        assert names(sandbox) == ["E1"]
    latency_ms = line["delivery"].pop("latency_ms")
    assert line == {
        "status": 200,
        "delivery": {"attempts": 1, "http_status": 200, "reason": ""},
        "warnings": [],
    }
    assert isinstance(latency_ms, int)
    assert done.returncode == 0
    assert {"type\ttrack\t1", "outcome\t200 delivered\t1"} <= set(done.stderr.decode().splitlines())


def test_lines_come_out_in_the_order_they_went_in_whatever_becomes_of_them() -> None:
    """Delivered, refused here, filtered, and no event at all: each line has its own answer."""
    filtered = {
        "event": track(2)["event"] | {"channel": "web"},
        "config": CONFIG | {"connectionMode": {"web": "device"}},
    }
    nobody = {"event": {"type": "track", "event": "E"}, "config": CONFIG}
    stdin = lines_of(track(1)) + b"no json\n" + lines_of(filtered, nobody) + b"{}\n"
    with running_sandbox() as sandbox:
        lines, done = deliver(sandbox.url, stdin + lines_of(track(3)))
        assert names(sandbox) == ["E1", "E3"]
    assert [line["status"] for line in lines] == [200, 400, 298, 400, 400, 200]
    assert lines[1]["error"]["code"] == "INVALID_JSON"
    assert lines[2] == {"status": 298, "reason": "DEVICE_MODE"}
    assert lines[3].keys() == {"status", "error", "warnings"}
    assert lines[3]["error"]["code"] == "MISSING_IDENTITY"
    assert done.returncode == 1


def test_what_customerio_refuses_has_its_reason_in_the_line_and_in_the_summary() -> None:
    """Status and words are Customer.io's; the exit code is 1."""
    with running_sandbox(fault="400=1") as sandbox:
        lines, done = deliver(sandbox.url, lines_of(track(1, "a"), track(2, "b")))
    for line in lines:
        assert (line["status"], line["error"]["code"]) == (400, "REFUSED")
        assert line["delivery"]["http_status"] == 400
        assert line["error"]["retryable"] is False
    reason = lines[0]["delivery"]["reason"]
    assert reason
    assert f"reason\tREFUSED: {reason}\t2" in done.stderr.decode().splitlines()
    assert done.returncode == 1


def test_faults_that_pass_are_survived_and_nothing_is_there_twice() -> None:
    """With a third of the requests failing, everything is delivered once, in each person's order."""
    sent = [track(number, f"u{number % 20}") for number in range(300)]
    with running_sandbox(fault="429=0.1,503=0.1,reset=0.05,reset-after=0.1", seed=3) as sandbox:
        lines, done = deliver(sandbox.url, lines_of(*sent))
        held = names(sandbox)
    assert done.returncode == 0, done.stderr.decode()
    assert [line["status"] for line in lines] == [200] * 300
    assert any(line["delivery"]["attempts"] > 1 for line in lines)
    assert sorted(held) == sorted(f"E{number}" for number in range(300))
    for person in range(20):
        numbers = [int(name[1:]) for name in held if int(name[1:]) % 20 == person]
        assert numbers == sorted(numbers)


def test_what_stays_undelivered_blocks_the_persons_later_events_and_nobody_elses() -> None:
    """The line of the event that failed is named; nothing overtook it."""
    with running_sandbox(fault="503=1") as sandbox:
        lines, done = deliver(
            sandbox.url, lines_of(track(1), track(2), track(3, "other")), "--timeout-s", "1"
        )
        assert names(sandbox) == []
    failed, blocked, other = lines
    assert (failed["status"], failed["error"]["code"]) == (503, "UPSTREAM_FAILED")
    assert failed["error"]["retryable"] is True
    assert (blocked["status"], blocked["error"]["code"]) == (503, "BLOCKED")
    assert blocked["error"]["blocked_by_line"] == 1
    assert blocked["delivery"]["attempts"] == 0
    assert other["error"]["code"] != "BLOCKED"
    assert done.returncode == 1


def test_credentials_that_are_refused_are_said_to_be() -> None:
    """Every event of that destination comes back retryable, with Customer.io's reason once known."""
    with running_sandbox(site_id="another", api_key="one") as sandbox:
        lines, done = deliver(sandbox.url, lines_of(track(1, "a"), track(2, "b")))
    assert [line["error"]["code"] for line in lines] == ["CREDENTIALS_REFUSED"] * 2
    assert lines[0]["delivery"]["http_status"] == 401
    assert "outcome\t503 CREDENTIALS_REFUSED\t2" in done.stderr.decode()
    assert done.returncode == 1


def test_nobody_there_is_every_lines_failure() -> None:
    """A closed port: exit code 1, and the reason in the summary."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    lines, done = deliver(f"http://127.0.0.1:{port}", lines_of(track(1)), "--timeout-s", "0.5")
    assert (lines[0]["status"], lines[0]["error"]["code"]) == (504, "UPSTREAM_FAILED")
    assert lines[0]["delivery"]["http_status"] == 0
    reason = lines[0]["delivery"]["reason"]
    assert reason
    assert f"reason\tUPSTREAM_FAILED: {reason}\t1" in done.stderr.decode()
    assert done.returncode == 1


def test_nothing_of_an_event_is_on_stderr() -> None:
    """Neither who, nor what, nor the credentials: of what fails as little as of what does not."""
    event = {"type": "track", "userId": "jane@example.com", "event": "S3cretName"}
    found = {"event": event, "config": {"siteID": "s1te", "apiKey": "k3y"}}
    with running_sandbox(fault="400=0.5") as sandbox:
        _, done = deliver(sandbox.url, lines_of(*[found] * 10))
    for secret in (b"jane", b"S3cretName", b"s1te", b"k3y"):
        assert secret not in done.stderr


def test_requests_are_shown_on_demand_with_the_secret_masked() -> None:
    """--with-requests, and --show-secrets for the header as it was sent."""
    with running_sandbox() as sandbox:
        (masked,), _ = deliver(sandbox.url, lines_of(track(1)), "--with-requests")
        (shown,), _ = deliver(sandbox.url, lines_of(track(2)), "--with-requests", "--show-secrets")
    (request,) = masked["requests"]
    assert request["url"].endswith("/api/v1/customers/u1/events")
    assert request["headers"]["Authorization"] == "Basic ***"
    assert shown["requests"][0]["headers"]["Authorization"] == "Basic c2l0ZTprZXk="


def test_a_config_for_all_lines(tmp_path: Path) -> None:
    """--config, and the file of events by name."""
    config, events = tmp_path / "destination.json", tmp_path / "events.jsonl"
    config.write_text(json.dumps(CONFIG))
    events.write_bytes(lines_of(track(1)["event"]))
    with running_sandbox() as sandbox:
        lines, done = deliver(sandbox.url, b"", str(events), "--config", str(config))
    assert ([line["status"] for line in lines], done.returncode) == ([200], 0)


def test_the_environment_says_where_to_deliver_as_it_does_for_serve() -> None:
    """CIOSIDECAR_CUSTOMERIO_URL."""
    with running_sandbox() as sandbox:
        environment = os.environ | {"CIOSIDECAR_CUSTOMERIO_URL": sandbox.url}
        done = run("deliver", stdin=lines_of(track(1)), env=environment)
        assert names(sandbox) == ["E1"]
    assert done.returncode == 0


def test_a_running_sidecar_delivers_where_it_was_told_to() -> None:
    """--target: its own --customerio-url holds."""
    with (
        running_sandbox() as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as running,
    ):
        done = run("deliver", "--target", running.addresses[0], stdin=lines_of(track(1)))
        assert names(sandbox) == ["E1"]
    assert done.returncode == 0


def test_no_events_are_no_failure() -> None:
    """Empty input: no line, exit code 0."""
    lines, done = deliver("http://127.0.0.1:1", b"")
    assert (lines, done.returncode) == ([], 0)
    assert done.stderr.decode().splitlines()[0] == "0 events"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--target", "127.0.0.1:1", "--customerio-url", "http://x"), 2, "exclude each other"),
        (("--customerio-url", "127.0.0.1:8089"), 2, "must be http://host:port"),
        (("--customerio-url", "http://[::1"), 2, "must be http://host:port"),
        (("--timeout-s", "0"), 2, "--timeout-s"),
        (("no-such-file",), 2, "cannot read no-such-file"),
        (("--config", "no-such-file"), 2, "cannot read no-such-file"),
        (("--target", "127.0.0.1:1"), 1, "no answer from the sidecar"),
    ],
    ids=["both", "no-scheme", "no-url", "timeout", "file", "config", "target"],
)
def test_what_cannot_work_says_why(arguments: tuple[str, ...], code: int, text: str) -> None:
    """A sentence on stderr and an exit code; nothing is delivered."""
    done = run("deliver", *arguments, stdin=lines_of(track(1)))
    assert done.returncode == code, done.stderr.decode()
    # The parser of flags wraps its sentences in a box.
    assert text in " ".join(done.stderr.decode().replace("│", " ").split())
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr


def test_ctrl_c_says_which_lines_have_no_answer() -> None:
    """What hangs at Customer.io may have been delivered or not: exit code 130, and their numbers."""
    with running_sandbox() as sandbox:
        command = [*COMMAND, "deliver", "--customerio-url", sandbox.url]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                process.stdin.write(lines_of(track(1)))
                process.stdin.flush()
                assert process.stdout.readline()  # answered while the input is still open
                sandbox.faults.change("hang=1", 0, None)
                process.stdin.write(lines_of(track(2), track(3)) + b"no json\n")
                process.stdin.flush()
                _wait_for_a_request(sandbox)
                process.send_signal(signal.SIGINT)
                # The input stays open: nobody has to close it for the command to end.
                errors = process.stderr.read().decode()
                assert process.wait(TIMEOUT_S) == 130
            finally:
                process.kill()
    assert "ended after line 1: lines 2 to 4 have no answer here" in errors
    assert "Traceback" not in errors


def _wait_for_a_request(sandbox: Running) -> None:
    """Until the sandbox has been asked something that it does not answer."""
    give_up_at = time.monotonic() + TIMEOUT_S
    while not sandbox.workspace.log.by_outcome["fault"]:
        assert time.monotonic() < give_up_at, "nothing arrived"
        os.sched_yield()


def test_ctrl_c_with_nothing_open_says_so() -> None:
    """All lines are answered, and more are waited for: nothing is unknown."""
    with running_sandbox() as sandbox:
        command = [*COMMAND, "deliver", "--customerio-url", sandbox.url]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                process.stdin.write(lines_of(track(1)))
                process.stdin.flush()
                assert process.stdout.readline()
                process.send_signal(signal.SIGINT)
                errors = process.stderr.read().decode()
                assert process.wait(TIMEOUT_S) == 130
            finally:
                process.kill()
    assert "ended after line 1: nothing after it was sent" in errors


def test_a_reader_that_has_enough_stops_the_delivery(tmp_path: Path) -> None:
    """`| head -1`: not everything was delivered, so the exit code is 1, and it says which lines."""
    events = tmp_path / "events.jsonl"
    events.write_bytes(lines_of(*[track(number, f"u{number}") for number in range(2000)]))
    with running_sandbox() as sandbox:
        command = " ".join([*COMMAND, "deliver", str(events), "--customerio-url", sandbox.url])
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command} | head -n 1"],
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1)
    assert b"have no answer here and may have been delivered or not" in done.stderr
    assert b"nobody reads the output any more" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_sidecar_that_dies_in_the_middle_leaves_no_line_in_doubt(tmp_path: Path) -> None:
    """The lines without answer are named, and the exit code is 1."""
    with (
        running_sandbox(fault="hang=1") as sandbox,
        server("--listen", f"unix:{tmp_path}/s.sock", "--customerio-url", sandbox.url) as running,
        subprocess.Popen(
            [*COMMAND, "deliver", "--target", running.addresses[0]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdin is not None
        try:
            process.stdin.write(lines_of(track(1), track(2, "b")))
            process.stdin.flush()
            _wait_for_a_request(sandbox)
            running.signal(signal.SIGKILL)
            _, errors = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert process.returncode == 1
    assert b"ended after line 0: lines 1 to 2 have no answer here" in errors
    assert b"no answer from the sidecar" in errors


def test_a_person_at_a_terminal_sees_it_happen() -> None:
    """A live line and a table on stderr; stdout is JSON lines all the same."""
    leader, terminal = pty.openpty()
    with running_sandbox(fault="400=0.3", seed=1) as sandbox, os.fdopen(leader, "rb", 0) as screen:
        command = [*COMMAND, "deliver", "--customerio-url", sandbox.url]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=terminal,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "160"},
        ) as process:
            os.close(terminal)
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(lines_of(*[track(n, f"u{n}") for n in range(30)]))
                process.stdin.flush()
                lines = [json.loads(process.stdout.readline()) for _ in range(30)]
                seen = b""
                while b"refused" not in seen:
                    seen += screen.read(4096)
                process.stdin.close()
                seen += _rest_of(screen)
                assert process.wait(TIMEOUT_S) == 1
            finally:
                process.kill()
    delivered = sum(line["status"] == 200 for line in lines)
    assert 0 < delivered < 30
    for words in (f"{delivered} delivered", f"{30 - delivered} refused", "events/s", "30 events"):
        assert words in seen.decode(), seen.decode()


def _rest_of(screen: Any) -> bytes:
    """What a terminal still shows, until whoever writes to it is gone."""
    seen = b""
    try:
        while found := screen.read(4096):
            seen += found
    except OSError:  # how Linux says that nobody has the terminal open any more
        pass
    return seen
