"""What tests of `ciosidecar backfill` put in, and what they find in the output."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.cli.lines import CONFIG
from tests.processes import COMMAND, TIMEOUT_S

NOW = "1790000000"
# Three processes that import gRPC may be slow to start beside other tests.
RUN_WITHIN_S = 4 * TIMEOUT_S


def event(number: int, user: str, **further: Any) -> dict[str, Any]:
    """Return a track with an id and a time, so that its request is the same whenever it is made."""
    members = {
        "type": "track",
        "messageId": f"message-{number:020}",
        "userId": user,
        "event": f"E{number}",
        "originalTimestamp": "2026-01-02T03:04:05Z",
    }
    return members | further


def mixed_events(count: int, people: int = 40) -> list[dict[str, Any]]:
    """Return events of people who are known by several identifiers, with all that links these."""
    events = []
    for number in range(count):
        user = f"u{number * 7 % people}"
        kind = number % 10
        if kind == 0:
            events.append(event(number, user, type="identify", anonymousId=f"anonymous-{user}"))
        elif kind == 1:
            anonymous = event(number, user, anonymousId=f"anonymous-{user}")
            del anonymous["userId"]
            events.append(anonymous)
        elif kind == 2 and number % 3 == 0:
            events.append(event(number, user, type="alias", previousId=f"old-{user}"))
        elif kind == 3:
            events.append(event(number, f"old-{user}"))
        elif kind == 4 and number % 3 == 0:
            events.append(event(number, user, type="group", groupId=f"g{number % 30}"))
        elif kind == 5:
            email = {"email": f"{user}@example.com"}
            events.append(event(number, user, type="identify", traits=email))
        else:
            events.append(event(number, user))
    return events


def write_lines(path: Path, *lines: object) -> Path:
    """Write objects as JSON lines, and bytes as they are."""
    path.write_bytes(
        b"".join(
            line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines
        )
    )
    return path


def config_file(folder: Path, **further: Any) -> Path:
    """Write a destination's settings to a file, and return its path."""
    path = folder / "config.json"
    path.write_text(json.dumps(CONFIG | further))
    return path


def command(*arguments: str | Path) -> list[str]:
    """Return the words of a backfill."""
    return [*COMMAND, "backfill", *map(str, arguments), "--now", NOW]


def backfill(
    *arguments: str | Path, json_summary: bool = True
) -> "subprocess.CompletedProcess[bytes]":
    """Run a backfill from start to end."""
    words = command(*arguments, *(["--json"] if json_summary else []))
    done = subprocess.run(words, capture_output=True, timeout=RUN_WITHIN_S, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


def said(done: "subprocess.CompletedProcess[bytes]") -> str:
    """Return stderr in one line: sentences break at the width of a terminal."""
    return " ".join(done.stderr.decode().split())


def content(output: Path, pattern: str = "requests-*.jsonl") -> dict[str, bytes]:
    """Return the files of an output by name."""
    return {path.name: path.read_bytes() for path in sorted(output.glob(pattern))}


def rows(output: Path, pattern: str = "requests-*.jsonl") -> list[dict[str, Any]]:
    """Return the lines of the files of an output."""
    files = content(output, pattern).values()
    return [json.loads(line) for file in files for line in file.splitlines()]
