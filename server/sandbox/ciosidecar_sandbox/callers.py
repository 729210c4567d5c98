"""Who may call: programs, and the sandbox's own page. Pages of other sites in somebody's browser may not."""

import ipaddress
import re

from .http import Answer, Scope, error

_MAX_KNOWN = 100
_HOST = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(?::[0-9]*)?")
_WRONG_HOST = error(
    421,
    "the Host header is no address and no name that this sandbox goes by: call it by its address, or"
    " start it with --allow-host NAME",
)
_OTHER_SITE = error(403, "a page of another site sent this: only the sandbox's own page may")


class Callers:
    """Tells which requests are answered, by Host, Origin and Sec-Fetch-Site.

    A page whose own name leads to this machine (DNS rebinding) is told by its Host. Any other page is
    told by what browsers say of it, and by nothing else: programs say none of that.
    """

    def __init__(self, listen_host: str, allow_host: tuple[str, ...]) -> None:
        """allow_host: names beside localhost, addresses and the host that is listened on."""
        self._names = {name.lower() for name in ("localhost", listen_host, *allow_host)}
        self._known: set[bytes] = set()

    def refusal(self, scope: Scope) -> Answer | None:
        """Return the answer to a request that is refused; None if it is not."""
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
        found = _HOST.fullmatch(host.decode("latin-1").lower())
        if found is None:
            return False
        name = found[1].strip("[]")
        if name not in self._names and not _is_address(name):
            return False
        if len(self._known) < _MAX_KNOWN:
            self._known.add(host)
        return True


def _is_link(scope: Scope) -> bool:
    """Whether somebody follows a link: the other site learns nothing, and nothing changes."""
    told = dict(scope["headers"])
    return (
        scope["method"] in ("GET", "HEAD")
        and told.get(b"sec-fetch-mode") == b"navigate"
        and told.get(b"sec-fetch-dest") == b"document"
    )


def _is_address(name: str) -> bool:
    """An address leads to itself: no site can make it lead to this machine."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
