"""A worker that dies: it comes back at its address, and callers lose and repeat nothing."""

import asyncio
import json
import os
import re
import resource
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ciosidecar import Client, DeliveryOptions, StreamOptions
from ciosidecar_sandbox.testing import running_sandbox
from ciosidecar_server.settings import Settings
from ciosidecar_server.workers.group import Worker, WorkerFailed
from ciosidecar_server.workers.restarts import (
    FIRST_DELAY_S,
    MAX_DELAY_S,
    STEADY_AFTER_S,
    RestartBackoff,
)

from tests.ports import free_port
from tests.processes import TIMEOUT_S, server
from tests.security.watching import wait_until
from tests.workers.group import LOOPBACK, Watched, answers, children, group, pids

pytestmark = pytest.mark.serial
CONFIG = {"siteID": "site", "apiKey": "key"}
STREAMS, EVENTS = 4, 400
OPTIONS = StreamOptions(
    max_batch_events=10, max_outstanding_events=50, reconnect_for_s=2 * TIMEOUT_S
)
"""A busy machine may take longer than the default's minute for the start of two workers."""


def test_a_killed_worker_comes_back_at_its_address() -> None:
    """Another process, the same port; the other worker is not touched; the log has it."""
    with group(2) as running:
        before = pids(running)
        os.kill(before[0], signal.SIGKILL)
        answers(running.addresses[0])
        others, new = children(running.process.pid)
        assert others == before[1]
        assert new != before[0]
        running.signal(signal.SIGTERM)
        code, errors = running.end()
    assert code == 0
    (died,) = (line for line in map(json.loads, errors.splitlines()) if "died" in line["message"])
    told = {name: died[name] for name in ("level", "worker", "pid", "reason")}
    assert told == {"level": "error", "worker": 1, "pid": before[0], "reason": "SIGKILL"}


def test_a_worker_that_ends_by_itself_comes_back_too() -> None:
    """SIGTERM for one worker is how an operator restarts it alone."""
    with group(2) as running:
        ended = Watched(pids(running)[1])
        os.kill(pids(running)[1], signal.SIGTERM)
        ended.end()
        answers(running.addresses[1])
        assert len(children(running.process.pid)) == 2


def test_a_worker_that_cannot_start_again_is_tried_until_it_can() -> None:
    """Its port is taken meanwhile: the delays grow, the other worker serves, then the port is free."""
    with group(2) as running:
        host, _, port = running.addresses[1].rpartition(":")
        ended = Watched(pids(running)[1])
        os.kill(pids(running)[1], signal.SIGKILL)
        ended.end()
        with socket.create_server((host, int(port))) as taken:
            tries = children(running.process.pid)
            for _ in range(3):
                tries += _another_child(running.process.pid, tries)
            answers(running.addresses[0])
            taken.close()
        answers(running.addresses[1])
        running.signal(signal.SIGTERM)
        code, errors = running.end()
    assert code == 0
    lines = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    delays = [line["restart_in_s"] for line in lines if "died" in line["message"]]
    for death, delay in enumerate(delays):
        bound = FIRST_DELAY_S * 2**death
        assert bound / 2 - 0.01 <= delay <= bound + 0.01
    assert len(delays) >= 3


async def test_a_successor_that_hangs_is_killed_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Python itself takes longer than this limit. The log gives the reason, not the parent's own SIGKILL."""
    worker = Worker(1, Settings(listen=(LOOPBACK,), worker_start_timeout_s=0.01))
    with pytest.raises(WorkerFailed, match=r"not ready within 0\.01 s"):
        await worker.start()
    assert caplog.records == []
    keeping = asyncio.create_task(worker.keep())
    async with asyncio.timeout(TIMEOUT_S):
        while worker.restarts < 2:  # noqa: ASYNC110 - a worker has no event of its restarts
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await worker.signal(signal.SIGKILL)
    await worker.ended()
    lines: list[Any] = [record.msg for record in caplog.records if record.name == "ciosidecar"]
    assert [line["event"] for line in lines] == ["worker died"] * 2
    assert lines[-1]["reason"] == "not ready within 0.01 s, and killed"


def test_a_worker_that_the_system_cannot_make_is_tried_until_it_can() -> None:
    """The parent has no descriptor left for the pipes of another process, as when memory or processes run out."""
    with group(2) as running:
        before = pids(running)
        parent = running.process.pid
        _, most = resource.prlimit(parent, resource.RLIMIT_NOFILE)
        resource.prlimit(parent, resource.RLIMIT_NOFILE, (3, most))
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: running.errors().count("worker cannot be started") >= 2)
        resource.prlimit(parent, resource.RLIMIT_NOFILE, (most, most))
        answers(running.addresses[0])
        others = children(parent)
        assert before[1] in others
        assert len(others) == 2
        running.signal(signal.SIGTERM)
        code, errors = running.end()
    assert code == 0
    assert "Traceback" not in errors
    lines = [json.loads(line) for line in errors.splitlines()]
    failed = [line for line in lines if line["message"] == "worker cannot be started"]
    assert failed[0]["reason"].startswith("no process could be made: ")
    assert failed[-1]["restart_in_s"] > failed[0]["restart_in_s"]


def test_a_drain_ends_the_others_while_one_cannot_be_made() -> None:
    with group(2) as running:
        ended = Watched(*pids(running))
        former = resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (3, former[1]))
        os.kill(pids(running)[0], signal.SIGKILL)
        wait_until(lambda: "worker cannot be started" in running.errors())
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, former)
        running.signal(signal.SIGTERM)
        code, errors = running.end()
        ended.end()
    assert code == 0, errors
    assert "Traceback" not in errors


