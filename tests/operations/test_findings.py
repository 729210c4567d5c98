"""Why deliveries fail, in each case of docs/operations.md: the log, the metrics and `ciosidecar top` name the cause."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ciosidecar import Client, StreamOptions, v1
from ciosidecar_sandbox.testing import running_sandbox
from grpc import aio

from tests.admin.test_top import in_terminal
from tests.conftest import UNLIMITED, batch, opened
from tests.delivery.caller import CONFIG, Caller, track
from tests.fake_customerio import HOLD, WITHIN_S, FakeCustomerio, Reply, fake_customerio
from tests.operations.finding import Finding, find, top_once
from tests.processes import COMMAND, TIMEOUT_S
from tests.telemetry.support import delivering_server, metrics_of, stream_of, value

pytestmark = pytest.mark.serial

REF = "shop"
EVENT = b'{"type":"track","userId":"u","event":"E","properties":{"a":"%b"}}' % (b"x" * 4000)
STREAMS_SHOWN = b"Streams"


async def told(caller: Caller, number: int = 8) -> list[int]:
    """Send events of different people. Return the status of each."""
    await caller.send(1, *(track("E", f"u{n}") for n in range(number)), timeout_s=3)
    return [each.status for each in await caller.told_all(1)]


def of_shop(state: dict[str, Any]) -> dict[str, Any]:
    """Return the row of the destination."""
    rows = (row for row in state["destinations"] if row["destination_ref"] == REF)
    return dict(next(rows, {}))


async def found_after_failures(customerio_url: str, *arguments: str) -> Finding:
    """Deliver events of the destination in vain. Return what the server says."""
    async with (
        delivering_server(customerio_url, *arguments) as running,
        stream_of(running, (REF, CONFIG)) as caller,
    ):
        assert set(await told(caller)) <= {401, 429, 500, 503, 504}
        return await find(running, lambda state: of_shop(state).get("last_failure"))


async def test_wrong_key() -> None:
    """Customer.io's 401, as the refusal of siteID and apiKey."""
    with running_sandbox(site_id="site", api_key="the-right-key") as sandbox:
        found = await found_after_failures(sandbox.url)
    shop = found.destination(REF)
    assert shop["state"] == "credentials_refused"
    assert shop["last_failure"]["http_status"] == 401
    assert "siteID and apiKey" in shop["last_failure"]["text"]
    line = found.line("credentials refused")
    assert (line["destination_ref"], line["http_status"]) == (REF, 401)
    assert line["base_url"] == sandbox.url
    assert "region" in line["message"]
    assert found.value("workspaces", destination_ref=REF, state="credentials_refused") == 1
    assert found.value("requests_total", endpoint_path="v1/customers/events", http_status="401") > 0


async def test_wrong_region_that_customerio_redirects() -> None:
    """Events are delivered; every place says that the destination names the wrong region."""
    async with (
        fake_customerio() as us,
        fake_customerio() as eu,
        delivering_server(us.url, "--customerio-eu-url", eu.url) as running,
        stream_of(running, (REF, CONFIG)) as caller,
    ):
        us.rule = lambda request: Reply(301, b"", {"Location": eu.url + request.path})
        assert set(await told(caller)) == {200}
        terminal = (running, STREAMS_SHOWN, "--once")
        _, screen = await asyncio.to_thread(in_terminal, *terminal, interrupt=False)
        assert b"ok, other region" in screen
        found = await find(running, lambda state: of_shop(state).get("other_region"))
    shop = found.destination(REF)
    assert (shop["state"], shop["urls"]) == ("ok", [eu.url])
    line = found.line("workspace is in Customer.io's other region")
    assert (line["destination_ref"], line["base_url"]) == (REF, eu.url)
    assert found.value("workspaces_in_other_region", destination_ref=REF) == 1
    assert found.value("warnings_total", code="WRONG_REGION") > 0


async def test_wrong_region_that_redirects_nowhere() -> None:
    """Redirects that no region ends: the log, top and metrics say it in the sidecar's words, not in Customer.io's."""
    with running_sandbox(fault="redirect=1") as sandbox:
        found = await found_after_failures(sandbox.url)
    cause = ": the workspace is in another region; set the destination's datacenter"
    shop = found.destination(REF)
    assert (shop["state"], shop["other_region"]) == ("down", True)
    failures = [failure for failure in found.top["failures"] if failure["http_status"]]
    assert any(cause in failure["text"] for failure in failures)
    line = found.line("workspace down")
    assert line["failure"] == f"Customer.io answered {line['http_status']}{cause}"
    assert cause in found.line("workspace is in Customer.io's other region")["failure"]
    assert not any("wrong datacenter" in str(each) for each in found.log)
    assert found.value("workspaces_in_other_region", destination_ref=REF) == 1


