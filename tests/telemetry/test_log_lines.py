"""A server goes on although nothing reads its log."""

import json
import os
import signal
import subprocess
from pathlib import Path

import grpc
import pytest
from ciosidecar import v1

from tests.conftest import batch, destination
from tests.processes import COMMAND, TIMEOUT_S

STREAMS = 1000


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


def test_a_full_pipe_of_log_lines_holds_up_no_stream() -> None:
    """Two lines a stream fill a pipe of 64 KiB after a few hundred streams; a thousand are served all the same."""
    reading, writing = os.pipe()
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
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()
            os.close(reading)


def test_a_full_pipe_that_does_not_block_costs_nothing() -> None:
    """The writer waits for room instead of trying again and again: no CPU time goes by while it waits."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
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
            # The writer has filled the pipe by now. What it costs from here is what waiting costs.
            before = _cpu_s(process.pid)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2)
            assert _cpu_s(process.pid) - before < 0.5
        finally:
            process.kill()
            os.close(reading)


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
    assert log.count(b" opened: ") == log.count(b" closed: ") == 1
