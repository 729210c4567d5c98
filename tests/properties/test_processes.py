"""5.6: another process, whose hashes of texts differ, gives the same bytes for the same events."""

import os
import subprocess
import sys

# The order of a set of texts differs between processes, unless PYTHONHASHSEED is the same.
_PROGRAM = """
import hashlib
from tests.fuzz.corpus import inputs
from tests.fuzz.targets.events import CONFIGS, CONNECTIONS, EVENTS
from tests.properties.transformed import batched, destination_of, wire
digest = hashlib.sha256()
events = [path.read_bytes()[2:] for path in inputs("event")] + [*EVENTS]
for config in CONFIGS:
    destination = destination_of(config.replace(b"%b", b'"siteID":"site","apiKey":"key"'))
    for connection in CONNECTIONS:
        outcomes, requests = batched(events, [destination], connection)
        digest.update(repr(outcomes).encode("utf-8", "surrogatepass"))
        for request, positions in requests:
            digest.update(repr((wire(request), positions)).encode())
print(digest.hexdigest())
"""


def test_5_6_another_process_gives_the_same_bytes() -> None:
    """The corpus of the fuzzer, for each config and connection, under three seeds of hashes."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64
