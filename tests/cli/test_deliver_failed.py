"""`ciosidecar deliver --failed`: what came back is kept, in a form that is read again as it is."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.cli.lines import CONFIG, deliver, lines_of, names, track
from tests.fake_customerio import nobody
from tests.processes import COMMAND, TIMEOUT_S, run, server


def lines_in(path: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_what_customerio_refused_is_kept_with_its_reason(tmp_path: Path) -> None:
    """With the event byte for byte, its config because its line had one, and Customer.io's words; mode 0600."""
    event = b'{"type":"track","userId":"u1","event":"E1","messageId":"m1","properties":{"n":1.0, "big":12345678901234567890}}'
    stdin = b'{"event":' + event + b',"config":' + json.dumps(CONFIG).encode() + b"}\n"
    failed = tmp_path / "failed.jsonl"
    with running_sandbox(fault="400=1") as sandbox:
        (line,), done = deliver(sandbox.url, stdin, "--failed", str(failed))
    assert done.returncode == 1
    content = failed.read_bytes()
    assert event in content
    assert failed.stat().st_mode & 0o777 == 0o600
    kept = json.loads(content)
    assert kept.keys() == {"event", "config", "failure"}
    assert kept["config"] == CONFIG
    assert kept["failure"] == {
        "code": "REFUSED",
        "message": line["error"]["message"],
        "status": 400,
        "retryable": False,
        "attempts": 1,
        "http_status": 400,
        "reason": line["delivery"]["reason"],
        "line": 1,
    }


@pytest.mark.parametrize("with_config", [False, True])
def test_the_file_is_delivered_as_it_is(tmp_path: Path, *, with_config: bool) -> None:
    """Refused and given up events, a row of a warehouse too, arrive once the fault is over: each once, in order."""
    row = {
        "type": "record",
        "action": "insert",
        "identifiers": {"id": "u1", "name": "Row"},
        "messageId": "r1",
    }
    wrapped: list[dict[str, Any]] = [track(number) for number in range(3)]
    arguments: list[str] = []
    if with_config:
        config = tmp_path / "config.json"
        config.write_text(json.dumps(CONFIG))
        arguments = ["--config", str(config)]
        stdin = lines_of(*(one["event"] for one in wrapped))
    else:
        wrapped.append({"event": row, "config": CONFIG, "connection": {"object": "event"}})
        stdin = lines_of(*wrapped)
    failed = tmp_path / "failed.jsonl"
    with running_sandbox(fault="503=1") as sandbox:
        _, done = deliver(
            sandbox.url, stdin, "--failed", str(failed), "--timeout-s", "0.3", *arguments
        )
        assert done.returncode == 1
        kept = lines_in(failed)
        assert len(kept) == len(wrapped)
        assert all(line["failure"]["retryable"] for line in kept)
        assert kept[0]["failure"]["attempts"] >= 1
        assert all(("config" in line) is not with_config for line in kept)
    with running_sandbox() as sandbox:
        _, done = deliver(sandbox.url, failed.read_bytes(), *arguments)
        assert (done.returncode, done.stderr.decode().count("delivered")) == (0, 1)
        assert names(sandbox) == ["E0", "E1", "E2"] + ([] if with_config else ["Row"])


def test_a_line_that_is_no_event_is_kept_and_can_be_mended(tmp_path: Path) -> None:
    """As text, beside what is wrong; as it is, it is refused again."""
    failed, again = tmp_path / "failed.jsonl", tmp_path / "again.jsonl"
    stdin = b"no json\n" + b'{"event": "\xff"}\n' + b"[1]\n"
    with running_sandbox() as sandbox:
        deliver(sandbox.url, stdin, "--failed", str(failed))
        kept = lines_in(failed)
        deliver(sandbox.url, failed.read_bytes(), "--failed", str(again))
        assert [line["text"] for line in lines_in(again)] == [line["text"] for line in kept]
        assert [line["text"] for line in kept] == ["no json", '{"event": "\ufffd"}', "[1]"]
        assert [line["failure"]["line"] for line in kept] == [1, 2, 3]
        mended = lines_of({"text": json.dumps(track(7)), "failure": kept[0]["failure"]})
        _, done = deliver(sandbox.url, mended)
        assert (done.returncode, names(sandbox)) == (0, ["E7"])


