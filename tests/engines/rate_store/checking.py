"""`serve --check --json`, asked for what it says of the rate store."""

import json
import subprocess
from typing import Any

from tests.processes import run

_MOST_TIMES = 5


def checked(
    *arguments: str, env: dict[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[bytes], Any]:
    """Return the finished command, and its answer.

    On a busy machine, Redis may not answer within the fifth of a second that it has. Then it is asked again.
    """
    for _ in range(_MOST_TIMES):
        done = run(*arguments, "--check", "--json", env=env)
        answer = json.loads(done.stdout or b"{}")
        if (answer.get("rate_store") or {}).get("error") != "timeout":
            break
    return done, answer
