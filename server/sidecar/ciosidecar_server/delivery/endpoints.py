"""Where requests may go: Customer.io's two hosts, or what the server was started with instead."""

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from ciosidecar_transform.requests import BASE_URLS

_SLASHES = re.compile(r"[/\\]")
_PARAMETERS = re.compile("[;?#\\0]")
# No id is escaped more often; each round costs as much as the path is long.
_MAX_DECODINGS = 8
_API_PATHS = ("/api/v1/", "/api/v2/")
# RFC 3986. HTTP clients escape other characters, each in its own way, so that another path would be sent.
_PATH_AND_QUERY = re.compile(r"(?:[A-Za-z0-9._~:@!$&'()*+,;=/?-]|%[0-9A-Fa-f]{2})*")


class TrackApiEndpoints:
    """The base URLs that requests name, and the base URLs that are called for them."""

    def __init__(self, us_url: str | None = None, eu_url: str | None = None) -> None:
        """Begin with Customer.io's base URLs (rule 11.2). us_url, eu_url: called instead of these."""
        self._real = {
            BASE_URLS["US"]: _base(us_url or BASE_URLS["US"]),
            BASE_URLS["EU"]: _base(eu_url or us_url or BASE_URLS["EU"]),
        }
        self._known = {_base(real): _base(real) for real in self._real.values()} | self._real

    def knows(self, base_url: str) -> bool:
        """Return whether requests may go to a base URL."""
        return base_url in self._known

    def real(self, base_url: str) -> str:
        """Return the base URL to call for the one that a request names. Raises KeyError if it is not known."""
        return self._known[base_url]

    def redirected(self, location: str | None) -> str | None:
        """Return the base URL a redirect leads to, or None if it leads elsewhere. location: the header."""
        if location is None:
            return None
        return self._known.get(_base(location))


def _base(url: str) -> str:
    """Return scheme, host and port, in lower case and without a slash at the end; "" if the text is not a URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.username is not None or parts.password is not None or not parts.hostname:
        return ""
    usual_port = {"https": 443, "http": 80}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual_port) else f":{port}")


def split_url(url: str) -> tuple[str, str] | None:
    """Return the base URL and the path of a Track API call, or None if the URL is not such a call.

    The path is returned byte for byte, without the question mark of an empty query: HTTP clients leave that out. A path
    that leaves /api/v1/ or /api/v2/ when it is decoded, however often, is not such a call; an id with an escaped slash
    or percent sign is allowed.
    """
    base = _base(url)
    if not base or any(not "!" <= letter <= "~" for letter in url):
        return None
    scheme, _, rest = url.partition("://")
    path_and_query = rest[rest.find("/") :] if "/" in rest else ""
    path, _, query = path_and_query.partition("?")
    if (
        not path.startswith(_API_PATHS)
        or "#" in url
        or "\\" in url
        or not _PATH_AND_QUERY.fullmatch(path_and_query)
        or _climbs(path)
        or scheme.lower() not in ("http", "https")
    ):
        return None
    return base, path_and_query if query else path


def _climbs(path: str) -> bool:
    """Return whether a path has dot segments, as it is or decoded once or more.

    Servers differ in what ends a segment: a backslash may, and so may a character that begins parameters.
    """
    for _ in range(_MAX_DECODINGS):
        segments = _SLASHES.split(path)
        if any(_PARAMETERS.split(segment)[0].strip() in (".", "..") for segment in segments):
            return True
        decoded = unquote(path)
        if decoded == path:
            return False
        path = decoded
    return True


def sendable_headers(headers: Mapping[str, str]) -> dict[str, str] | None:
    """Return the headers of a prepared request that are sent, or None if a header cannot be sent.

    Authorization and Content-Type are sent; the other headers are the transport's.
    """
    sent = {}
    for name, text in headers.items():
        if name.lower() in ("authorization", "content-type"):
            if not (text.isascii() and text.isprintable()):
                return None
            sent[name.title()] = text
    return sent
