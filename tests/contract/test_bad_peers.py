"""Peers that misbehave: the server's memory stays bounded, others are served, all is freed."""

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from grpc import aio

from tests.conftest import CONFIG, UNLIMITED, batch, destination, end_of, opened, results_of
from tests.processes import Server, server

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
MB = 1_000_000


def memory_bytes(running: Server) -> int:
    """Resident memory of the server."""
    pages = int(Path(f"/proc/{running.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files(running: Server) -> int:
    """File descriptors of the server."""
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


async def until_freed(running: Server, files: int) -> None:
    """Waits until the server holds no more file descriptors than before."""
    async with asyncio.timeout(20):
        while open_files(running) > files:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.02)


async def until_below(running: Server, limit: int) -> None:
    """Waits until the server's memory is below a limit."""
    async with asyncio.timeout(20):
        while memory_bytes(running) > limit:
            await one_event(running)


async def one_event(running: Server) -> None:
    """Somebody else is served."""
    async with aio.insecure_channel(running.addresses[0], options=UNLIMITED) as channel:
        request = v1.TransformRequest(destinations=[destination()], batch=batch(TRACK))
        response: Any = await v1.SidecarServiceStub(channel).Transform(request, timeout=20)
        assert list(response.results.statuses) == [200]


def raw_connection(running: Server) -> socket.socket:
    host, _, port = running.addresses[0].rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def message(**found: Any) -> v1.TransformStreamRequest:
    return v1.TransformStreamRequest(**found)


@pytest.fixture
def running() -> Any:
    """A server in a process of its own."""
    with server("--listen", "127.0.0.1:0") as found:
        yield found


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        PREFACE[:7],
        PREFACE + SETTINGS,
        PREFACE + SETTINGS + b"\x00\x40\x00\x00\x00\x00\x00\x00\x01" + b"x" * 100,
        os.urandom(10_000),
    ],
    ids=["silence", "http-1", "half-preface", "no-call", "half-a-frame", "noise"],
)
async def test_a_connection_that_is_reset_leaves_nothing(running: Server, said: bytes) -> None:
    """Whatever was said before the reset, others are served and the descriptor is freed."""
    await one_event(running)
    files = open_files(running)
    for _ in range(20):
        peer = raw_connection(running)
        peer.sendall(said)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    await one_event(running)
    await until_freed(running, files)


async def test_a_peer_of_a_byte_at_a_time_holds_nobody_up(running: Server) -> None:
    """A connection that never gets anywhere is only its own problem."""
    slow = raw_connection(running)
    for byte in PREFACE[:6]:
        slow.sendall(bytes([byte]))
        await one_event(running)
    slow.close()


async def test_a_peer_killed_in_the_middle_of_a_stream_leaves_nothing(running: Server) -> None:
    """kill -9 of a caller with batches in flight: its descriptors are freed, others are served."""
    await one_event(running)
    files = open_files(running)
    script = (
        "import sys, grpc\n"
        "from ciosidecar import v1\n"
        "def messages():\n"
        "    destinations = [v1.Destination(reference_id=1, config_json=sys.argv[2].encode())]\n"
        "    yield v1.TransformStreamRequest(open=v1.OpenStream(destinations=destinations))\n"
        "    items = [v1.BatchItem(json=sys.argv[3].encode())] * 2000\n"
        "    while True:\n"
        "        batch = v1.Batch(batch_id=1, destination=1, items=items)\n"
        "        yield v1.TransformStreamRequest(batch=batch)\n"
        "channel = grpc.insecure_channel(sys.argv[1])\n"
        "for _ in v1.SidecarServiceStub(channel).TransformStream(messages()):\n"
        "    print('.', flush=True)\n"
    )
    arguments = [running.addresses[0], CONFIG.decode(), TRACK.decode()]
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(command, stdout=-1) as caller:  # noqa: ASYNC220 - it has to be killed
        assert caller.stdout is not None
        for _ in range(5):
            assert caller.stdout.readline()
        caller.send_signal(signal.SIGKILL)
    await one_event(running)
    await until_freed(running, files)


