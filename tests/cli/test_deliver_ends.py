"""`ciosidecar deliver` that is interrupted, and what a person sees of it."""

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from ciosidecar_sandbox.testing import Running, running_sandbox

from tests.cli.lines import lines_of, track
from tests.processes import COMMAND, TIMEOUT_S, server


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
    assert "ended after line 1: lines 2 to 4 have no result" in errors
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
    assert "ended after line 1: no later line was sent" in errors


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
    assert b"have no result; each may have been delivered or not" in done.stderr
    assert b"the reader of standard output is gone" in done.stderr
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
    assert b"ended after line 0: lines 1 to 2 have no result" in errors
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
                while b"permanent failures" not in seen:
                    seen += screen.read(4096)
                process.stdin.close()
                seen += _rest_of(screen)
                assert process.wait(TIMEOUT_S) == 1
            finally:
                process.kill()
    delivered = sum(line["status"] == 200 for line in lines)
    assert 0 < delivered < 30
    for words in (
        f"{delivered} delivered",
        f"{30 - delivered} permanent failures",
        "events/s",
        "30 events",
    ):
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
