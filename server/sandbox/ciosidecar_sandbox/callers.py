"""Protection from web pages of other sites, which run in the browser of the sandbox's user."""

import ipaddress
import re

from .http import Answer, Scope, error

_MAX_KNOWN = 100
_HOST = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(?::[0-9]*)?")
_WRONG_HOST = error(
    421,
    "the Host header is neither an address nor a name of this sandbox: call it by its address, or"
    " start it with --allow-host NAME",
)
_OTHER_SITE = error(
    403, "a web page of another site sent this request; only the sandbox's own page may"
)


class Callers:
    """Filter of requests by their headers Host, Origin and Sec-Fetch-Site.

    Host shows a page whose own name resolves to this machine (DNS rebinding). Origin and
    Sec-Fetch-Site show every other page: browsers send them, and programs do not.
    """

    def __init__(self, listen_host: str, allow_host: tuple[str, ...]) -> None:
        """Create a filter.

        Args:
            listen_host: The host of --listen.
            allow_host: Further names to accept, beside localhost and IP addresses.
        """
        self._names = {name.lower() for name in ("localhost", listen_host, *allow_host)}
        self._known: set[bytes] = set()

    def refusal(self, scope: Scope) -> Answer | None:
        """Return the answer to a refused request; None if the request is accepted."""
        hosts, origin, site = [], None, b""
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
        if not all(host in self._known or self._goes_by(host) for host in hosts):
            return _WRONG_HOST
        if origin is not None and origin.lower().partition(b"://")[2] not in map(
            bytes.lower, hosts
        ):
            return _OTHER_SITE
        if site in (b"cross-site", b"same-site") and not _is_link(scope):
            return _OTHER_SITE
        return None

    def _goes_by(self, host: bytes) -> bool:
        match = _HOST.fullmatch(host.decode("latin-1").lower())
        if match is None:
            return False
        name = match[1].strip("[]")
        if name not in self._names and not _is_address(name):
            return False
        if len(self._known) < _MAX_KNOWN:
            self._known.add(host)
        return True


def _is_link(scope: Scope) -> bool:
    """Return True if the user follows a link: the other site sees no response, and nothing changes."""
    headers = dict(scope["headers"])
    return (
        scope["method"] in ("GET", "HEAD")
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest") == b"document"
    )


def _is_address(name: str) -> bool:
    """Return True for an IP address. Unlike a name, no site can make it resolve to this machine."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
