"""Customer.io's own Python client makes every Track call it has, and finds what it expects."""

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from ciosidecar_sandbox.testing import running_sandbox
from customerio import (  # type: ignore[import-untyped]
    CustomerIO,
    CustomerIOException,
)

from tests.processor import waited_s
from tests.sandbox.support import Track

pytestmark = pytest.mark.serial

SITE_ID, API_KEY = "site", "key"


class Vendor:
    """The client, and a sandbox over TLS: it knows no other way."""

    def __init__(self, client: Any, track: Track) -> None:
        self.client = client
        self.track = track


def _tls(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A certificate authority's file, and settings with a certificate of its."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    cert, key, ca = (folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
    certificate.private_key_pem.write_to_path(key)
    cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    authority.cert_pem.write_to_path(ca)
    return ca, {"tls_cert": cert, "tls_key": key}


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    ca, settings = _tls(tmp_path_factory.mktemp("tls"))
    settings |= {"site_id": SITE_ID, "api_key": API_KEY}
    with running_sandbox(**settings) as running:
        track = Track(running)
        track.http.close()
        track.http = _http(running.url, ca)
        port = int(running.url.rpartition(":")[2])
        with CustomerIO(SITE_ID, API_KEY, host="localhost", port=port, retries=0) as client:
            client.http.verify = str(ca)
            client.http.trust_env = False
            yield Vendor(client, track)
        track.http.close()


def test_it_stops_at_once_though_a_client_over_tls_stays(tmp_path: Path) -> None:
    """It does not wait for a goodbye that never comes."""
    ca, settings = _tls(tmp_path)
    with running_sandbox(**settings) as running:
        http = _http(running.url, ca)
        assert http.get("/sandbox/counters").status_code == 200
        started = time.monotonic() - waited_s()
    assert time.monotonic() - waited_s() - started < 2
    http.close()


def _http(url: str, ca: Path) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(ca))
    port = url.rpartition(":")[2]
    return httpx.Client(base_url=f"https://localhost:{port}", verify=context)


@pytest.fixture
def vendor(vendors: Vendor) -> Vendor:
    vendors.track.http.post("/sandbox/reset").raise_for_status()
    return vendors


def test_identify(vendor: Vendor) -> None:
    """Attributes, dates as Unix seconds, NaN as null."""
    signed_up = datetime(2024, 1, 2, tzinfo=UTC)
    vendor.client.identify(id=5, email="jane@example.com", created_at=signed_up, n=float("nan"))
    person = vendor.track.person(id="5")
    assert person["email"] == "jane@example.com"
    assert person["attributes"] == {"created_at": int(signed_up.timestamp())}


def test_identifiers_of_any_characters(vendor: Vendor) -> None:
    """As the client encodes them."""
    for who in ("a/b", "a b", "a%2Fb", "日本", "a?b#c", "a+b@example.com"):
        vendor.client.identify(id=who, plan="pro")
        assert vendor.track.person(any=who)["attributes"] == {"plan": "pro"}


def test_track_with_and_without_id_and_time(vendor: Vendor) -> None:
    """The same id twice is one event."""
    ulid = "01HK421N5033S3AST0AB7P7010"
    for _ in range(2):
        vendor.client.track("u1", "Order", {"total": 9}, id=ulid, timestamp=1_700_000_000)
    vendor.client.track(customer_id="u1", name="Other")
    first, second = vendor.track.person(id="u1")["events"][::-1]
    assert (first["name"], first["data"], first["id"]) == ("Order", {"total": 9}, ulid)
    assert (first["timestamp"], second["name"]) == (1_700_000_000, "Other")


def test_anonymous_events(vendor: Vendor) -> None:
    """They join on identify; an invite event has no anonymous id."""
    vendor.client.track_anonymous("a1", "Visit", {"page": "/"})
    vendor.client.track_anonymous(None, "Invite", {"recipient": "jane@example.com"})
    vendor.client.identify(id="u1", anonymous_id="a1")
    assert vendor.track.event_names(id="u1") == ["Visit"]
    assert len(vendor.track.get("/sandbox/events")["events"]) == 2


def test_pageview_and_backfill(vendor: Vendor) -> None:
    """A page has its type, a backfilled event its time."""
    vendor.client.pageview("u1", "/pricing", referrer="/")
    vendor.client.backfill("u1", "Old", 1_500_000_000, total=1)
    old, page = vendor.track.person(id="u1")["events"]
    assert (page["type"], page["name"], page["data"]) == ("page", "/pricing", {"referrer": "/"})
    assert (old["timestamp"], old["data"]) == (1_500_000_000, {"total": 1})


def test_devices(vendor: Vendor) -> None:
    """Attributes given to the client stand beside `attributes`, and are ignored."""
    attributes = {"push_enabled": "true"}
    vendor.client.add_device("u1", "tok/1", "ios", last_used=1_700_000_000, attributes=attributes)
    (device,) = vendor.track.person(id="u1")["devices"]
    assert (device["token"], device["attributes"]) == ("tok/1", attributes)
    vendor.client.delete_device("u1", "tok/1")
    assert vendor.track.person(id="u1")["devices"] == []
    with pytest.raises(CustomerIOException, match="platform must be ios or android"):
        vendor.client.add_device("u1", "tok", "windows")


def test_delete_suppress_and_unsuppress(vendor: Vendor) -> None:
    """As the client sends them: with a body of {}."""
    vendor.client.identify(id="u1")
    vendor.client.delete("u1")
    assert vendor.track.find(id="u1") is None
    vendor.client.suppress("u1")
    vendor.client.identify(id="u1")
    assert vendor.track.find(id="u1") is None
    vendor.client.unsuppress("u1")
    vendor.client.identify(id="u1")
    assert vendor.track.find(id="u1") is not None


def test_merge(vendor: Vendor) -> None:
    """Every pair of kinds."""
    for kind in ("id", "email", "cio_id"):
        vendor.client.identify(id="p", plan="pro")
        vendor.client.identify(id="s", email="s@example.com", city="Berlin")
        second = vendor.track.person(id="s")
        vendor.client.merge_customers("id", "p", kind, second[kind])
        assert vendor.track.attributes(id="p") == {"plan": "pro", "city": "Berlin"}
        assert vendor.track.find(id="s") is None
        vendor.client.delete("p")


def test_batch(vendor: Vendor) -> None:
    """A 207 passes for success, with its errors in the answer."""
    good = {"type": "person", "action": "identify", "identifiers": {"id": "u1"}}
    assert vendor.client.batch([good]).json() == {}
    answer = vendor.client.batch([good, {"type": "person"}])
    assert answer.status_code == 207
    assert answer.json()["errors"][0]["batch_index"] == 1


def test_refusals_and_wrong_keys_are_exceptions(vendor: Vendor) -> None:
    """With the sandbox's text."""
    with pytest.raises(CustomerIOException, match="cannot be longer than 1000 bytes"):
        vendor.client.identify(id="u1", plan="x" * 1001)
    port = vendor.client.port
    with CustomerIO(SITE_ID, "wrong", host="localhost", port=port, retries=0) as stranger:
        stranger.http.trust_env = False
        stranger.http.verify = vendor.client.http.verify
        with pytest.raises(CustomerIOException, match="401"):
            stranger.identify(id="u1")
