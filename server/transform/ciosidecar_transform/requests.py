"""An HTTP request to Customer.io, and the endpoints there are. SPEC 11.2, 12.3."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from .outcomes import ErrorCode, EventRejected, Warning

BASE_URLS = {"US": "https://track.customer.io", "EU": "https://track-eu.customer.io"}
BATCH_PATH = "/api/v2/batch"
MAX_ITEM_BYTES = 32_768
MAX_ITEMS = 1000
# Of a call for segments Customer.io names no limit in bytes: that of a batch is known to work.
MAX_BATCH_BYTES = 500_000


class RequestTemplate(Struct, frozen=True, eq=False, gc=False):
    """What all requests of one destination to one endpoint have in common. Compared by identity."""

    method: str
    base_url: str
    """Scheme and host: https://track.customer.io"""
    endpoint_path: str
    """The call without identifiers, by which routers key their throttles: v1/customers, …"""
    headers: dict[str, str]
    """Complete, Authorization included: a secret."""


class BatchTemplate(RequestTemplate, frozen=True, eq=False, gc=False):
    """The same for an endpoint of which one request carries the items of many operations."""

    opening: bytes
    """What the body begins with. Then come the items, with commas between them, and `]}`."""
    max_items: int
    """Of one request."""
    max_bytes: int
    """Of one request's body."""


class Request(Struct, frozen=True, gc=False):
    """One HTTP call: method, host and headers from the template, path and body its own."""

    template: RequestTemplate
    path: str
    """Percent-encoded, from the first slash."""
    body: bytes
    """The bytes to send; b"" for none."""


class BatchItem(Struct, frozen=True, gc=False):
    """One operation's part of a request. Items of the same template and path may share one."""

    template: BatchTemplate
    path: str
    """Percent-encoded, from the first slash, with the query."""
    body: bytes
    """The item alone, as JSON: an operation of a batch, an id of a segment."""


class Endpoints(Struct, frozen=True, eq=False):
    """The calls of the Track API that operations use, for one destination."""

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


Writers = Mapping[type, Callable[[Any, Endpoints, list[Warning]], Request | BatchItem]]
"""A dialect of the Track API: how each kind of operation is written in it.

A writer adds to the warnings what it leaves out, and raises EventRejected for what cannot be written.
"""


def endpoints(base_url: str, site_id: str, api_key: str) -> Endpoints:
    """All endpoints of one workspace. Computed once a destination: nothing in it varies by event."""
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
        # The one call that takes no credentials, and so gets none.
        metrics=template("POST", "v1/metrics", {"Content-Type": "application/json"}),
        segment=batch_template("v1/segments", b'{"ids":['),
        batch=batch_template("v2/batch", b'{"batch":['),
    )


def batch_item(endpoints: Endpoints, body: bytes, what: str) -> BatchItem:
    """An item of a call to /api/v2/batch. Raises EventRejected(TOO_LARGE). SPEC 10.2.

    what: what the item is of, for the text of the refusal.
    """
    if len(body) > MAX_ITEM_BYTES:
        raise EventRejected(
            ErrorCode.TOO_LARGE, f"the {what} becomes more than {MAX_ITEM_BYTES} bytes (10.2)"
        )
    return BatchItem(endpoints.batch, BATCH_PATH, body)
