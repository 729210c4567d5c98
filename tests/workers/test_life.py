"""`ciosidecar serve --workers N`: the ready line, the addresses, the signals."""

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from grpc import aio

from tests.conftest import batch, end_of, opened, results_of
from tests.ports import free_port
from tests.processes import COMMAND, TIMEOUT_S, Server, server
from tests.workers.group import LOOPBACK, Watched, answers, children, group, pids

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'


def test_the_ready_line_names_every_worker_and_all_addresses(tmp_path: Path) -> None:
    """Each worker has the next port and a suffix of the path; all of them answer."""
    port = free_port(in_a_row=2)
    sockets = f"unix:{tmp_path}/s.sock"
    with group(2, "--listen", sockets, listen=f"127.0.0.1:{port}") as running:
        line = running.ready_line
        first = [f"127.0.0.1:{port}", f"{sockets}-1"]
        second = [f"127.0.0.1:{port + 1}", f"{sockets}-2"]
        assert [worker["listen"] for worker in line["workers"]] == [first, second]
        assert line["listen"] == [*first, *second]
        assert (line["ready"], line["protocol"]) == (True, "ciosidecar.v1")
        assert line["pid"] == running.process.pid
        assert pids(running) == children(running.process.pid)
        assert {answers(address) for address in line["listen"]} == {line["version"]}


def test_port_0_gives_each_worker_a_free_port() -> None:
    """The ready line says which."""
    with group(3) as running:
        assert len(set(running.addresses)) == 3
        for address in running.addresses:
            assert not address.endswith(":0")
            answers(address)


def test_the_parent_has_no_grpc() -> None:
    """gRPC must not run in a process that forks; the parent does not even load it."""
    with group(2) as running:
        assert "cygrpc" not in Path(f"/proc/{running.process.pid}/maps").read_text()
        for pid in pids(running):
            assert "cygrpc" in Path(f"/proc/{pid}/maps").read_text()


def test_one_worker_is_a_process_without_a_parent() -> None:
    """The ready line is that of a single server, and no process is started."""
    arguments = ("--listen", LOOPBACK, "--admin-listen", LOOPBACK, "--log-level", "warning")
    with server(*arguments, "--workers", "1") as running:
        assert "workers" not in running.ready_line
        assert children(running.process.pid) == []
        running.signal(signal.SIGTERM)
        assert running.end() == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_all(number: signal.Signals) -> None:
    """Exit code 0, nothing of a fault on stderr, and no process is left."""
    with group(2, "--log-level", "warning") as running:
        workers = Watched(*pids(running))
        running.signal(number)
        assert running.end() == (0, "")
        workers.end()


async def test_sigterm_drains_the_streams_of_every_worker() -> None:
    """Drain in band, what was received is answered, every stream ends with OK."""
    with group(2, "--log-level", "warning") as running:
        await _drains(running, running.process.send_signal)


async def test_ctrl_c_in_a_terminal_drains_too() -> None:
    """A terminal signals the whole process group; the workers must not take that for a second signal."""
    with own_process_group() as running:
        await _drains(running, lambda _: os.killpg(running.process.pid, signal.SIGINT))


@contextmanager
def own_process_group() -> Iterator[Server]:
    """Two workers whose parent leads a process group, as when a shell starts it in a terminal."""
    arguments = ("serve", "--workers", "2", "--listen", LOOPBACK, "--admin-listen", LOOPBACK)
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [*COMMAND, *arguments, "--log-level", "warning"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            process_group=0,
        ) as process,
    ):
        try:
            yield Server(process, errors)
        finally:
            process.kill()


async def _drains(running: Server, stop: Any) -> None:
    """Stops it while each worker has a stream; each stream gets Drain, another answer, and OK."""
    channels = [aio.insecure_channel(address) for address in running.addresses]
    calls: list[Any] = []
    for channel in channels:
        call, _ = await opened(v1.SidecarServiceStub(channel))
        calls.append(call)
    stop(signal.SIGTERM)
    for call in calls:
        response = await asyncio.wait_for(call.read(), 10)
        assert response.WhichOneof("message") == "drain"
        await call.write(v1.TransformStreamRequest(batch=batch(TRACK, batch_id=2)))
        (results,) = await results_of(call, 2)
        assert list(results.statuses) == [200]
        await call.write(v1.TransformStreamRequest(finish=v1.Finish()))
    for call in calls:
        assert await end_of(call) == (grpc.StatusCode.OK, "")
    for channel in channels:
        await channel.close()
    assert await asyncio.to_thread(running.end) == (0, "")


async def test_a_second_signal_ends_all_at_once() -> None:
    """Long before the grace of a minute is over."""
    with group(2, "--grace", "60") as running:
        workers = Watched(*pids(running))
        async with aio.insecure_channel(running.addresses[0]) as channel:
            call: Any
            call, _ = await opened(v1.SidecarServiceStub(channel))
            busy = asyncio.create_task(_keep_busy(call))
            running.signal(signal.SIGTERM)
            while (await asyncio.wait_for(call.read(), 10)).WhichOneof("message") != "drain":
                pass
            start = time.monotonic()
            running.signal(signal.SIGTERM)
            code, _ = await asyncio.to_thread(running.end)
            assert code == 0
            assert time.monotonic() - start < 20
            workers.end()
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)


async def _keep_busy(call: Any) -> None:
    for number in range(1, 10**9):
        await call.write(v1.TransformStreamRequest(batch=batch(TRACK, batch_id=number)))
        await asyncio.sleep(0.01)


def test_a_worker_that_hangs_is_killed_after_the_grace() -> None:
    """The parent waits five seconds longer, says so, and fails."""
    with group(2, "--grace", "0", "--log-level", "warning") as running:
        hanging = pids(running)[1]
        workers = Watched(*pids(running))
        os.kill(hanging, signal.SIGSTOP)
        running.signal(signal.SIGTERM)
        code, errors = running.end()
        assert code == 1
        assert "did not end in time and is killed" in errors
        assert '"worker":2' in errors.replace(" ", "")
        workers.end()


def test_sighup_ends_nothing() -> None:
    """It is forwarded; without files to read again, nothing happens."""
    with group(2) as running:
        before = pids(running)
        running.signal(signal.SIGHUP)
        for address in running.addresses:
            answers(address)
        running.signal(signal.SIGHUP)
        assert children(running.process.pid) == before
        running.process.terminate()
        code, errors = running.end()
        assert code == 0
        assert "died" not in errors


@pytest.mark.parametrize("busy", [False, True])
async def test_a_parent_that_is_killed_leaves_nothing(*, busy: bool) -> None:
    """The workers notice its end, drain and go."""
    with group(2, "--grace", "1") as running:
        workers = Watched(*pids(running))
        async with aio.insecure_channel(running.addresses[0]) as channel:
            if busy:
                call, _ = await opened(v1.SidecarServiceStub(channel))
                sending = asyncio.create_task(_keep_busy(call))
                await results_of(call)
            running.process.kill()
            await asyncio.to_thread(workers.end, TIMEOUT_S)
            if busy:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
