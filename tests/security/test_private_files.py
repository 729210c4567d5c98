"""What backfills and deliveries write may be read by its owner alone, whatever the umask allows."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.cli.backfills import command, config_file, event, write_lines
from tests.processes import TIMEOUT_S, run, server

pytestmark = pytest.mark.serial
EVENTS = [event(number, f"u{number % 7}") for number in range(60)]
BAD = (b"no json\n", {"type": "track", "userId": "u1"})


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The umask that lets everybody read and write what is made."""
    before = os.umask(0)
    yield
    os.umask(before)


def readable_by_others(directory: Path) -> list[str]:
    """Return the files under a directory that another user may read or write, by name and mode."""
    return [
        f"{path.name} {path.stat().st_mode & 0o777:o}"
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.stat().st_mode & 0o077
    ]


def test_a_backfill_that_ended(tmp_path: Path) -> None:
    """Requests, refused events, the manifest, the checkpoint and the lock."""
    lines = write_lines(tmp_path / "events.jsonl", *EVENTS, *BAD)
    words = command(lines, "--config", config_file(tmp_path), "--output", tmp_path / "out")
    subprocess.run(words, capture_output=True, timeout=TIMEOUT_S, check=False)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"manifest.json", "checkpoint.jsonl"} < names
    assert any(name.startswith("refused-") for name in names)
    assert readable_by_others(tmp_path / "out") == []


def test_a_backfill_that_was_killed_while_it_delivered(tmp_path: Path) -> None:
    """Its work, which has the events, and its progress."""
    lines = write_lines(tmp_path / "events.jsonl", *EVENTS, *BAD)
    out = tmp_path / "out"
    with (
        running_sandbox(fault="hang=0.5", seed=1) as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as running,
    ):
        words = command(
            *(lines, "--config", config_file(tmp_path), "--output", out, "--deliver"),
            *("--address", running.addresses[0], "--workers", "1"),
        )
        with subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                until_delivering(out, process)
            finally:
                os.killpg(process.pid, signal.SIGKILL)
    assert list((out / "work").glob("spill-*"))
    assert readable_by_others(out) == []
    assert (out / "work").stat().st_mode & 0o777 == 0o700


def until_delivering(out: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the backfill has begun to deliver a partition."""
    for _ in range(TIMEOUT_S * 50):
        if list(out.rglob("*progress*")) or list(out.rglob("*deliver*")):
            return
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError("the backfill ended")
    raise AssertionError("the backfill does not deliver")


def test_failed_events_of_a_delivery(tmp_path: Path) -> None:
    """They have the event, and the config if its line had one."""
    line = {"event": EVENTS[0], "config": {"siteID": "site", "apiKey": "a-secret-key"}}
    lines = write_lines(tmp_path / "events.jsonl", line, *BAD)
    failed = tmp_path / "new" / "failed.jsonl"
    failed.parent.mkdir()
    with running_sandbox(fault="400=1") as sandbox:
        flags = ("--failed", str(failed), "--customerio-url", sandbox.url)
        run("deliver", str(lines), *flags)
    assert json.loads(failed.read_text().splitlines()[0])["config"]["apiKey"] == "a-secret-key"
    assert readable_by_others(failed.parent) == []
