"""What the log of a server says, as an operator reads it."""

import asyncio
import datetime as dt
import itertools
import json
import os
import pty
import signal
import socket
import subprocess
from collections import Counter
from pathlib import Path

import grpc
import pytest
from ciosidecar import v1
from ciosidecar_transform import native

from tests.delivery.caller import CONFIG, track
from tests.fake_customerio import HOLD, WITHIN_S, Reply, fake_customerio, nobody
from tests.processes import COMMAND, TIMEOUT_S, run, server
from tests.security.watching import wait_until
from tests.telemetry.support import delivering_server, log_of, named, stream_of, until_answered

pytestmark = pytest.mark.serial
LOOPBACK = ("--listen", "127.0.0.1:0")


async def test_the_start_and_the_drain() -> None:
    """Version, build, addresses, and the settings that differ from the defaults; then both ends of the drain."""
    with server(*LOOPBACK, "--grace-s", "3", "--log-level", "info") as running:
        lines = await log_of(running)
    lines = [line for line in lines if line["message"] != "the event loop is slow"]
    assert [line["message"] for line in lines] == ["started", "drain began", "drain ended"]
    started, began, ended = lines
    assert started["version"] == running.ready_line["version"]
    assert started["listen"] == running.addresses
    assert {"python", "grpc", "protobuf", "protocol"} <= started.keys()
    assert started["implementation"] == native.implementation()
    assert started.get("implementation_reason", "") == native.reason
    assert started["settings"].pop("admin_listen") == "127.0.0.1:0"
    assert started["settings"] == {"listen": ["127.0.0.1:0"], "grace_s": 3.0}
    assert (began["grace_s"], began["streams"]) == (3.0, 0)
    assert ended["cut"] is False


async def test_a_drain_names_what_it_waits_for() -> None:
    """The number of streams, and of the slowest its client, its address and its events without a result."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url, "--grace-s", "3") as running,
        stream_of(running, ("ref", CONFIG)) as caller,
    ):
        customerio.rule = lambda _request: HOLD
        await caller.send(1, track("1", "u1"))
        await until_answered(customerio, 1)
        lines = await log_of(running)
    (waits,) = named(lines, "drain waits for streams")
    (opened,) = named(lines, "stream opened")
    assert (waits["streams"], waits["unanswered"], waits["unread_s"]) == (1, 1, 0)
    assert (waits["client_name"], waits["peer"]) == ("router", opened["peer"])
    assert waits["session_id"] == opened["session_id"]


async def test_a_workspace_whose_credentials_are_refused() -> None:
    """One line when they are refused, with the destination's ref, and one when they are accepted again."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url) as running,
        stream_of(running, ("src:dst:1", CONFIG)) as caller,
    ):
        customerio.answers(Reply(401))
        await caller.send(1, *(track(str(number), f"u{number}") for number in range(3)))
        await caller.told_all(1)
        await asyncio.sleep(1.1)  # the probe of refused credentials comes a second later
        await caller.send(2, track("9", "u9"))
        assert (await caller.told(2)).status == 200
        lines = await log_of(running)
    (refused,) = named(lines, "credentials refused")
    (accepted,) = named(lines, "credentials accepted")
    assert (refused["level"], refused["destination_ref"]) == ("error", "src:dst:1")
    assert refused["http_status"] == 401
    assert refused["base_url"] == customerio.url
    assert (accepted["level"], accepted["destination_ref"]) == ("info", "src:dst:1")


