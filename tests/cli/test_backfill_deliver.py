"""`ciosidecar backfill --deliver`: real sidecars and a sandbox, also while processes are killed."""

import fcntl
import json
import signal
import subprocess
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from ciosidecar_sandbox.testing import Running, running_sandbox

from tests.cli.backfills import (
    RUN_WITHIN_S,
    backfill,
    command,
    config_file,
    content,
    event,
    rows,
    said,
    write_lines,
)
from tests.cli.lines import names
from tests.processes import server

pytestmark = pytest.mark.serial


def requests_of(sandbox: Running) -> Counter[str]:
    """How often each event arrived, by its name."""
    return Counter(
        json.loads(row.body)["name"]
        for row in list(sandbox.workspace.log.rows)  # a thread adds rows
        if row.call == "event"
    )


def test_all_arrives_once_and_in_order_through_two_sidecars(tmp_path: Path) -> None:
    """Despite faults; what is refused is in its file; the same command again sends nothing."""
    events = [event(number, f"u{number % 30}") for number in range(600)]
    lines = write_lines(tmp_path / "events.jsonl", *events, b"no json\n", {"type": "track"})
    faults = "429=0.05,503=0.05,reset-after=0.03"
    with (
        running_sandbox(fault=faults, seed=3) as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as one,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as other,
    ):
        arguments: list[str | Path] = [
            *(lines, "--config", config_file(tmp_path), "--output", tmp_path / "out"),
            *("--deliver", "--address", one.addresses[0], "--address", other.addresses[0]),
            *("--partitions", "4", "--workers", "2"),
        ]
        done = backfill(*arguments)
        held = names(sandbox)
        requests = sandbox.workspace.log.requests
        again = backfill(*arguments)
        assert sandbox.workspace.log.requests == requests
    assert done.returncode == again.returncode == 1
    summary = json.loads(done.stdout)
    assert summary["outcomes"] == {
        "200 delivered": 600,
        "400 INVALID_JSON": 1,
        "400 MISSING_EVENT_NAME": 1,
    } or summary["outcomes"] == {
        "200 delivered": 600,
        "400 INVALID_JSON": 1,
        "400 MISSING_IDENTITY": 1,
    }
    assert json.loads(again.stdout)["outcomes"] == summary["outcomes"]
    assert sorted(held) == sorted(f"E{number}" for number in range(600))
    by_person: dict[int, list[int]] = defaultdict(list)
    for name in held:
        by_person[int(name[1:]) % 30].append(int(name[1:]))
    assert all(numbers == sorted(numbers) for numbers in by_person.values())
    refused = rows(tmp_path / "out", "refused-*.jsonl")
    assert sorted(row["failure"]["line"] for row in refused) == [601, 602]


def test_a_killed_delivery_sends_only_again_what_was_in_flight(tmp_path: Path) -> None:
    """Killed several times: what the progress knows of is not sent again, and all arrives."""
    events = [event(number, f"u{number % 50}") for number in range(1500)]
    lines = write_lines(tmp_path / "events.jsonl", *events)
    output = tmp_path / "out"
    progress = output / "work" / "progress-00000"
    known: set[int] = set()
    with (
        running_sandbox(fault="slow=0.2:30ms", seed=1) as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as sidecar,
    ):
        words = command(
            *(lines, "--config", config_file(tmp_path), "--output", output),
            *("--deliver", "--address", sidecar.addresses[0]),
            *("--partitions", "1", "--workers", "2"),
        )
        sent_when_known: dict[int, int] = {}
        for answered in (200, 500, 800):
            with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
                try:
                    give_up_at = time.monotonic() + RUN_WITHIN_S
                    while process.poll() is None and _answered(progress) < answered:
                        assert time.monotonic() < give_up_at
                        time.sleep(0.001)
                    assert process.poll() is None
                finally:
                    process.kill()
            _wait_until_free(progress)
            state = _state(progress)
            known = set(range(state["next"])) - set(state["open"])
            assert len(known) >= answered
            counts = requests_of(sandbox)
            sent_when_known = {number: counts[f"E{number}"] for number in known}
        done = subprocess.run(words, capture_output=True, timeout=RUN_WITHIN_S, check=False)
        counts = requests_of(sandbox)
        held = names(sandbox)
    assert done.returncode == 0, done.stderr.decode()
    assert b"outcome\t200 delivered\t1500" in done.stderr
    assert sorted(held) == sorted(f"E{number}" for number in range(1500))
    assert all(counts[f"E{number}"] == sent for number, sent in sent_when_known.items())
    assert max(counts.values()) <= 4


