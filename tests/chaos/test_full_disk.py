"""Full disks: nothing is lost silently, and the same work goes on once there is room."""

import asyncio
import json
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.chaos.beside import LOOPBACK, healthy_beside, stream_to
from tests.chaos.small_disk import small_disk
from tests.cli.backfills import (
    RUN_WITHIN_S,
    command,
    config_file,
    content,
    mixed_events,
    said,
    write_lines,
)
from tests.cli.lines import lines_of, track
from tests.fake_customerio import fake_customerio
from tests.processes import COMMAND, TIMEOUT_S, Server, server
from tests.security.watching import wait_until
from tests.telemetry.support import metrics_of, value

pytestmark = pytest.mark.serial

STREAMS = 30
"""Two lines of the log each: more than there is room for."""
SIZES = ("8k", "40k", "72k", "104k", "136k", "200k", "400k", "1m", "4m")
NO_SPACE = "No space left on device"


async def test_the_log_of_a_server_on_a_full_disk(tmp_path: Path) -> None:
    """Callers notice nothing. Once there is room, the log goes on with whole lines and counts those that it lost."""
    async with fake_customerio() as customerio:
        with small_disk(tmp_path, "64k") as disk:
            to_log = ("sh", "-c", 'exec "$0" "$@" 2>>"$LOG"')
            arguments = (*LOOPBACK, "--customerio-url", customerio.url)
            before = (*disk.before, "env", f"LOG={disk.directory}/log", *to_log)
            with server(*arguments, before=before) as running:
                (address,) = running.addresses
                async with healthy_beside(address) as healthy:
                    disk.fill(but_bytes=4096)
                    for _ in range(STREAMS):
                        async with stream_to(address):
                            pass
                    await asyncio.to_thread(wait_until, lambda: lost_lines(running) > 0)
                    sent = len(healthy.sent)
                    written = len((disk.seen / "log").read_bytes())
                    disk.free()
                    async with stream_to(address):
                        pass
                    await asyncio.to_thread(wait_until, lambda: len(healthy.sent) > sent)
                    # The log's thread counts a line after its write failed, so the count is final with this line only.
                    await asyncio.to_thread(
                        wait_until,
                        lambda: b"log lines dropped" in (disk.seen / "log").read_bytes()[written:],
                    )
                lost = lost_lines(running)
                slow = await slow_ticks(running)
                running.process.terminate()
                assert running.process.wait(TIMEOUT_S) == 0
                log = (disk.seen / "log").read_bytes()
    lines, torn = whole_lines(log)
    assert log.endswith(b"\n")
    assert torn <= 1
    dropped = [line["message"] for line in lines if "log lines dropped" in line["message"]]
    assert sum(int(message.rpartition(": ")[2]) for message in dropped) == lost
    about_streams = [line for line in lines if line["message"].startswith("stream ")]
    # One stream is the healthy caller's, and one came when there was room again. On a busy machine, a line that says
    # that the event loop is slow may be lost, too.
    assert 0 <= len(about_streams) + lost - 2 * (STREAMS + 2) <= slow


def lost_lines(running: Server) -> int:
    """Return how many lines of its log a server has lost by now. What /api/state says is up to half a second old."""
    with urllib.request.urlopen(f"{running.admin}/metrics", timeout=TIMEOUT_S) as response:
        (count,) = re.findall(
            r"^ciosidecar_log_lines_dropped_total (\S+)$", response.read().decode(), re.MULTILINE
        )
    return int(float(count))


async def slow_ticks(running: Server) -> float:
    """Return how often the event loop was late enough for a line of the log."""
    metrics = await metrics_of(running)
    in_time = value(metrics, "event_loop_lag_seconds_bucket", le="0.1")
    return value(metrics, "event_loop_lag_seconds_count") - in_time


def whole_lines(log: bytes) -> tuple[list[dict[str, Any]], int]:
    """Return the whole lines of a log, and the number of the others."""
    lines, torn = [], 0
    for line in log.splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            torn += 1
    return lines, torn


def test_a_backfill_meets_a_full_disk_again_and_again(tmp_path: Path) -> None:
    """Each start ends with a sentence that says what to do. At last, the bytes are those of a run without a fault."""
    events = write_lines(tmp_path / "events.jsonl", *mixed_events(400))
    disk_at = tmp_path / "disk"
    disk_at.mkdir()
    words = (events, "--config", config_file(tmp_path), "--partitions", "4", "--workers", "1")
    unharmed = started(*command(*words, "--output", tmp_path / "unharmed"))
    assert unharmed.returncode == 0, said(unharmed)
    failures = []
    with small_disk(disk_at, "4k") as disk:
        for size in SIZES:
            disk.grow(size)
            done = started(*disk.before, *command(*words, "--output", disk_at / "out"))
            if done.returncode == 0:
                break
            assert done.returncode == 1, said(done)
            failures.append(said(done))
        assert done.returncode == 0
        assert content(disk.seen / "out") == content(tmp_path / "unharmed")
    assert len(failures) > 2
    for text in failures:
        assert NO_SPACE in text
        assert "run the same command again to go on" in text
        assert "Traceback" not in text


def started(*words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run a command from start to end."""
    return subprocess.run(
        words, input=stdin, capture_output=True, timeout=RUN_WITHIN_S, check=False
    )


def test_the_file_of_failed_events_on_a_full_disk(tmp_path: Path) -> None:
    """The delivery stops. Each line of the input is in the file, or named on stderr; the file has whole lines."""
    lines = lines_of(*(track(number, f"u{number}") for number in range(60)))
    with small_disk(tmp_path, "8k") as disk, running_sandbox(fault="400=1") as sandbox:
        arguments = ("--customerio-url", sandbox.url, "--failed", str(tmp_path / "failed.jsonl"))
        done = started(*disk.before, *COMMAND, "deliver", *arguments, stdin=lines)
        kept = [json.loads(line) for line in (disk.seen / "failed.jsonl").read_bytes().splitlines()]
    assert done.returncode == 1
    assert 0 < len(kept) < 60
    assert [line["failure"]["line"] for line in kept] == list(range(1, len(kept) + 1))
    assert f"{NO_SPACE}; line {len(kept) + 1} failed and is not in it" in said(done)
    (last_done, first, last) = re.findall(
        r"ended after line (\d+): lines (\d+) to (\d+) have no result", said(done)
    )[0]
    assert (int(last_done), int(first)) == (len(kept), len(kept) + 1)
    assert int(last) == 60 or "No later line was sent" in said(done)


def test_a_socket_in_a_full_directory(tmp_path: Path) -> None:
    """The server does not start, and says that there is no room; with room, it starts."""
    with small_disk(tmp_path, "64k", files=2) as disk:
        (disk.seen / "one").touch()
        done = subprocess.run(
            [*disk.before, *COMMAND, "serve", "--listen", f"unix:{tmp_path}/s.sock"],
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, b"")
        assert f"cannot listen on unix:{tmp_path}/s.sock: {NO_SPACE}" in said(done)
        (disk.seen / "one").unlink()
        with server("--listen", f"unix:{tmp_path}/s.sock", before=disk.before) as running:
            assert running.addresses == [f"unix:{tmp_path}/s.sock"]