async def test_a_workspace_that_is_down_and_up_again() -> None:
    """One line each, however many requests fail, with what failed."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url) as running,
        stream_of(running, ("ref", CONFIG)) as caller,
    ):
        customerio.answers(*[Reply(503)] * 5)
        await caller.send(1, *(track("1", f"u{n}") for n in range(5)), timeout_s=None)
        assert {told.status for told in await caller.told_all(1)} == {200}
        lines = await log_of(running)
    (down,) = named(lines, "workspace down")
    (up,) = named(lines, "workspace up")
    assert (down["http_status"], down["failure"]) == (503, "Customer.io answered 503")
    assert (up["destination_ref"], up["level"]) == ("ref", "info")


async def test_a_customerio_that_cannot_be_reached() -> None:
    """The line names the address and the cause."""
    with nobody() as address:
        url = f"http://{address}"
        async with (
            delivering_server(url) as running,
            stream_of(running, ("ref", CONFIG)) as caller,
            asyncio.timeout(WITHIN_S),
        ):
            # On a busy machine, a second may be over before five requests failed.
            for batch_id in itertools.count(1):
                await caller.send(batch_id, *(track("1", f"u{n}") for n in range(5)), timeout_s=1)
                await caller.told_all(batch_id)
                if '"workspace down' in running.errors():
                    break
            lines = await log_of(running)
    (down,) = named(lines, "workspace down")
    assert down["http_status"] == 0
    assert "no connection" in down["failure"]
    assert down["base_url"] == url


async def test_a_workspace_that_is_throttled_and_paused() -> None:
    """Each condition is logged once when it begins, and once when it ends."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url, "--delivery-rate", "10") as running,
        stream_of(running, ("ref", CONFIG)) as caller,
    ):
        customerio.answers(Reply(429, headers={"Retry-After": "1"}))
        await caller.send(1, track("1", "u1"))
        await caller.told_all(1)
        for batch_id in range(2, 40):  # successes raise the rate by a tenth a second
            await caller.send(batch_id, track("1", f"u{batch_id}"))
            await caller.told_all(batch_id)
        lines = await log_of(running)
    about = [line["message"].partition(":")[0] for line in lines if "workspace" in line["message"]]
    assert about == [
        "workspace paused",
        "workspace throttled",
        "workspace resumed",
        "workspace at its full rate again",
    ]
    (paused,) = named(lines, "workspace paused")
    assert 0 < paused["pause_s"] <= 1


async def test_refused_events_are_one_line_for_each_code() -> None:
    """At the end of the drain at the latest, with their number, and not a line for each event."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url) as running,
        stream_of(running, ("ref-1", CONFIG), ("ref-2", CONFIG)) as caller,
    ):
        customerio.answers(then=Reply(400))
        await caller.send(1, *(track("1", f"u{n}") for n in range(7)))
        await caller.send(2, *[v1.BatchItem(json=b"{")] * 5, number=2)
        await caller.told_all(1)
        await caller.told_all(2)
        lines = await log_of(running)
    told = named(lines, "events failed")
    assert len(told) <= 4  # the first ones may have a line of their own
    refused: Counter[tuple[str, ...]] = Counter()
    for line in told:
        refused[line["destination_ref"], line["code"], line["outcome"]] += line["events"]
    assert refused == {
        ("ref-1", "REFUSED", "rejected"): 7,
        ("ref-2", "INVALID_JSON", "rejected"): 5,
    }


async def test_the_first_refused_event_has_its_line_at_once() -> None:
    """While the server goes on, and long before the summary of the minute."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url) as running,
        stream_of(running, ("ref-1", CONFIG)) as caller,
    ):
        await caller.send(1, v1.BatchItem(json=b"{"))
        await caller.told_all(1)
        for _ in range(round(WITHIN_S / 0.05)):
            if '"events failed"' in running.errors():
                break
            await asyncio.sleep(0.05)
        assert '"events failed"' in running.errors()
        (refused,) = named(await log_of(running), "events failed")
    assert (refused["code"], refused["events"]) == ("INVALID_JSON", 1)


async def test_a_destination_without_ref_is_called_none() -> None:
    """In the lines of its stream, its workspace and its refused events, as in metrics."""
    async with (
        fake_customerio() as customerio,
        delivering_server(customerio.url) as running,
        stream_of(running, ("", CONFIG)) as caller,
    ):
        customerio.answers(then=Reply(401))
        await caller.send(1, track("1", "u1"))
        await caller.told_all(1)
        lines = await log_of(running)
    for message in ("stream opened", "credentials refused", "events failed"):
        assert [line["destination_ref"] for line in named(lines, message)] == ["none"], message


