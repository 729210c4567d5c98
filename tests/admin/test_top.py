"""`ciosidecar top`: live in a terminal, one line of JSON elsewhere."""

import json
import os
import pty
import re
import signal
import subprocess
from typing import Any

import pytest
from ciosidecar import Client, StreamOptions

from tests.admin.observed import (
    CONFIG,
    HOSTILE,
    PERSON,
    deliver,
    event,
    observed,
    row,
    state,
    state_once,
)
from tests.processes import COMMAND, TIMEOUT_S, Server, run

COLOUR = re.compile(rb"\x1b\[[0-9;]*[1-9][0-9;]*m")


@pytest.mark.parametrize("flags", [(), ("--once",), ("--json",), ("--once", "--json")])
def test_elsewhere_than_in_a_terminal_it_is_one_line_of_json(flags: tuple[str, ...]) -> None:
    """The same members as /api/state, and no colours."""
    with observed("503=1") as running:
        deliver(running, [event()])
        done = run("top", "--admin", running.ready_line["admin"], *flags)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1
    (orders,) = json.loads(done.stdout)["destinations"]
    assert orders["destination_ref"] == "orders"
    assert orders["last_failure"]["http_status"] == 503


def in_terminal(
    running: Server, until: bytes, *flags: str, interrupt: bool, **environment: str
) -> tuple[int, bytes]:
    """Exit code of top in a terminal, and everything that it showed. Ctrl-C comes once `until` is shown."""
    leader, terminal = pty.openpty()
    command = [*COMMAND, "top", "--admin", running.ready_line["admin"], *flags]
    shown = {"TERM": "xterm", "COLUMNS": "160", "LINES": "50"}
    with (
        os.fdopen(leader, "rb", 0) as screen,
        subprocess.Popen(
            command, stdout=terminal, stderr=terminal, env=os.environ | shown | environment
        ) as process,
    ):
        os.close(terminal)
        try:
            seen = b""
            while until not in seen:
                seen += screen.read(4096)
            if interrupt:
                process.send_signal(signal.SIGINT)
            seen += _rest_of(screen)
            return process.wait(TIMEOUT_S), seen
        finally:
            process.kill()


def _rest_of(screen: Any) -> bytes:
    seen = b""
    try:
        while found := screen.read(4096):
            seen += found
    except OSError:  # how Linux says that nobody has the terminal open any more
        pass
    return seen


def test_in_a_terminal_it_is_live_until_ctrl_c() -> None:
    """Destinations with state and failures, in colours; exit code 0, and the terminal is left as it was."""
    with observed("503=1") as running:
        deliver(running, [event(number) for number in range(10)])
        code, seen = in_terminal(running, b"UPSTREAM_FAILED", "--interval", "0.2", interrupt=True)
    assert code == 0
    for word in (b"orders", b"down", b"Customer.io answered 503", b"waiting", b"in flight"):
        assert word in seen
    assert COLOUR.search(seen)
    assert b"\x1b[?1049h" in seen
    assert b"\x1b[?1049l" in seen
    assert b"Traceback" not in seen
    assert PERSON.encode() not in seen


def test_once_in_a_terminal_is_a_table() -> None:
    """It stays on the screen; NO_COLOR holds."""
    with observed() as running:
        deliver(running, [event()])
        code, seen = in_terminal(running, b"Streams", "--once", interrupt=False, NO_COLOR="1")
    assert code == 0
    assert b"orders" in seen
    assert b"\x1b[?1049h" not in seen
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]", seen)


def _narrow(running: Server) -> list[str]:
    """The lines of `top --once` in a terminal of 80 columns, without colours."""
    environment = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    code, seen = in_terminal(running, b"Streams", "--once", interrupt=False, **environment)
    assert code == 0
    text = re.sub(rb"\x1b\[[0-9;]*m", b"", seen).decode()
    return [line.rstrip() for line in text.splitlines()]


def test_at_80_columns_nothing_that_is_copied_is_broken() -> None:
    """The head, headers and peers are in one piece; the last failure has the width of the terminal."""
    with observed("503=1") as running, Client(running.addresses[0]) as client:
        deliver(running, [event()], ref="shop-of-the-north")
        with client.stream(CONFIG, StreamOptions(client_name="a-program", client_version="1.2")):
            (stream,) = state_once(running, lambda found: found["streams"])["streams"]
            lines = _narrow(running)
        failure = row(state(running), "shop-of-the-north")["last_failure"]["text"]
    assert max(map(len, lines)) <= 80
    assert re.search(r"streams?, loop late by [\d,]+ ms$", lines[1])
    assert [line for line in lines if line.startswith("destination  ")]
    assert [line for line in lines if line.startswith("shop-of-the-north ")]
    assert f"    last failed request: {failure}" in lines
    assert [line for line in lines if f" {stream['peer']} " in line]


def test_without_streams_that_is_said() -> None:
    """Nor destinations: no header stands alone."""
    with observed() as running:
        lines = _narrow(running)
    assert "no destinations" in lines
    assert "no streams" in lines


def test_what_is_left_out_is_counted() -> None:
    """Kinds of failures beyond the eighth."""
    with observed() as running:
        for number in range(11):
            deliver(running, [b"{"], ref=f"shop-{number}")
        lines = _narrow(running)
    assert sum("INVALID_JSON" in line for line in lines) == 8
    assert [line for line in lines if line.startswith("and 3 more")]


def test_hostile_names_do_not_drive_the_terminal() -> None:
    """Neither escape sequences nor rich's markup of a destination_ref or a client's name."""
    with observed() as running:
        deliver(running, [event()], ref=HOSTILE, client_name=HOSTILE)
        code, seen = in_terminal(running, b"Streams", "--once", interrupt=False)
    assert code == 0
    assert b"\x1b]0;" not in seen
    assert b"\x07" not in seen
    assert b"[red]" in seen


def test_a_sidecar_that_goes_away_is_said() -> None:
    """The last state stays, with a remark; top waits for the sidecar to come back."""
    with observed() as running:
        deliver(running, [event()])
        leader, terminal = pty.openpty()
        command = [*COMMAND, "top", "--admin", running.ready_line["admin"], "--interval", "0.1"]
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "160", "LINES": "50"}
        with (
            os.fdopen(leader, "rb", 0) as screen,
            subprocess.Popen(command, stdout=terminal, stderr=terminal, env=environment) as process,
        ):
            os.close(terminal)
            try:
                seen = b""
                while b"orders" not in seen:
                    seen += screen.read(4096)
                running.signal(signal.SIGKILL)
                while b"no answer from the admin port" not in seen:
                    seen += screen.read(4096)
                assert process.poll() is None
                process.send_signal(signal.SIGINT)
                _rest_of(screen)
                assert process.wait(TIMEOUT_S) == 0
            finally:
                process.kill()