def _state(progress: Path) -> dict[str, Any]:
    try:
        whole = progress.read_bytes().rpartition(b"\n")[0]
    except FileNotFoundError:
        whole = b""
    state: dict[str, Any] = json.loads(whole.rpartition(b"\n")[2] or b'{"next": 0, "open": []}')
    return state


def _answered(progress: Path) -> int:
    return int(_state(progress)["next"])


def _wait_until_free(progress: Path) -> None:
    """Until the worker of a killed run has ended, which notices the end of its parent."""

    with progress.open("ab") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)


def test_what_is_given_up_is_delivered_later_from_its_file(tmp_path: Path) -> None:
    """After --max-tries, with reason and attempts; a second backfill reads the file as it is."""
    events = [event(number, f"u{number}") for number in range(5)]
    lines = write_lines(tmp_path / "events.jsonl", *events)
    config = config_file(tmp_path)
    with (
        running_sandbox(fault="503=1") as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as sidecar,
    ):
        deliver = ("--deliver", "--address", sidecar.addresses[0], "--workers", "1")
        done = backfill(
            *(lines, "--config", config, "--output", tmp_path / "out", *deliver),
            *("--timeout-s", "0.3", "--max-tries", "2"),
        )
        assert done.returncode == 1
        summary = json.loads(done.stdout)
        assert (summary["failed"], summary["refused"]) == (5, 0)
        failed = rows(tmp_path / "out", "failed-*.jsonl")
        assert sorted(row["failure"]["line"] for row in failed) == [1, 2, 3, 4, 5]
        assert all(row["failure"]["retryable"] for row in failed)
        assert max(row["failure"]["attempts"] for row in failed) >= 2
        sandbox.faults.change("", 0, None)
        again = backfill(
            *(tmp_path / "out" / "failed-00000.jsonl", "--config", config),
            *("--output", tmp_path / "again", *deliver),
        )
        assert again.returncode == 0, again.stderr.decode()
        assert sorted(names(sandbox)) == [f"E{number}" for number in range(5)]


def test_order_holds_while_events_fail_and_are_sent_again(tmp_path: Path) -> None:
    """Customer.io is away for longer than a delivery may take; then one person's events arrive in order."""
    lines = write_lines(tmp_path / "events.jsonl", *(event(number, "u1") for number in range(20)))
    with (
        running_sandbox(fault="503=0.7", seed=5) as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as sidecar,
    ):
        done = backfill(
            *(lines, "--config", config_file(tmp_path), "--output", tmp_path / "out"),
            *("--deliver", "--address", sidecar.addresses[0], "--workers", "1"),
            *("--timeout-s", "0.2", "--max-tries", "1000"),
        )
        held = names(sandbox)
    assert done.returncode == 0, done.stderr.decode()
    assert held == [f"E{number}" for number in range(20)]


def test_refused_credentials_end_the_run_and_nothing_is_given_up(tmp_path: Path) -> None:
    """The run says so; once they are accepted, the same command delivers everything."""
    lines = write_lines(tmp_path / "events.jsonl", *(event(number, "u1") for number in range(3)))
    with (
        running_sandbox(fault="401=1") as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as sidecar,
    ):
        arguments: list[str | Path] = [
            *(lines, "--config", config_file(tmp_path), "--output", tmp_path / "out"),
            *("--deliver", "--address", sidecar.addresses[0], "--workers", "1"),
        ]
        done = backfill(*arguments, "--timeout-s", "1")
        assert done.returncode == 1
        assert "does not accept the credentials" in said(done)
        assert content(tmp_path / "out", "*ed-*.jsonl") == {}
        sandbox.faults.change("", 0, None)
    with (
        running_sandbox() as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as sidecar,
    ):
        arguments[arguments.index("--address") + 1] = sidecar.addresses[0]
        assert backfill(*arguments).returncode == 0
        assert names(sandbox) == ["E0", "E1", "E2"]


