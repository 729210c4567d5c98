"""URLs that replace Customer.io's."""

import re
from ipaddress import IPv6Address

from .outcome import EXIT_USAGE, Failed

_HOST_URL = re.compile(
    r"https?://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[(?P<ipv6>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?/?",
    re.ASCII | re.IGNORECASE,
)


def check_url(url: str | None, flag: str = "--customerio-url") -> None:
    """Check that a URL has a host and nothing else.

    Raises:
        Failed: It has more, or is no URL. The text does not contain it: it may have a password.
    """
    if url is not None and not _is_host_url(url):
        raise Failed(
            f"{flag} must be http://host:port or https://host:port and nothing else: no path, no"
            " query, no user, no blank; write a host with letters other than a to z in its xn-- form",
            EXIT_USAGE,
        )


def _is_host_url(url: str) -> bool:
    match = _HOST_URL.fullmatch(url)
    if match is None:
        return False
    if match["ipv6"]:
        try:
            IPv6Address(match["ipv6"])
        except ValueError:
            return False
    return match["port"] is None or 0 < int(match["port"]) < 65_536
