"""A Customer.io that treats workspaces differently: each in the kind of trouble that its site id names.

    python -m tests.bench.uneven_customerio

`refused-…` is answered 401, `throttled-…` 429, `throttledfor-…` the same with Retry-After, `failing-…` 503, `unreadable-…` a
207 of HTML, `slow-…` after two seconds, `hanging-…` never, all others at once.
"""

import base64
import re

import uvloop

from .null_customerio import OK, NullConnection, NullCustomerio, serve

SLOW_S = 2.0
_ANSWERS = {
    b"refused": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}",
    b"throttled": b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}",
    b"throttledfor": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 2\r\n\r\n{}",
    b"failing": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}",
    b"unreadable": b"HTTP/1.1 207 Multi-Status\r\nContent-Length: 6\r\n\r\n<html>",
}
_BASIC = re.compile(rb"\r\nauthorization: basic (\S+)", re.IGNORECASE)


class UnevenConnection(NullConnection):
    """Looks at who asks."""

    def answer(self, head: bytes) -> None:
        """Answers as the site id says."""
        found = _BASIC.search(head)
        site = base64.b64decode(found[1]) if found else b""
        kind = site.partition(b"-")[0]
        if kind != b"hanging":
            self.write(_ANSWERS.get(kind, OK), SLOW_S if kind == b"slow" else 0)


if __name__ == "__main__":
    everyone = NullCustomerio()
    uvloop.run(serve(lambda: UnevenConnection(everyone)))
