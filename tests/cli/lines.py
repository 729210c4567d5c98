"""What tests of `ciosidecar deliver` put in, and where they look for it."""

import json
import subprocess
from typing import Any

from ciosidecar_sandbox.testing import Running

from tests.processes import run

CONFIG: dict[str, Any] = {"siteID": "site", "apiKey": "key"}


def track(number: int, user: str = "u1", **further: Any) -> dict[str, Any]:
    """Return a line: an event of its own id and name."""
    event = {"type": "track", "userId": user, "event": f"E{number}", "messageId": f"m{number}"}
    return {"event": event | further, "config": CONFIG}


def lines_of(*found: object) -> bytes:
    """Return objects as JSON lines."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in found)


def deliver(
    url: str, stdin: bytes, *arguments: str
) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[bytes]]:
    """Deliver lines to a URL. Return the lines that come out, and how the command ended."""
    done = run("deliver", "--customerio-url", url, *arguments, stdin=stdin)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()], done


def names(sandbox: Running) -> list[str]:
    """Return the names of the events a sandbox holds, in the order in which they came."""
    return [event.name for event in sandbox.workspace.events.kept]
