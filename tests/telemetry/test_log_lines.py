"""A server goes on although nothing reads its log."""

import json
import os
import resource
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from ciosidecar import v1

from tests.conftest import batch, destination
from tests.processes import COMMAND, TIMEOUT_S
from tests.security.watching import wait_until

STREAMS = 1000
SLOW_S = 0.5
"""Long enough for a line that says so."""


def _stream(stub: v1.SidecarServiceStub) -> None:
    opening = v1.OpenStream(client_name="n" * 60, destinations=[destination()])
    event = b'{"type":"track","userId":"u1","event":"Order"}'
    requests = iter(
        [
            v1.TransformStreamRequest(open=opening),
            v1.TransformStreamRequest(batch=batch(event, batch_id=1)),
            v1.TransformStreamRequest(finish=v1.Finish()),
        ]
    )
    *_, last = stub.TransformStream(requests, timeout=TIMEOUT_S)
    assert last.results.batch_complete


@contextmanager
def with_a_full_log(*, blocking: bool) -> Iterator["subprocess.Popen[bytes]"]:
    """A server whose stderr is a pipe that nothing reads, after a thousand streams of two log lines each."""
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    with subprocess.Popen(
        [*COMMAND, "serve", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=writing
    ) as process:
        os.close(writing)
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["listen"][0]
            with grpc.insecure_channel(address) as channel:
                stub: v1.SidecarServiceStub = v1.SidecarServiceStub(channel)
                for _ in range(STREAMS):
                    _stream(stub)
            yield process
        finally:
            process.kill()
            os.close(reading)


@pytest.mark.parametrize("blocking", [True, False])
def test_a_full_pipe_of_log_lines_holds_up_no_stream(*, blocking: bool) -> None:
    """Two lines a stream fill a pipe of 64 KiB after a few hundred streams; all are served, and the server ends."""
    with with_a_full_log(blocking=blocking) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0


def test_waiting_for_room_costs_nothing() -> None:
    """The writer waits for room in a pipe that does not block, instead of trying again and again."""
    with with_a_full_log(blocking=False) as process:
        before = _cpu_s(process.pid)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        assert _cpu_s(process.pid) - before < 0.5


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_last_lines_are_written() -> None:
    """What a server logs while it ends arrives before it has ended."""
    with subprocess.Popen(
        [*COMMAND, "serve", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["listen"][0]
            with grpc.insecure_channel(address) as channel:
                _stream(v1.SidecarServiceStub(channel))
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert log.count(b'"stream opened"') == log.count(b'"stream closed"') == 1


def test_a_line_that_lacks_only_its_end_is_not_lost(tmp_path: Path) -> None:
    """There is room for a line but not for its newline. The next line brings that; only the second line is counted."""
    log = tmp_path / "log"
    command = [*COMMAND, "serve", "--listen", "127.0.0.1:0"]
    with (
        log.open("ab") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as process,
    ):
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            _provoke_slow_line(process, log)
            with grpc.insecure_channel(ready["listen"][0]) as channel:
                stub: v1.SidecarServiceStub = v1.SidecarServiceStub(channel)
                _stream(stub)
                wait_until(
                    lambda: log.read_bytes().endswith(b"}\n") and len(_about_streams(log)) == 2
                )
                room = log.stat().st_size + len(_about_streams(log)[0])
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
                _stream(stub)
                wait_until(lambda: _dropped(ready["admin"]) > 0)
                assert log.stat().st_size == room
                unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
                _stream(stub)
                wait_until(lambda: b"log lines dropped" in log.read_bytes())
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()
    messages = [json.loads(line)["message"] for line in log.read_bytes().splitlines()]
    (dropped,) = (message for message in messages if "log lines dropped" in message)
    assert dropped.endswith(": 1")
    assert messages.count("stream opened") == 3
    assert messages.count("stream closed") == 2


def _provoke_slow_line(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Let the server log that its event loop is slow, as on a busy machine: for ten seconds it does not do so again."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(SLOW_S)
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: b"the event loop is slow" in log.read_bytes())


def _about_streams(log: Path) -> list[bytes]:
    return [line for line in log.read_bytes().splitlines() if b'"stream ' in line]


def _dropped(admin: str) -> int:
    with urllib.request.urlopen(f"http://{admin}/api/state", timeout=TIMEOUT_S) as response:
        return int(json.load(response)["log_lines_dropped"])
