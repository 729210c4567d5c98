"""The parent's admin port: health, readiness and metrics of all workers."""

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from ciosidecar import Client, v1
from ciosidecar_server.workers.metrics_sum import merge, parse
from grpc import aio
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import opened
from tests.processes import TIMEOUT_S, Server, run, server
from tests.workers.group import LOOPBACK, answers, group, pids


def ask(running: Server, path: str) -> tuple[int, bytes]:
    """Status and body of one answer."""
    connection = http.client.HTTPConnection(running.ready_line["admin"], timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def asked(running: Server, path: str) -> tuple[int, dict[str, Any]]:
    """The same of JSON."""
    status, body = ask(running, path)
    return status, json.loads(body)


def probed(running: Server) -> tuple[int, bytes]:
    """Exit code and stderr of `ciosidecar health`."""
    done = run("health", "--admin", running.ready_line["admin"])
    return done.returncode, done.stderr


def until(expected: Any, ask_again: Callable[[], Any]) -> None:
    """Wait for an answer. On a busy machine, a worker may not answer within the time of a probe."""
    ends_at = time.monotonic() + TIMEOUT_S
    while (answer := ask_again()) != expected:
        assert time.monotonic() < ends_at, answer


@contextmanager
def stopped(*numbers: int) -> Iterator[None]:
    """Processes that hang while the block lasts."""
    for pid in numbers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in numbers:
            os.kill(pid, signal.SIGCONT)


def test_a_worker_that_hangs_does_not_use_up_the_time_of_a_probe() -> None:
    """The other worker is ready, and a probe of a container waits 1 or 2 seconds."""
    with group(2) as running, stopped(pids(running)[0]):
        until((0, b""), lambda: probed(running))
        status, told = asked(running, "/readyz")
        assert (status, told["ready_workers"]) == (200, 1)


def test_all_workers_are_ready() -> None:
    """The ready line names the parent's port, which counts the workers."""
    with group(2) as running:
        until((200, {"alive": True}), lambda: asked(running, "/healthz"))
        workers = [{"worker": number, "ready": True} for number in (1, 2)]
        told = {"ready": True, "ready_workers": 2, "workers": workers}
        until((200, told), lambda: asked(running, "/readyz"))
        status, page = ask(running, "/")
        assert status == 200
        assert b"ready" in page
        assert ask(running, "/page.css")[0] == 200


def test_one_ready_worker_is_enough() -> None:
    """Clients use the workers that are ready. That one hangs is for the health check."""
    with group(2) as running:
        with stopped(pids(running)[1]):
            status, told = asked(running, "/readyz")
            assert (status, told["ready"], told["ready_workers"]) == (200, True, 1)
            assert [worker["ready"] for worker in told["workers"]] == [True, False]
            status, told = asked(running, "/healthz")
            assert (status, told["alive"]) == (503, False)
            assert "worker 2" in told["reason"]
        until((200, {"alive": True}), lambda: asked(running, "/healthz"))


def test_none_is_not_enough() -> None:
    """The parent alone serves nothing."""
    with group(2) as running, stopped(*pids(running)):
        status, told = asked(running, "/readyz")
        assert (status, told["ready"], told["ready_workers"]) == (503, False, 0)
        assert told["reason"] == "no worker is ready"


async def test_a_draining_group_is_not_ready() -> None:
    """The port answers until the last worker has ended."""
    with group(2, "--grace", "60") as running:
        async with aio.insecure_channel(running.addresses[0]) as channel:
            call: Any
            call, _ = await opened(v1.SidecarServiceStub(channel))
            with stopped(pids(running)[1]):
                running.signal(signal.SIGTERM)
                assert (await call.read()).WhichOneof("message") == "drain"
                status, told = asked(running, "/readyz")
                assert (status, told["ready"]) == (503, False)
                assert "draining" in told["reason"]
        code, _ = running.end()
        assert code == 0


def samples(running: Server) -> dict[tuple[str, str], float]:
    """The metrics of workers, by name and worker."""
    status, body = ask(running, "/metrics")
    assert status == 200
    return {
        (sample.name, sample.labels.get("worker", "")): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name.startswith("ciosidecar_worker_")
    }


def test_metrics_tell_which_worker_runs_and_how_often_it_was_started_again() -> None:
    """Up and restarts, by worker."""
    up, restarts = "ciosidecar_worker_up", "ciosidecar_worker_restarts_total"
    with group(2) as running:
        zero = {(restarts, "1"): 0.0, (restarts, "2"): 0.0}
        assert samples(running) == zero | {(up, "1"): 1.0, (up, "2"): 1.0}
        with stopped(pids(running)[0]):
            assert samples(running) == zero | {(up, "1"): 0.0, (up, "2"): 1.0}
        os.kill(pids(running)[1], signal.SIGKILL)
        answers(running.addresses[1])
        assert samples(running)[restarts, "2"] == 1.0


CONFIG = {"siteID": "site", "apiKey": "key"}


def _transform(address: str, number: int) -> None:
    """So many events, over one stream to one worker."""
    with Client(address) as client, client.stream(CONFIG) as stream:
        events = ({"type": "track", "userId": "u", "event": f"e{n}"} for n in range(number))
        assert len(list(stream.map(events))) == number


def _value(running: Server, name: str) -> float:
    """The sum of all samples of a metric."""
    _, body = ask(running, "/metrics")
    families = text_string_to_metric_families(body.decode())
    found = [one.value for family in families for one in family.samples if one.name == name]
    assert found, name
    return sum(found)


def test_counts_are_those_of_all_workers_also_of_one_that_died() -> None:
    """A sum that falls would look like a restart of the sidecar, and all events would be counted again."""
    with group(2) as running:
        _transform(running.addresses[0], 30)
        _transform(running.addresses[1], 12)
        assert _value(running, "ciosidecar_events_total") == 42
        assert _value(running, "ciosidecar_streams_opened_total") == 2
        assert _value(running, "ciosidecar_batch_transform_seconds_count") >= 2
        assert _value(running, "ciosidecar_build_info") == 1
        with stopped(pids(running)[0]):
            assert _value(running, "ciosidecar_events_total") == 42
        os.kill(pids(running)[0], signal.SIGKILL)
        answers(running.addresses[0])
        assert _value(running, "ciosidecar_events_total") == 42
        _transform(running.addresses[0], 5)
        assert _value(running, "ciosidecar_events_total") == 47


def test_of_the_workers_certificates_the_one_that_expires_first_counts() -> None:
    """A worker may have read a renewed file a second before the other."""
    name = "ciosidecar_certificate_not_after_seconds"
    exposed = [parse(f"# TYPE {name} gauge\n{name} {at}\n".encode()) for at in (2e9, 1.9e9)]
    assert [sample.value for sample in merge(exposed)[name].samples] == [1.9e9]


def test_the_state_is_that_of_all_workers() -> None:
    """Streams of both workers with their worker's number, and a row for each worker."""
    with group(2) as running, ExitStack() as stack:
        for address in running.addresses:
            client = stack.enter_context(Client(address))
            stream = stack.enter_context(client.stream(CONFIG))
            stream.send({"type": "track", "userId": "u", "event": "Step"})
            next(iter(stream))
        status, state = asked(running, "/api/state")
        assert status == 200
        assert (state["ready"], state["streams_open"]) == (True, 2)
        assert sorted(stream["worker"] for stream in state["streams"]) == [1, 2]
        assert state["pid"] == running.process.pid
        assert [worker["pid"] for worker in state["workers"]] == pids(running)
        assert [worker["streams_open"] for worker in state["workers"]] == [1, 1]
        listen = [address for worker in state["workers"] for address in worker["listen"]]
        assert listen == running.addresses
        (row,) = state["destinations"]
        assert sum(row["outcomes"].values()) == 2
        shown = run("top", "--admin", running.ready_line["admin"], "--json")
        assert json.loads(shown.stdout)["streams_open"] == 2


def test_a_tap_shows_the_results_of_all_workers() -> None:
    """One stream of lines, which ends after the limit."""
    with group(2) as running:
        connection = http.client.HTTPConnection(running.ready_line["admin"], timeout=TIMEOUT_S)
        try:
            connection.request("GET", "/api/tap?limit=5&outcome=transformed")
            response = connection.getresponse()
            assert response.status == 200
            _transform(running.addresses[0], 3)
            _transform(running.addresses[1], 2)
            lines = [json.loads(line) for line in response.read().splitlines()]
        finally:
            connection.close()
    assert len(lines) == 5
    assert len({line["session_id"] for line in lines}) == 2


@pytest.mark.parametrize(
    ("query", "status"), [("outcome=nonsense", 400), ("bodies=1", 403), ("limit=0", 400)]
)
def test_a_tap_that_a_worker_refuses_is_refused(query: str, status: int) -> None:
    """With the worker's reason."""
    with group(2) as running:
        code, told = asked(running, f"/api/tap?{query}")
        assert code == status
        assert told["error"]


def test_none_is_off_for_the_workers_too() -> None:
    """The ready line says null."""
    with server("--workers", "2", "--listen", LOOPBACK, "--admin-listen", "none") as running:
        assert running.ready_line["admin"] is None
        for address in running.addresses:
            answers(address)
        running.signal(signal.SIGTERM)
        assert running.end()[0] == 0


def test_a_taken_admin_port_is_an_error() -> None:
    """It is said before any worker starts."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        failed = run("serve", "--workers", "2", "--listen", LOOPBACK, "--admin-listen", address)
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert f"--admin-listen {address}" in " ".join(failed.stderr.decode().split())