async def test_a_caller_that_never_reads_is_not_read_from(running: Server) -> None:
    """FlowControl: results pile up to 5 to 8 MB, then the server stops reading, and its memory growing."""
    async with aio.insecure_channel(running.addresses[0], options=UNLIMITED) as channel:
        call, _ = await opened(v1.SidecarServiceStub(channel))
        before = memory_bytes(running)
        event = b'{"type":"track","userId":"u","event":"E","properties":{"a":"%b"}}' % (b"x" * 4000)
        flood = message(batch=batch(*[event] * 100))
        written = 0
        with contextlib.suppress(TimeoutError):
            while written < 300:
                await asyncio.wait_for(call.write(flood), 2)
                written += 1
        assert written * 400_000 < 100 * MB
        assert memory_bytes(running) - before < 20 * MB  # docs/testing/resources.md has the figures
        await one_event(running)
        call.cancel()


async def test_a_thousand_idle_streams_cost_little_and_are_freed(running: Server) -> None:
    """A thousand open streams: memory grows by kilobytes each, others are served, all is freed."""
    await one_event(running)
    files, before = open_files(running), memory_bytes(running)
    first = await _held_by_idle_streams(running, 1000)
    assert first - before < 80 * MB
    await until_freed(running, files)
    assert await _held_by_idle_streams(running, 1000) - before < (first - before) * 1.5 + 5 * MB


async def _held_by_idle_streams(running: Server, number: int) -> int:
    """The server's memory while so many streams are open, and somebody else is served."""
    async with aio.insecure_channel(running.addresses[0], options=UNLIMITED) as channel:
        stub = v1.SidecarServiceStub(channel)
        calls = [(await opened(stub))[0] for _ in range(number)]
        await one_event(running)
        held = memory_bytes(running)
        for call in calls:
            call.cancel()
    return held


async def test_an_endless_stream_of_destinations_is_bounded(running: Server) -> None:
    """The same numbers over and over cost nothing; ever new ones end with RESOURCE_EXHAUSTED."""
    async with aio.insecure_channel(running.addresses[0], options=UNLIMITED) as channel:
        call, _ = await opened(v1.SidecarServiceStub(channel))
        for _ in range(50):
            same = [destination(number) for number in range(1, 201)]
            await call.write(message(upsert_destinations=v1.UpsertDestinations(destinations=same)))
        await call.write(message(batch=batch(TRACK)))
        await results_of(call)
        start = 1
        while start < 12_000:
            new = [destination(number) for number in range(start, start + 1000)]
            try:
                await call.write(
                    message(upsert_destinations=v1.UpsertDestinations(destinations=new))
                )
            except (aio.AioRpcError, asyncio.InvalidStateError):
                break
            start += 1000
        assert (await end_of(call))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    await one_event(running)


async def test_messages_of_63_mb_are_answered_and_their_memory_given_back(
    running: Server,
) -> None:
    """Just below the limit: every event answered, memory bounded, and most of it free afterwards."""
    await one_event(running)
    before = memory_bytes(running)
    event = b'{"type":"identify","userId":"u","traits":{"a":"%b"}}' % (b"x" * 1_000_000)
    big = message(batch=batch(*[event] * 63))
    assert 62 * MB < big.ByteSize() < 64 << 20
    peaks = []
    async with aio.insecure_channel(running.addresses[0], options=UNLIMITED) as channel:
        call, _ = await opened(v1.SidecarServiceStub(channel))
        for _ in range(6):
            await call.write(big)
            (results,) = await results_of(call)
            assert set(results.statuses) == {200}
            assert len(results.statuses) == 63
            peaks.append(memory_bytes(running))
    assert max(peaks) - before < 400 * MB
    await until_below(running, before + 100 * MB)


async def test_a_compressed_bomb_is_refused(running: Server) -> None:
    """100 MB that travel as 100 KB count as what they are: RESOURCE_EXHAUSTED, memory bounded."""
    before = memory_bytes(running)
    bomb = v1.TransformRequest(batch=batch(bytes(100 * MB)))
    async with aio.insecure_channel(
        running.addresses[0], options=UNLIMITED, compression=grpc.Compression.Gzip
    ) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        with pytest.raises(aio.AioRpcError) as failure:
            await stub.Transform(bomb)
        assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    await one_event(running)
    assert memory_bytes(running) - before < 150 * MB
