"""The log lines at warning or above that a soak may cause, each with its reason. Every other one is a fault."""

import json

EXPECTED = {
    "the event loop is slow": "the machine's cores are shared with the callers, and with other programs",
    "the caller does not read its results: the stream stands still": (
        "a caller waits for the processor, or holds a full stream before it cancels"
    ),
    "workspace throttled: Customer.io answered 429, the rate is lower": "the sandbox injects 429",
    "workspace paused: Customer.io asks to wait (Retry-After)": "the sandbox injects Retry-After",
    "further changes of workspaces": "sums up such lines: each workspace is throttled now and then",
    "events failed": "callers send events that are no JSON, and declare destinations that lack keys",
}


def unexplained(log: str) -> list[str]:
    """Return the lines of a log at warning or above that nothing in the soak explains."""
    return [line for line in log.splitlines() if not _explained(line)]


def _explained(line: str) -> bool:
    try:
        fields = json.loads(line)
    except ValueError:
        return False
    return fields.get("level") not in ("warning", "error", "critical") or (
        fields["level"] == "warning" and fields.get("message") in EXPECTED
    )