@pytest.mark.parametrize(
    ("retry_after_s", "state", "message"),
    [(None, "throttled", "workspace throttled"), (20.0, "paused", "workspace paused")],
)
async def test_throttled(retry_after_s: float | None, state: str, message: str) -> None:
    """Customer.io's 429: a lower rate, and a pause where Retry-After asks for one."""
    with running_sandbox(fault="429=1", retry_after_s=retry_after_s) as sandbox:
        found = await found_after_failures(sandbox.url)
    shop = found.destination(REF)
    assert shop["state"] == state
    assert shop["rate_per_s"] < shop["full_rate_per_s"]
    # The last failure may be the end of the caller's time limit.
    throttled = [failure for failure in found.top["failures"] if failure["http_status"] == 429]
    assert {failure["destination_ref"] for failure in throttled} == {REF}
    assert found.line(message)["destination_ref"] == REF
    assert found.value("throttles_total", destination_ref=REF) > 0
    assert found.value("workspaces", destination_ref=REF, state=state) == 1


def assert_down(found: Finding, http_status: int, text: str) -> None:
    """Every place says that the workspace is down, and why."""
    shop = found.destination(REF)
    assert shop["state"] == "down"
    assert shop["last_failure"]["http_status"] == http_status
    # The very last failure may be the end of the caller's time limit.
    assert any(text in failure["text"] for failure in found.top["failures"])
    line = found.line("workspace down")
    assert (line["destination_ref"], line["http_status"]) == (REF, http_status)
    assert text in line["failure"]
    assert found.value("workspaces", destination_ref=REF, state="down") == 1
    status = str(http_status) if http_status else "none"
    path = "v1/customers/events"
    assert found.value("requests_total", endpoint_path=path, http_status=status) >= 5


async def test_nothing_listens(no_listener: str) -> None:
    """Customer.io, or the proxy in between, refuses connections."""
    assert_down(await found_after_failures(f"http://{no_listener}"), 0, "Connection refused")


async def test_customerio_hangs() -> None:
    """Customer.io takes requests and answers none."""
    async with fake_customerio() as customerio:
        customerio.rule = lambda _request: HOLD
        found = await found_after_failures(customerio.url, "--request-timeout-s", "0.2")
    assert_down(found, 0, "within")


async def test_customerio_fails() -> None:
    """Customer.io answers 5xx."""
    with running_sandbox(fault="503=1") as sandbox:
        assert_down(await found_after_failures(sandbox.url), 503, "Customer.io answered 503")


async def flood(call: Any) -> "asyncio.Task[None]":
    """Write batches until the server does not read any more. Return the write that waits: to cancel it ends the call."""
    message = v1.TransformStreamRequest(batch=batch(*[EVENT] * 100))
    while True:
        writing: asyncio.Task[None] = asyncio.ensure_future(call.write(message))
        if not (await asyncio.wait((writing,), timeout=1))[0]:
            return writing


