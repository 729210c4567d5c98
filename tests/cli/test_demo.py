"""`make demo`, as far as it is ours: the script that it runs."""

import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def test_the_demo_shows_every_event_and_ends_well() -> None:
    """A hundred events, each in the table; what is reported delivered is in the sandbox; exit code 0."""
    done = subprocess.run(
        [sys.executable, DEMO],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "100 events, one result each: 85 were delivered" in said
    assert "2 were filtered, 13 were rejected by the sidecar" in said
    assert "has each of the 85 once: " in said
    assert "0 refused: the sidecar had rejected those events before" in said
    assert "dropped: answered with 200, and without any effect" in said
    assert "delete_device: the person has no such device" in said


def test_the_demo_fits_a_terminal_of_80_columns() -> None:
    """Each event begins a line, and no line is wider or broken within a request."""
    done = subprocess.run(
        [sys.executable, DEMO], capture_output=True, text=True, timeout=60, check=False
    )
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if re.match(r"\d+ +[\w-]+ ", line)]
    assert [int(line.split()[0]) for line in rows[:100]] == list(range(1, 101))
    assert all(re.search(r" (delivered|filtered|rejected) ", line) for line in rows[:100])
    assert not [line for line in lines if line.lstrip().startswith("/v")]


def test_the_demo_can_be_kept_while_the_port_of_its_page_is_taken() -> None:
    """KEEP=1 beside another sandbox: the page has another port, and the demo says so."""
    with ExitStack() as stack:
        with suppress(OSError):  # if another program has the port, it is taken too
            stack.enter_context(socket.create_server(("127.0.0.1", 8089)))
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, DEMO],
                env=os.environ | {"KEEP": "1", "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        timer = threading.Timer(60, process.kill)
        stack.callback(timer.cancel)
        timer.start()
        assert process.stdout is not None
        page = next((line for line in process.stdout if "until Ctrl-C" in line), "")
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert page.startswith("The page is on http://127.0.0.1:")
    assert ":8089" not in page
    assert "127.0.0.1:8089 is taken" in errors
