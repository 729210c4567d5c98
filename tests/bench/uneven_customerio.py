"""A Customer.io that treats workspaces differently: some are refused, some wait.

    python -m tests.bench.uneven_customerio

The site id says how: `refused-…` is answered 401, `slow-…` after two seconds, all others at once.
"""

import base64
import re

import uvloop

from .null_customerio import OK, NullConnection, NullCustomerio, serve

SLOW_S = 2.0
_REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"
_BASIC = re.compile(rb"\r\nauthorization: basic (\S+)", re.IGNORECASE)


class UnevenConnection(NullConnection):
    """Looks at who asks."""

    def answer(self, head: bytes) -> None:
        """Answers as the site id says."""
        found = _BASIC.search(head)
        site = base64.b64decode(found[1]) if found else b""
        if site.startswith(b"refused-"):
            self.write(_REFUSED)
        else:
            self.write(OK, SLOW_S if site.startswith(b"slow-") else 0)


if __name__ == "__main__":
    everyone = NullCustomerio()
    uvloop.run(serve(lambda: UnevenConnection(everyone)))
