"""An HTTP request to Customer.io, and the endpoints there are. SPEC 11.2, 12.3."""

from base64 import b64encode

from msgspec import Struct

BASE_URLS = {"US": "https://track.customer.io", "EU": "https://track-eu.customer.io"}


class RequestTemplate(Struct, frozen=True, eq=False, gc=False):
    """What all requests of one destination to one endpoint have in common. Compared by identity."""

    method: str
    base_url: str
    """Scheme and host: https://track.customer.io"""
    endpoint_path: str
    """The call without identifiers, by which routers key their throttles: v1/customers, …"""
    headers: dict[str, str]
    """Complete, Authorization included: a secret."""


class Request(Struct, frozen=True, gc=False):
    """One HTTP call: method, host and headers from the template, path and body its own."""

    template: RequestTemplate
    path: str
    """Percent-encoded, from the first slash."""
    body: bytes
    """The bytes to send; b"" for none."""


class BatchItem(Struct, frozen=True, gc=False):
    """One operation as JSON, to share a request to /api/v2/batch with others."""

    body: bytes


class Endpoints(Struct, frozen=True, eq=False):
    """The calls of the Track API that operations use, for one destination."""

    identify: RequestTemplate
    event: RequestTemplate
    anonymous_event: RequestTemplate
    merge: RequestTemplate
    add_device: RequestTemplate
    delete_device: RequestTemplate
    batch: RequestTemplate


def endpoints(base_url: str, site_id: str, api_key: str) -> Endpoints:
    """All endpoints of one workspace. Computed once a destination: nothing in it varies by event."""
    authorization = "Basic " + b64encode(f"{site_id}:{api_key}".encode()).decode()
    without_body = {"Authorization": authorization}
    with_body = {"Authorization": authorization, "Content-Type": "application/json"}

    def template(method: str, endpoint_path: str) -> RequestTemplate:
        headers = without_body if method == "DELETE" else with_body
        return RequestTemplate(method, base_url, endpoint_path, headers)

    return Endpoints(
        identify=template("PUT", "v1/customers"),
        event=template("POST", "v1/customers/events"),
        anonymous_event=template("POST", "v1/events"),
        merge=template("POST", "v1/merge_customers"),
        add_device=template("PUT", "v1/customers/devices"),
        delete_device=template("DELETE", "v1/customers/devices/delete"),
        batch=template("POST", "v2/batch"),
    )
