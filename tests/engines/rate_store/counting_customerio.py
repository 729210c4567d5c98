"""A Customer.io that remembers when each request came, and from which sidecar: `.venv/bin/python -m tests.engines.rate_store.counting_customerio`.

Whoever sends names itself in the person's id: `0-…`. GET /arrivals answers the times by name, GET /throttle/0/5 has the next
five requests of `0` answered 429, GET /forget forgets all times.
"""

import json
import time
from collections import Counter, defaultdict

import uvloop

from tests.bench.null_customerio import OK, NullConnection, NullCustomerio, serve

_THROTTLED = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"


class Arrivals(NullCustomerio):
    """What came, for all connections."""

    def __init__(self) -> None:
        super().__init__()
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self.to_throttle: Counter[str] = Counter()


class CountingConnection(NullConnection):
    """A connection whose requests are remembered."""

    def __init__(self, arrivals: Arrivals) -> None:
        super().__init__(arrivals)
        self._arrivals = arrivals

    def answer(self, head: bytes) -> None:
        """Remember a request and answer it."""
        path = head.split(b" ", 2)[1].decode()
        words = path.split("/")
        if path == "/arrivals":
            self._tell(self._arrivals.times)
        elif path == "/forget":
            self._arrivals.times.clear()
            self._tell({})
        elif words[1] == "throttle":
            self._arrivals.to_throttle[words[2]] = int(words[3])
            self._tell({})
        else:
            sender = words[4].partition("-")[0]
            self._arrivals.times[sender].append(time.monotonic())
            throttled = self._arrivals.to_throttle[sender] > 0
            self._arrivals.to_throttle[sender] -= throttled
            self.write(_THROTTLED if throttled else OK)

    def _tell(self, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


if __name__ == "__main__":
    everything = Arrivals()
    uvloop.run(serve(lambda: CountingConnection(everything)))
