"""Requests that were transformed earlier: which of them may be sent, and how many items they have."""

from collections.abc import Mapping
from typing import Any

from ciosidecar_transform.outcomes import ErrorCode, EventRejected
from ciosidecar_transform.requests import BATCH_PATH, Request, RequestTemplate
from msgspec import DecodeError
from msgspec.json import decode

from .endpoints import TrackApiEndpoints, sendable_headers, split_url

# The transform makes these requests without credentials, too.
_PATH_WITHOUT_CREDENTIALS = "/api/v1/metrics"
_METHODS = ("PUT", "POST", "DELETE")


def prepared_request(
    method: str,
    url: str,
    endpoint_path: str,
    headers: Mapping[str, str],
    body: bytes,
    endpoints: TrackApiEndpoints,
) -> Request:
    """Return a prepared request with only the headers that may be sent.

    Raises:
        EventRejected: the request is not a call of the Track API (INVALID_ITEM).
    """
    parts = split_url(url)
    sent_headers = sendable_headers(headers)
    if method not in _METHODS:
        problem = "method must be PUT, POST or DELETE"
    elif parts is None or not endpoints.knows(parts[0]):
        problem = "url must be one of Customer.io's Track API, with https"
    elif sent_headers is None:
        problem = "Authorization and Content-Type must be printable ASCII"
    elif "Authorization" not in sent_headers and parts[1] != _PATH_WITHOUT_CREDENTIALS:
        problem = "headers must have Authorization"
    else:
        template = RequestTemplate(method, parts[0], endpoint_path, sent_headers)
        return Request(template, parts[1], body)
    raise EventRejected(ErrorCode.INVALID_ITEM, f"prepared.{problem} (12.1)")


def items_of(request: Request) -> int | None:
    """Return how many items a prepared request to /api/v2/batch has; None if it is another request."""
    if request.path.partition("?")[0] != BATCH_PATH:
        return None
    try:
        body: Any = decode(request.body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    batch = body.get("batch") if isinstance(body, dict) else None
    return len(batch) if isinstance(batch, list) else None