async def test_a_caller_does_not_read() -> None:
    """Every place names the caller, its address and its destination; and says when the caller reads again."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url) as running,
        aio.insecure_channel(running.addresses[0], options=UNLIMITED) as channel,
    ):
        destinations = [v1.Destination(reference_id=1, destination_ref=REF, config_json=CONFIG)]
        stub = v1.SidecarServiceStub(channel)
        call, _ = await opened(stub, client_name="router", destinations=destinations)
        writing = await flood(call)
        state = await top_once(running, lambda state: state["streams"][0]["unread_s"] >= 5)
        assert value(await metrics_of(running), "streams_stalled") == 1
        terminal = (running, b"has not read for", "--once")
        _, screen = await asyncio.to_thread(in_terminal, *terminal, interrupt=False)
        assert b"router" in screen
        reading = asyncio.ensure_future(_read_all(call))
        found = await find(running, lambda state: state["streams"][0]["unread_s"] == 0)
        await writing
        call.cancel()
        await reading
    (stream,) = state["streams"]
    assert (stream["client_name"], stream["destination_ref"]) == ("router", REF)
    assert stream["results"] < stream["items"]
    line = found.line("the caller does not read its results")
    assert (line["level"], line["client_name"], line["destination_ref"]) == (
        "warning",
        "router",
        REF,
    )
    assert (line["peer"], line["session_id"]) == (stream["peer"], stream["session_id"])
    assert found.line("the caller reads its results again")["unread_s"] >= 5
    assert found.value("streams_stalled") == 0


async def test_a_program_that_takes_no_results_from_its_client() -> None:
    """The client reads ahead, so the server sees an idle stream: docs/troubleshooting.md must promise no more."""
    limit = 50
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in itertools.count():
            sent.append(number)
            yield EVENT

    def look() -> None:
        with (
            Client(running.addresses[0]) as client,
            client.stream(CONFIG, StreamOptions(max_outstanding_events=limit)) as stream,
        ):
            answers = stream.map(endless())
            next(answers)
            asleep.set()
            assert awake.wait(WITHIN_S)

    asleep, awake = threading.Event(), threading.Event()
    async with fake_customerio() as customerio, delivering_server(customerio.url) as running:
        looking = asyncio.ensure_future(asyncio.to_thread(look))
        try:
            assert await asyncio.to_thread(asleep.wait, WITHIN_S)
            state = await top_once(
                running, lambda state: state["streams"][0]["results"] == limit + 1
            )
            await asyncio.sleep(1)
            later = await top_once(running, lambda state: state["streams"])
        finally:
            awake.set()
            await looking
    for (stream,) in (state["streams"], later["streams"]):
        assert (stream["items"], stream["results"], stream["unread_s"]) == (limit + 1, limit + 1, 0)
    assert len(sent) <= limit + 2


async def _read_all(call: Any) -> None:
    with contextlib.suppress(asyncio.CancelledError, aio.AioRpcError):
        while await call.read() is not aio.EOF:
            pass


class Logging:
    """A server whose log goes to a given file, as far as `top` and the metrics need it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.ready_line: dict[str, Any] = json.loads(process.stdout.readline())
        self.addresses = list(self.ready_line["listen"])
        self.admin = f"http://{self.ready_line['admin']}"


@contextmanager
def server_logging_to(stderr: int, customerio: FakeCustomerio) -> Iterator[Any]:
    """A server that delivers and whose stderr is a file descriptor; it must end when it is told to."""
    options = ("--listen", "127.0.0.1:0", "--customerio-url", customerio.url)
    with subprocess.Popen(
        [*COMMAND, "serve", *options], stdout=subprocess.PIPE, stderr=stderr, text=True
    ) as process:
        try:
            yield Logging(process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()


async def test_the_disk_of_the_log_is_full() -> None:
    """Events are delivered. The log cannot say it; metrics and top count the lines that are lost."""
    async with fake_customerio() as customerio:
        full = os.open("/dev/full", os.O_WRONLY)
        try:
            with server_logging_to(full, customerio) as running:
                async with stream_of(running, (REF, CONFIG)) as caller:
                    assert set(await told(caller)) == {200}
                    state = await top_once(running, lambda state: state["log_lines_dropped"] >= 2)
                    terminal = (running, STREAMS_SHOWN, "--once")
                    _, screen = await asyncio.to_thread(in_terminal, *terminal, interrupt=False)
                assert of_shop(state)["outcomes"] == {"delivered": 8}
                assert b"log lines dropped" in screen
                assert value(await metrics_of(running), "log_lines_dropped_total") >= 2
        finally:
            os.close(full)


async def test_nothing_reads_the_pipe_of_the_log() -> None:
    """Events are delivered; lines wait, and are written once the pipe is read."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 1024)
    async with fake_customerio() as customerio:
        with server_logging_to(writing, customerio) as running:
            os.close(writing)
            async with stream_of(running, (REF, CONFIG)) as caller:
                assert set(await told(caller)) == {200}
                state = await top_once(running, lambda state: state["log_lines_waiting"] >= 1)
                assert of_shop(state)["outcomes"] == {"delivered": 8}
                assert value(await metrics_of(running), "log_lines_waiting") >= 1
            log = b""
            while b"stream closed" not in log:
                log += await asyncio.to_thread(os.read, reading, 65_536)
            os.close(reading)
        assert b"lines dropped" not in log