def test_an_event_with_a_failure_of_its_own_is_an_event(tmp_path: Path) -> None:
    """A track has a text as its event, so a member that is named failure makes it no failed event."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    event = track(1)["event"] | {"failure": {"code": "X"}}
    with running_sandbox() as sandbox:
        _, done = deliver(sandbox.url, lines_of(event), "--config", str(config))
        assert (done.returncode, names(sandbox)) == (0, ["E1"])


def test_without_failures_the_file_is_empty(tmp_path: Path) -> None:
    """And delivering the empty file delivers nothing."""
    failed = tmp_path / "failed.jsonl"
    with running_sandbox() as sandbox:
        _, done = deliver(sandbox.url, lines_of(track(1)), "--failed", str(failed))
        assert (done.returncode, failed.read_bytes()) == (0, b"")
        lines, done = deliver(sandbox.url, failed.read_bytes())
        assert (done.returncode, lines) == (0, [])


def test_a_file_with_failed_events_is_not_written_over(tmp_path: Path) -> None:
    """Exit code 2 before anything is sent, and the file is as it was."""
    failed = tmp_path / "failed.jsonl"
    failed.write_bytes(b"{}\n")
    with running_sandbox() as sandbox:
        lines, done = deliver(sandbox.url, lines_of(track(1)), "--failed", str(failed))
        assert (done.returncode, lines, names(sandbox)) == (2, [], [])
    assert b"name another file" in done.stderr.replace(b"\n", b" ")
    assert failed.read_bytes() == b"{}\n"


@pytest.mark.parametrize("path", ["no/such/folder/f", "."])
def test_a_file_that_cannot_be_written_is_a_usage_error(path: str, tmp_path: Path) -> None:
    """Nothing is sent."""
    with nobody() as address:
        done = run(
            "deliver", "--customerio-url", f"http://{address}", "--failed", str(tmp_path / path)
        )
    assert done.returncode == 2
    assert b"cannot write" in done.stderr


def test_ctrl_c_keeps_what_has_no_answer(tmp_path: Path) -> None:
    """What was sent and hangs is in the file as UNANSWERED; a line that is no event has its own failure."""
    failed = tmp_path / "failed.jsonl"
    with running_sandbox() as sandbox:
        command = [*COMMAND, "deliver", "--customerio-url", sandbox.url, "--failed", str(failed)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(lines_of(track(1)))
                process.stdin.flush()
                assert process.stdout.readline()
                sandbox.faults.change("hang=1", 0, None)
                process.stdin.write(lines_of(track(2), track(3)) + b"no json\n")
                process.stdin.flush()
                give_up_at = time.monotonic() + TIMEOUT_S
                while not sandbox.workspace.log.by_outcome["fault"]:
                    assert time.monotonic() < give_up_at, "nothing arrived"
                    os.sched_yield()
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=TIMEOUT_S)
                assert process.returncode == 130
            finally:
                process.kill()
    kept = lines_in(failed)
    assert [(line["failure"]["line"], line["failure"]["code"]) for line in kept] == [
        (2, "UNANSWERED"),
        (3, "UNANSWERED"),
        (4, "INVALID_JSON"),
    ]
    with running_sandbox() as sandbox:
        deliver(sandbox.url, failed.read_bytes())
        assert names(sandbox) == ["E2", "E3"]


def test_a_full_disk_ends_the_delivery_with_a_whole_file() -> None:
    """The exit code is 1, and stderr names the file and the line that is not in it."""
    with running_sandbox(fault="400=1") as sandbox:
        _, done = deliver(sandbox.url, lines_of(track(1)), "--failed", "/dev/full")
    assert done.returncode == 1
    errors = b" ".join(done.stderr.split())
    assert (
        b"cannot write /dev/full: No space left on device; line 1 failed and is not in it" in errors
    )


def test_a_disk_that_is_full_in_the_middle_of_a_line_leaves_no_half_line(tmp_path: Path) -> None:
    """The line does not fit as a whole, so nothing of it stays: half an event could not be read again."""
    failed = tmp_path / "failed.jsonl"
    events = lines_of(*(track(number) for number in range(1, 6)))
    with running_sandbox(fault="400=1") as sandbox:
        words = ("deliver", "--customerio-url", sandbox.url, "--failed", str(failed))
        done = subprocess.run(
            ["prlimit", "--fsize=1000", *COMMAND, *words],
            input=events,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert (done.returncode, b"File too large" in done.stderr) == (1, True)
    kept = lines_in(failed)
    assert 0 < len(kept) < 5
    assert failed.read_bytes().endswith(b"\n")


def test_the_summary_says_what_failed_and_where_it_is(tmp_path: Path) -> None:
    """Events without a turn are named beside the option, and --failed has the file and first line of each."""
    config, failed, again = (tmp_path / name for name in ("config.json", "failed", "again"))
    config.write_text(json.dumps(CONFIG))
    source = tmp_path / "events.jsonl"
    source.write_bytes(
        lines_of(*(track(number)["event"] | {"userId": f"u{number}"} for number in range(200)))
    )
    with (
        running_sandbox() as sandbox,
        server(
            *("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url, "--delivery-rate", "20")
        ) as sidecar,
    ):
        target = ["--target", sidecar.addresses[0], "--timeout-s", "1"]
        common = ["--config", str(config), *target]
        done = run("deliver", str(source), *common, "--failed", str(failed))
        kept = lines_in(failed)
        said = " ".join(done.stderr.decode().split())
        assert done.returncode == 1
        assert f"{len(kept)} events were written to {failed} (--failed)" in said
        unsent = sum(line["failure"]["attempts"] == 0 for line in kept)
        assert unsent > 100
        assert f"{unsent} events were not sent within --timeout-s: raise it, or use" in said
        assert {line["failure"]["file"] for line in kept} == {str(source)}
        run("deliver", str(failed), *common, "--failed", str(again))
        places = [line["failure"]["line"] for line in kept]
        assert {line["failure"]["file"] for line in lines_in(again)} == {str(source)}
        assert {line["failure"]["line"] for line in lines_in(again)} <= set(places)
        assert lines_in(again)[-1]["failure"]["line"] == places[-1]
