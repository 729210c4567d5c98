"""Requests that were transformed earlier: what may be sent, and what it concerns."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from msgspec import DecodeError
from msgspec.json import decode

from ..transform.identity import comparable
from ..transform.request import BATCH_PATH, Request, RequestTemplate
from ..transform.result import ErrorCode, Refused
from .hosts import Hosts, sendable_headers, split_url

# Its template carries none, either.
_PATH_WITHOUT_CREDENTIALS = "/api/v1/metrics"
_METHODS = ("PUT", "POST", "DELETE")
_PERSON_MEMBERS = ("id", "email", "cio_id", "anonymous_id", "phone")


def prepared_request(
    method: str,
    url: str,
    endpoint_path: str,
    headers: Mapping[str, str],
    body: bytes,
    hosts: Hosts,
) -> Request:
    """The request as it is. Raises Refused(INVALID_ITEM) for what is no call of the Track API."""
    parts = split_url(url)
    sent_headers = sendable_headers(headers)
    if method not in _METHODS:
        problem = "method must be PUT, POST or DELETE"
    elif parts is None or not hosts.knows(parts[0]):
        problem = "url must be one of Customer.io's Track API, with https"
    elif sent_headers is None:
        problem = "Authorization and Content-Type must be printable ASCII"
    elif "Authorization" not in sent_headers and parts[1] != _PATH_WITHOUT_CREDENTIALS:
        problem = "headers must have Authorization"
    else:
        template = RequestTemplate(method, parts[0], endpoint_path, sent_headers)
        return Request(template, parts[1], body)
    raise Refused(ErrorCode.INVALID_ITEM, f"prepared.{problem} (12.1)")


def prepared_keys(request: Request) -> set[str]:
    """Whom a prepared request concerns, as far as its path and body say."""
    keys = set()
    segments = request.path.partition("?")[0].split("/")
    if segments[2:4] == ["v1", "customers"] and len(segments) > 4:
        keys.add(comparable(unquote(segments[4])))
    try:
        body: Any = decode(request.body) if request.body else None
    except (DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    if isinstance(body, dict):
        _add_people(keys, body)
        batch = body.get("batch")
        for item in batch if isinstance(batch, list) else ():
            if isinstance(item, dict):
                _add_people(keys, item)
    return keys


def items_of(request: Request) -> int | None:
    """How many items a prepared request to /api/v2/batch has; None if it is no such request."""
    if request.path != BATCH_PATH:
        return None
    try:
        body: Any = decode(request.body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    batch = body.get("batch") if isinstance(body, dict) else None
    return len(batch) if isinstance(batch, list) else None


def _add_people(keys: set[str], told: dict[str, Any]) -> None:
    relationships = told.get("cio_relationships")
    for place in (
        told,
        told.get("identifiers"),
        told.get("primary"),
        told.get("secondary"),
        *(relationships if isinstance(relationships, list) else ()),
    ):
        if not isinstance(place, dict):
            continue
        if "object_id" in place:
            keys.add(f"object\n{place.get('object_type_id')}\n{place['object_id']}")
        nested = place.get("identifiers")
        for people in (place, nested if isinstance(nested, dict) else {}):
            for member in _PERSON_MEMBERS:
                if isinstance(people.get(member), str | int):
                    keys.add(comparable(str(people[member])))
