"""docs/operations.md and docs/troubleshooting.md: their commands run, and their lines are the product's."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.admin.observed import deliver, event, get
from tests.docs.pages import ROOT, Example, examples
from tests.processes import TIMEOUT_S, run, server
from tests.security.watching import wait_until

OPERATIONS = "docs/operations.md"
TROUBLESHOOTING = "docs/troubleshooting.md"
BEFORE = "before"
"""The destination_ref of the events that show that the tap is open."""
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "server/sidecar").rglob("*.py")
)


@pytest.mark.serial
def test_the_first_five_minutes(tmp_path: Path) -> None:
    """The commands of the page run as they stand there; each place names the cause that the page says."""
    start, watch, look = (example.code for example in examples(OPERATIONS, "sh"))
    serve = next(line for line in start.splitlines() if line.startswith("ciosidecar serve "))
    checked = run(*serve.split()[1:], "--check")
    assert (checked.returncode, checked.stderr) == (0, b"")
    assert "--api-key another-key &" in start
    with (
        running_sandbox(site_id="an-example-site-id", api_key="another-key") as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as running,
    ):
        watch, look = (
            text.replace("127.0.0.1:50550", running.addresses[0])
            .replace("127.0.0.1:50549", running.ready_line["admin"])
            .replace("> results.jsonl", f"> {tmp_path}/results.jsonl")
            for text in (f"exec {_last_line(watch)} > {tmp_path}/tapped.jsonl", look)
        )
        tapped_lines = tmp_path / "tapped.jsonl"
        with _bash(watch) as tap:
            try:
                # A tap sees what comes after it was opened, so it must see an event of another workspace first.
                while not (tapped_lines.exists() and tapped_lines.read_text()):
                    assert tap.poll() is None
                    deliver(running, [event()], ref=BEFORE)
                before = _refused_requests(get(running, "/metrics")[1].decode())
                looking = _bash(look)
                shown, errors = looking.communicate(timeout=TIMEOUT_S)
                wait_until(lambda: _of_the_page(tapped_lines) != [])
            finally:
                tap.kill()
        tapped = _of_the_page(tapped_lines)[0]
        running.process.terminate()
        _, log = running.end()
    assert looking.returncode == 0, errors
    assert (tapped["code"], tapped["http_status"]) == ("CREDENTIALS_REFUSED", 401)
    assert shown.startswith('{"ready": true}')
    assert '"state":"credentials_refused"' in shown.replace(" ", "")
    assert _refused_requests(shown) > before
    assert re.search(r"ciosidecar_workspaces\{.*\"none\".*credentials_refused\"\} 1", shown)
    assert "CREDENTIALS_REFUSED" in errors
    page = (ROOT / OPERATIONS).read_text(encoding="utf-8")
    lines = (json.loads(line) for line in log.splitlines() if "credentials refused" in line)
    (refused,) = (line for line in lines if line["destination_ref"] != BEFORE)
    assert f"`{refused['message']}`" in page


def _last_line(code: str) -> str:
    return code.splitlines()[-1]


def _refused_requests(metrics: str) -> float:
    """Return how many requests metrics count, of every kind, that Customer.io answered with 401."""
    line = r"ciosidecar_requests_total\{.*http_status=\"401\".*\} ([0-9.]+)"
    return sum(map(float, re.findall(line, metrics)))


def _of_the_page(tapped: Path) -> list[dict[str, Any]]:
    """Return the whole lines that a tap wrote about the page's own events."""
    *whole, _ = tapped.read_text(encoding="utf-8").split("\n")
    return [line for line in map(json.loads, whole) if line["destination_ref"] != BEFORE]


@pytest.mark.serial
def test_the_commands_of_the_readme() -> None:
    """Those that need no sidecar beside them run as they stand there, each with the exit code that the README says."""
    blocks = [example.code for example in examples("README.md", "sh")]
    transform, deliver, check = (
        next(block for block in blocks if f"ciosidecar {command} " in block)
        for command in ("transform", "deliver", "check")
    )
    sandbox_started, deliver, killed = deliver.splitlines()
    assert sandbox_started.endswith("sandbox --listen 127.0.0.1:8089 &")
    assert killed.startswith("kill %1")
    with running_sandbox() as sandbox:
        deliver = deliver.replace("http://127.0.0.1:8089", sandbox.url)
        for command, code, words in ((transform, 0, '"url"'), (deliver, 1, ""), (check, 0, "")):
            script = command.replace(".venv/bin/ciosidecar", "ciosidecar")
            with _bash(script) as process:
                shown, errors = process.communicate(timeout=TIMEOUT_S)
            assert process.returncode == code, errors
            assert words in shown


def _bash(script: str) -> "subprocess.Popen[str]":
    """Start commands in the root of the clone, with the tests' own Python first."""
    return subprocess.Popen(
        ["bash", "-c", f"set -eu\n{script}"],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("example", examples(TROUBLESHOOTING, "json"), ids=lambda each: each.line)
def test_the_lines_of_the_page_are_the_servers(example: Example) -> None:
    """Each quoted line is JSON, and its message stands in the code; the certificate's has a date in it."""
    for line in example.code.splitlines():
        message = json.loads(line)["message"].partition(" server.pem")[0]
        assert message.removesuffix(" --tls-cert") in SOURCES or message.split(":")[0] in SOURCES