async def test_a_slow_event_loop_is_logged_once_in_ten_seconds() -> None:
    """A process that is stopped for half a second is late: two stops, one line. A busy machine has lines of its own."""
    with server(*LOOPBACK) as running:
        for _ in range(2):
            running.signal(signal.SIGSTOP)
            await asyncio.sleep(0.5)
            running.signal(signal.SIGCONT)
            await asyncio.sleep(0.3)
        await asyncio.to_thread(wait_until, lambda: stops_in(running.errors()))
        lines = await log_of(running)
    slow = named(lines, "the event loop is slow")
    logged_at = [dt.datetime.fromisoformat(str(line["timestamp"])) for line in slow]
    assert all(
        later - earlier > dt.timedelta(seconds=9.9)
        for earlier, later in itertools.pairwise(logged_at)
    )
    assert all(0.1 < line["lag_s"] < 5 for line in slow)


def stops_in(log: str) -> bool:
    """Return whether a line tells of a stop."""
    whole, _, _ = log.rpartition("\n")
    slow = named([json.loads(line) for line in whole.splitlines()], "the event loop is slow")
    return any(line["lag_s"] > 0.2 for line in slow)


def test_grpcs_core_writes_no_lines_of_its_own() -> None:
    """Neither for bytes that are no HTTP/2, nor for a port that is taken."""
    with server(*LOOPBACK, "--log-level", "info") as running:
        host, port = running.addresses[0].rsplit(":", 1)
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 99):
            with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
                connection.sendall(data)
                connection.recv(1)
        taken = run("serve", "--listen", running.addresses[0])
        running.signal(signal.SIGTERM)
        code, errors = running.end()
    assert code == 0
    assert all(json.loads(line)["level"] == "info" for line in errors.splitlines())
    assert len(taken.stderr.splitlines()) == 1


def _log_on_a_terminal(*arguments: str, **environment: str) -> str:
    """The log of a server whose stderr is a terminal."""
    reading, writing = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "serve", *LOOPBACK, *arguments],
        stdout=subprocess.PIPE,
        stderr=writing,
        env={**os.environ, "TERM": "xterm", **environment},
    ) as process:
        os.close(writing)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == 0
            return os.read(reading, 65_536).decode()
        finally:
            process.kill()
            os.close(reading)


def test_a_terminal_gets_words_and_colours() -> None:
    """Colours unless NO_COLOR is set; JSON where it is asked for."""
    coloured = _log_on_a_terminal()
    assert "\x1b[" in coloured
    assert "drain ended" in coloured
    assert not coloured.startswith("{")
    plain = _log_on_a_terminal(NO_COLOR="1")
    assert "\x1b[" not in plain
    assert "drain ended" in plain
    assert json.loads(_log_on_a_terminal("--log-format", "json").splitlines()[0])["version"]


def test_colours_can_be_forced_and_words_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE_COLOR and --log-format console hold where stderr is a file, too."""
    for force in ("", "1"):
        monkeypatch.setenv("FORCE_COLOR", force)
        with server(*LOOPBACK, "--log-format", "console") as running:
            running.signal(signal.SIGTERM)
            code, log = running.end()
        assert code == 0
        assert "drain ended" in log
        assert ("\x1b[" in log) is bool(force)


def test_a_full_disk_stops_nothing() -> None:
    """A log that cannot be written is lost; the server serves and ends well."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with (
        Path("/dev/full").open("wb") as full,
        subprocess.Popen(
            [*COMMAND, "serve", *LOOPBACK], stdout=subprocess.PIPE, stderr=full
        ) as process,
    ):
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["listen"][0]
            with grpc.insecure_channel(address) as channel:
                stub: v1.SidecarServiceStub = v1.SidecarServiceStub(channel)
                assert stub.GetCapabilities(v1.GetCapabilitiesRequest(), timeout=TIMEOUT_S)
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()
