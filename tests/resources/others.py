"""Another caller, in a process of its own: `.venv/bin/python -m tests.resources.others ADDRESS` calls until its stdin ends.

It prints the seconds that each call took, as JSON. In the process of a test its waits would be those of the
test's own work.
"""

import json
import sys
import threading
import time
from typing import Any

import grpc
from ciosidecar import v1

from tests.conftest import batch, destination

TRACK = b'{"type":"track","userId":"u1","event":"Order"}'
_EVERY_S = 0.02
_TIMEOUT_S = 120


def main() -> None:
    """Call a server fifty times a second at most; a line says that the first call is over."""
    ended = threading.Event()
    waits_s: list[float] = []
    request = v1.TransformRequest(destinations=[destination()], batch=batch(TRACK))

    def until_stdin_ends() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=until_stdin_ends, daemon=True).start()
    with grpc.insecure_channel(sys.argv[1]) as channel:
        stub: Any = v1.SidecarServiceStub(channel)
        stub.Transform(request, timeout=_TIMEOUT_S)
        print("ready", flush=True)
        while not ended.is_set() or not waits_s:
            begun_at = time.perf_counter()
            response = stub.Transform(request, timeout=_TIMEOUT_S)
            waits_s.append(time.perf_counter() - begun_at)
            assert list(response.results.statuses) == [200]
            ended.wait(_EVERY_S)
    print(json.dumps(waits_s))


if __name__ == "__main__":
    main()