def test_what_a_worker_prints_beside_its_ready_line_is_ignored(tmp_path: Path) -> None:
    """A module that Python imports at its start may print, also a line that is longer than asyncio reads."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "if '_CIOSIDECAR_WORKER' in os.environ:\n"
        "    print('hello', flush=True)\n"
        "    print('x' * 200_000, flush=True)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    words = ("--workers", "2", "--listen", "127.0.0.1:0")
    with server(*words, env=os.environ | {"PYTHONPATH": path}) as running:
        assert running.ready_line["ready"]
        os.kill(pids(running)[0], signal.SIGKILL)
        answers(running.addresses[0])


def _another_child(pid: int, known: list[int]) -> list[int]:
    """A process that a process starts beside the known ones."""
    with ThreadPoolExecutor() as pool:
        return pool.submit(_wait_for_child, pid, known).result(TIMEOUT_S)


def _wait_for_child(pid: int, known: list[int]) -> list[int]:
    while not (found := [child for child in children(pid) if child not in known]):
        os.sched_yield()
    return found


def test_delays_double_and_are_forgotten_after_a_steady_run() -> None:
    """From 0.2 to 30 seconds, at random between half of that and that."""
    backoff = RestartBackoff()
    delays = [backoff.next_delay_s(0.0) for _ in range(12)]
    for death, delay in enumerate(delays):
        bound = min(MAX_DELAY_S, FIRST_DELAY_S * 2**death)
        assert bound / 2 <= delay <= bound
    assert backoff.next_delay_s(STEADY_AFTER_S - 0.1) >= MAX_DELAY_S / 2
    assert backoff.next_delay_s(STEADY_AFTER_S) <= FIRST_DELAY_S
    assert len(set(delays)) == len(delays)


def events(stream: int) -> Iterator[dict[str, Any]]:
    """Tracks of one stream, each with an id of its own."""
    for number in range(EVENTS):
        event = {"type": "track", "event": "Step", "userId": f"u{stream}-{number % 20}"}
        yield event | {"messageId": f"m{stream}-{number}", "properties": {"number": number}}


def test_a_worker_killed_under_delivery_loses_nothing_and_repeats_nothing() -> None:
    """Four streams over two workers: each event is answered once, and is there once."""
    with running_sandbox() as sandbox, group(2, "--customerio-url", sandbox.url) as running:

        def drive(number: int) -> list[tuple[Any, Any]]:
            sent = list(events(number))
            with (
                Client(running.addresses) as client,
                client.stream(
                    CONFIG,
                    OPTIONS,
                    deliver=DeliveryOptions(timeout_s=30),
                ) as stream,
            ):
                found: list[tuple[Any, Any]] = []
                for answer in stream.map(sent):
                    found.append(answer)
                    if number == 0 and len(found) == EVENTS // 4:
                        os.kill(pids(running)[0], signal.SIGKILL)
                assert [event for event, _ in found] == sent
                return found

        with ThreadPoolExecutor(STREAMS) as pool:
            found = list(pool.map(drive, range(STREAMS), timeout=90))
        assert {result.status for answers in found for _, result in answers} == {200}
        arrived = sorted(event.data["number"] for event in sandbox.workspace.events.kept)
        assert arrived == sorted(list(range(EVENTS)) * STREAMS)
        running.signal(signal.SIGTERM)
        code, errors = running.end()
        assert code == 0
        assert len(re.findall("worker died", errors)) == 1


def test_a_drain_under_delivery_answers_every_event() -> None:
    """SIGTERM while four streams send: each event is answered once, and what was delivered is there once."""
    # The system gives no other program these ports while nothing listens there.
    listen = f"127.0.0.1:{free_port(in_a_row=2)}"
    with running_sandbox() as sandbox:
        to_sandbox = ("--customerio-url", sandbox.url)
        with (
            group(2, *to_sandbox, "--grace", "30", listen=listen) as running,
            ThreadPoolExecutor(STREAMS) as pool,
        ):
            addresses = running.addresses

            def drive(number: int) -> list[Any]:
                with (
                    Client(addresses) as client,
                    client.stream(
                        CONFIG,
                        OPTIONS,
                        deliver=DeliveryOptions(timeout_s=30),
                    ) as stream,
                ):
                    found = []
                    for answer in stream.map(list(events(number))):
                        found.append(answer)
                        if number == 0 and len(found) == EVENTS // 4:
                            running.signal(signal.SIGTERM)
                    return found

            futures = [pool.submit(drive, number) for number in range(STREAMS)]
            code, errors = running.end()
            assert code == 0
            assert "killed" not in errors
            with group(2, *to_sandbox, listen=listen) as second:
                assert second.ready_line, second.errors()
                found = [future.result(60) for future in futures]
        assert [[event for event, _ in answers] for answers in found] == [
            list(events(number)) for number in range(STREAMS)
        ]
        # A server that drains sends nothing more: it returns what waits as a retryable failure.
        assert {result.status for answers in found for _, result in answers} <= {200, 503}
        delivered = [
            event["properties"]["number"]
            for answers in found
            for event, result in answers
            if result.status == 200
        ]
        arrived = sorted(event.data["number"] for event in sandbox.workspace.events.kept)
        assert arrived == sorted(delivered)