def test_an_event_before_unreadable_lines_survives_refused_credentials(tmp_path: Path) -> None:
    """The run that goes on sends the event, although the line after it was refused already."""
    too_long = b"x" * ((16 << 20) + 1) + b"\n"
    lines = write_lines(tmp_path / "events.jsonl", event(0, "u1"), too_long, event(1, "u1"))
    arguments: list[str | Path] = [
        *(lines, "--config", config_file(tmp_path), "--output", tmp_path / "out"),
        *("--deliver", "--workers", "1", "--partitions", "1", "--address"),
    ]
    for fault, code in (("401=1", 1), ("", 1)):
        with (
            running_sandbox(fault=fault) as sandbox,
            server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as sidecar,
        ):
            done = backfill(*arguments, sidecar.addresses[0], "--timeout-s", "1")
            assert done.returncode == code
            delivered = names(sandbox)
    assert delivered == ["E0", "E1"]
    assert json.loads(done.stdout)["events"] == 3
    (refused,) = rows(tmp_path / "out", "refused-*.jsonl")
    assert (refused["failure"]["code"], refused["failure"]["line"]) == ("TOO_LARGE", 2)


def test_an_event_that_no_message_can_carry_is_refused(tmp_path: Path) -> None:
    """And not the end of every start: the other events go on."""
    large = event(1, "u1", properties={"text": "x" * ((16 << 20) - 400)})
    lines = write_lines(tmp_path / "events.jsonl", event(0, "u1"), large, event(2, "u1"))
    with (
        running_sandbox() as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as sidecar,
    ):
        done = backfill(
            *(lines, "--config", config_file(tmp_path), "--output", tmp_path / "out"),
            *("--deliver", "--workers", "1", "--address", sidecar.addresses[0]),
        )
        assert names(sandbox) == ["E0", "E2"]
    assert done.returncode == 1, said(done)
    (refused,) = rows(tmp_path / "out", "refused-*.jsonl")
    assert (refused["failure"]["code"], refused["failure"]["line"]) == ("TOO_LARGE", 2)
    assert refused["event"] == large


def test_without_a_sidecar_nothing_is_read(no_listener: str, tmp_path: Path) -> None:
    """Exit code 1 and no output; without an address at all, exit code 2."""
    lines = write_lines(tmp_path / "events.jsonl", event(1, "u1"))
    arguments = (lines, "--config", config_file(tmp_path), "--output", tmp_path / "out")
    done = backfill(*arguments, "--deliver", "--address", no_listener)
    assert done.returncode == 1
    assert "no answer from a sidecar at --address" in said(done)
    assert not (tmp_path / "out").exists()
    done = backfill(*arguments, "--deliver")
    assert done.returncode == 2
    done = backfill(*arguments, "--address", no_listener)
    assert done.returncode == 2
    assert "--address is for --deliver" in said(done)


