"""The log of several processes on one stderr."""

import json
import signal
from typing import Any

from ciosidecar import Client

from tests.workers.group import group

CONFIG = {"siteID": "site", "apiKey": "key"}
STREAMS = 100


def test_every_line_is_whole_and_says_whose_it_is() -> None:
    """A hundred streams on each of two workers: their lines have the worker's number, the parent's have none."""
    with group(2) as running:
        for address in running.addresses:
            with Client(address) as client:
                for _ in range(STREAMS):
                    with client.stream(CONFIG) as stream:
                        list(stream.map([{"type": "track", "userId": "u", "event": "Step"}]))
        running.signal(signal.SIGTERM)
        code, errors = running.end()
    assert code == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in errors.splitlines()]
    for number in (1, 2):
        opened = [line for line in lines if line.get("worker") == number]
        assert sum("stream opened" in line["message"] for line in opened) == STREAMS
    assert [line["message"] for line in lines if "worker" not in line] == ["all workers are ready"]
