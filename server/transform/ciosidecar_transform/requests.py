"""HTTP requests to Customer.io, and the endpoints of its Track API. Rules 11.2, 12.3."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from .outcomes import ErrorCode, EventRejected, Warning

BASE_URLS = {"US": "https://track.customer.io", "EU": "https://track-eu.customer.io"}
BATCH_PATH = "/api/v2/batch"
MAX_ITEM_BYTES = 32_768
MAX_ITEMS = 1000
# Customer.io documents no limit in bytes for a segment's request; the limit of a batch works there.
MAX_BATCH_BYTES = 500_000


class RequestTemplate(Struct, frozen=True, eq=False, gc=False):
    """The part that all requests of a destination to an endpoint share. Compared by identity."""

    method: str
    base_url: str
    """Scheme and host, for example https://track.customer.io."""
    endpoint_path: str
    """The path without identifiers, by which routers throttle: v1/customers, …"""
    headers: dict[str, str]
    """All headers. Authorization is among them: a secret."""

    def __repr__(self) -> str:
        """Return the template without its headers, so that a traceback shows no secret."""
        return (
            f"{type(self).__name__}(method={self.method!r}, endpoint_path={self.endpoint_path!r})"
        )


class BatchTemplate(RequestTemplate, frozen=True, eq=False, gc=False):
    """A template for an endpoint whose requests carry the items of many operations."""

    opening: bytes
    """The start of the body. The items follow, separated by commas, then `]}`."""
    max_items: int
    """The number of items that a request may have."""
    max_bytes: int
    """The number of bytes that a request's body may have."""


class Request(Struct, frozen=True, gc=False):
    """An HTTP request: method, host and headers from the template, and its own path and body."""

    template: RequestTemplate
    path: str
    """The percent-encoded path with its query, from the first slash."""
    body: bytes
    """The bytes to send; b"" for none."""


class SharedItem(Struct, frozen=True, gc=False):
    """An operation's part of a request. Items of the same template and path may share a request."""

    template: BatchTemplate
    path: str
    """The percent-encoded path with its query, from the first slash."""
    body: bytes
    """The item alone, as JSON: an operation of a batch, an id of a segment."""


class Endpoints(Struct, frozen=True, eq=False):
    """The endpoints of the Track API that operations use, for one destination."""

    identify: RequestTemplate
    delete_person: RequestTemplate
    event: RequestTemplate
    anonymous_event: RequestTemplate
    merge: RequestTemplate
    add_device: RequestTemplate
    delete_device: RequestTemplate
    suppress: RequestTemplate
    unsuppress: RequestTemplate
    metrics: RequestTemplate
    segment: BatchTemplate
    batch: BatchTemplate


Writers = Mapping[type, Callable[[Any, Endpoints, list[Warning]], Request | SharedItem]]
"""The writers of one version of the Track API, by the type of operation.

A writer adds a warning for each part that it leaves out. It raises EventRejected for an operation that
it cannot write.
"""


def endpoints(base_url: str, site_id: str, api_key: str) -> Endpoints:
    """Return all endpoints of a workspace. They are the same for every event of a destination."""
    authorization = "Basic " + b64encode(f"{site_id}:{api_key}".encode()).decode()
    without_body = {"Authorization": authorization}
    with_body = {"Authorization": authorization, "Content-Type": "application/json"}

    def template(
        method: str, endpoint_path: str, headers: dict[str, str] = with_body
    ) -> RequestTemplate:
        return RequestTemplate(method, base_url, endpoint_path, headers)

    def batch_template(endpoint_path: str, opening: bytes) -> BatchTemplate:
        return BatchTemplate(
            "POST", base_url, endpoint_path, with_body, opening, MAX_ITEMS, MAX_BATCH_BYTES
        )

    return Endpoints(
        identify=template("PUT", "v1/customers"),
        delete_person=template("DELETE", "v1/customers", without_body),
        event=template("POST", "v1/customers/events"),
        anonymous_event=template("POST", "v1/events"),
        merge=template("POST", "v1/merge_customers"),
        add_device=template("PUT", "v1/customers/devices"),
        delete_device=template("DELETE", "v1/customers/devices/delete", without_body),
        suppress=template("POST", "v1/customers/suppress", without_body),
        unsuppress=template("POST", "v1/customers/unsuppress", without_body),
        # Customer.io takes no credentials here, so none are sent.
        metrics=template("POST", "v1/metrics", {"Content-Type": "application/json"}),
        segment=batch_template("v1/segments", b'{"ids":['),
        batch=batch_template("v2/batch", b'{"batch":['),
    )


def batch_item(endpoints: Endpoints, body: bytes, subject: str) -> SharedItem:
    """Return an item of a request to /api/v2/batch. Rule 10.2.

    Args:
        endpoints: The endpoints of the destination.
        body: The item as JSON.
        subject: The noun for the item in an error.

    Raises:
        EventRejected: TOO_LARGE.
    """
    if len(body) > MAX_ITEM_BYTES:
        raise EventRejected(
            ErrorCode.TOO_LARGE,
            f"the {subject} becomes more than {MAX_ITEM_BYTES} bytes (rule 10.2)",
        )
    return SharedItem(endpoints.batch, BATCH_PATH, body)