def test_ctrl_c_ends_a_delivery_which_can_go_on(tmp_path: Path) -> None:
    """Exit code 130, and the same command delivers the rest."""
    lines = write_lines(tmp_path / "events.jsonl", *(event(n, f"u{n}") for n in range(400)))
    progress = tmp_path / "out" / "work" / "progress-00000"
    with (
        running_sandbox(fault="slow=1:100ms") as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as sidecar,
    ):
        words = command(
            *(lines, "--config", config_file(tmp_path), "--output", tmp_path / "out"),
            *("--deliver", "--address", sidecar.addresses[0], "--workers", "1"),
        )
        with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
            try:
                give_up_at = time.monotonic() + RUN_WITHIN_S
                while process.poll() is None and _answered(progress) < 50:
                    assert time.monotonic() < give_up_at
                    time.sleep(0.001)
                process.send_signal(signal.SIGINT)
                _, errors = process.communicate(timeout=RUN_WITHIN_S)
            finally:
                process.kill()
        assert process.returncode == 130, errors.decode()
        assert b"run the same command again" in b" ".join(errors.split())
        done = subprocess.run(words, capture_output=True, timeout=RUN_WITHIN_S, check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert sorted(names(sandbox)) == sorted(f"E{number}" for number in range(400))


def test_events_without_a_turn_are_not_given_up(tmp_path: Path) -> None:
    """A sidecar's rate lets few events through within the timeout; the last of them wait for more turns than --max-tries."""
    lines = write_lines(tmp_path / "events.jsonl", *(event(n, f"u{n}") for n in range(420)))
    with (
        running_sandbox() as sandbox,
        server(
            *("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url),
            *("--delivery-rate", "60"),
        ) as sidecar,
    ):
        done = backfill(
            *(lines, "--config", config_file(tmp_path, eventIds="none"), "--output"),
            *(tmp_path / "out", "--deliver", "--address", sidecar.addresses[0], "--workers", "1"),
            *("--timeout-s", "1", "--max-tries", "4"),
        )
        counts = requests_of(sandbox)
    assert done.returncode == 0, said(done)
    assert json.loads(done.stdout)["outcomes"] == {"200 delivered": 420}
    assert sorted(counts) == sorted(f"E{number}" for number in range(420))


def _interrupted(words: list[str], progress: Path, *, answered: int) -> tuple[int, str]:
    """Start a command, interrupt it after some answers, and return its exit code and what it said."""
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        try:
            give_up_at = time.monotonic() + RUN_WITHIN_S
            while process.poll() is None and _final_answers(progress) < answered:
                assert time.monotonic() < give_up_at
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=RUN_WITHIN_S)
        finally:
            process.kill()
    return process.returncode, " ".join(errors.decode().split())


def _final_answers(progress: Path) -> int:
    return int(_state(progress).get("events", 0))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_waits_for_answers_and_nothing_is_sent_twice(tmp_path: Path, workers: str) -> None:
    """With 10,000 events on their way, a tenth of whose requests is slow: each arrives in a single request."""
    lines = write_lines(tmp_path / "events.jsonl", *(event(n, f"u{n}") for n in range(12_000)))
    progress = tmp_path / "out" / "work" / "progress-00000"
    with (
        running_sandbox(fault="slow=0.1:100ms", seed=2) as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as sidecar,
    ):
        words = command(
            *(lines, "--config", config_file(tmp_path), "--output", tmp_path / "out"),
            *("--deliver", "--address", sidecar.addresses[0], "--workers", workers),
            *("--partitions", "1", "--timeout-s", "40"),
        )
        code, errors = _interrupted(words, progress, answered=200)
        assert code == 130, errors
        assert "waiting for the answers to what was sent, at most 40 s" in errors
        assert "run the same command again" in errors
        assert 0 < sum(requests_of(sandbox).values()) < 12_000
        done = subprocess.run(words, capture_output=True, timeout=RUN_WITHIN_S, check=False)
        counts = requests_of(sandbox)
    assert done.returncode == 0, done.stderr.decode()
    assert sorted(counts) == sorted(f"E{number}" for number in range(12_000))
    assert max(counts.values()) == 1


def test_a_second_ctrl_c_ends_a_delivery_at_once(tmp_path: Path) -> None:
    """Although Customer.io does not answer, and the time limit is far away."""
    lines = write_lines(tmp_path / "events.jsonl", *(event(n, f"u{n}") for n in range(20)))
    with (
        running_sandbox(fault="slow=1:60s") as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as sidecar,
    ):
        words = command(
            *(lines, "--config", config_file(tmp_path), "--output", tmp_path / "out"),
            *("--deliver", "--address", sidecar.addresses[0], "--workers", "2"),
            *("--timeout-s", "600"),
        )
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                give_up_at = time.monotonic() + RUN_WITHIN_S
                while not sandbox.workspace.log.requests and process.poll() is None:
                    assert time.monotonic() < give_up_at
                    time.sleep(0.001)
                process.send_signal(signal.SIGINT)
                assert "interrupted: nothing more is sent" in process.stderr.readline()
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=RUN_WITHIN_S)
            finally:
                process.kill()
        assert process.returncode == 130
