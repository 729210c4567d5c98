"""Prepared requests: whatever a caller sends, a request leaves for a call of the Track API only.

An input is written as an HTTP message: a line with method, URL and endpoint path, a line for each header, an empty
line, the body.
"""

import posixpath
from urllib.parse import unquote, urlsplit

import httpx
from ciosidecar_server.delivery.endpoints import TrackApiEndpoints
from ciosidecar_server.delivery.idempotence import is_idempotent
from ciosidecar_server.delivery.prepared_requests import items_of, prepared_request
from ciosidecar_transform import EventRejected
from ciosidecar_transform.ordering import request_keys
from yarl import URL

_ENDPOINTS = TrackApiEndpoints()
_HOSTS = ("track.customer.io", "track-eu.customer.io")


def try_prepared(data: bytes) -> None:
    """Accept or reject a prepared request, and look at all that would leave."""
    method, url, endpoint_path, headers, body = _read(data)
    try:
        request = prepared_request(method, url, endpoint_path, headers, body, _ENDPOINTS)
    except EventRejected:
        return
    template = request.template
    assert template.method in ("PUT", "POST", "DELETE")
    sent_url = _ENDPOINTS.real(template.base_url) + request.path
    _check_url(sent_url)
    assert request.path in (_path_of(url), _path_of(url).removesuffix("?"))
    for name, text in template.headers.items():
        assert name in ("Authorization", "Content-Type")
        assert all(" " <= letter <= "~" for letter in text), text
    if urlsplit(sent_url).path != "/api/v1/metrics":
        assert "Authorization" in template.headers
    assert request.body == body
    items = items_of(request)
    assert items is None or items >= 0
    assert all(type(key) is str for key in request_keys(request))
    is_idempotent(request)


def _read(data: bytes) -> tuple[str, str, str, dict[str, str], bytes]:
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("utf-8", "replace").split("\n")
    method, _, rest = first.partition(" ")
    url, _, endpoint_path = rest.partition(" ")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    return method, url, endpoint_path, headers, body


def _path_of(url: str) -> str:
    """Return what follows the host."""
    after_scheme = url.partition("://")[2]
    return after_scheme[after_scheme.index("/") :]


def _check_url(sent_url: str) -> None:
    """The URL leads to a call of the Track API for every reader: this one, urllib and the HTTP client."""
    assert all("!" <= letter <= "~" for letter in sent_url), sent_url
    parts = urlsplit(sent_url)
    assert (parts.scheme, parts.netloc) in [("https", host) for host in _HOSTS]
    path = parts.path
    while (decoded := unquote(path)) != path:
        assert posixpath.normpath(path).startswith(("/api/v1", "/api/v2")), sent_url
        path = decoded
    assert posixpath.normpath(path).startswith(("/api/v1", "/api/v2")), sent_url
    target = sent_url.removeprefix(f"https://{parts.netloc}")
    # aiohttp and httpx send what these say.
    assert URL(sent_url, encoded=True).raw_path_qs == target
    assert httpx.URL(sent_url).raw_path == target.encode()
