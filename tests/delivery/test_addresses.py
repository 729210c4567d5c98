"""Where requests may go, and what of a prepared request is sent at all."""

import json

import pytest
from ciosidecar_server.delivery.endpoints import TrackApiEndpoints, sendable_headers, split_url
from ciosidecar_server.delivery.prepared_requests import items_of, prepared_request
from ciosidecar_transform.ordering import request_keys
from ciosidecar_transform.outcomes import ErrorCode, EventRejected

US = "https://track.customer.io"
EU = "https://track-eu.customer.io"
TWO_ITEMS = b"""{"batch": [
    {"type": "person", "identifiers": {"id": 7}},
    {
        "type": "object",
        "identifiers": {"object_type_id": "1", "object_id": "acme"},
        "cio_relationships": [{"identifiers": {"email": "a@b.example"}}]
    },
    null,
    1
]}"""
HEADERS = {"Authorization": "Basic x", "Content-Type": "application/json"}


def prepared(url: str, method: str = "PUT", headers: dict[str, str] | None = None) -> str:
    """Where a prepared request goes."""
    found = prepared_request(method, url, "", headers or HEADERS, b"{}", TrackApiEndpoints())
    return found.template.base_url + found.path


def refusal(url: str, method: str = "PUT", headers: dict[str, str] | None = None) -> str:
    """Why a prepared request is refused."""
    with pytest.raises(EventRejected) as found:
        prepared(url, method, headers)
    assert found.value.code is ErrorCode.INVALID_ITEM
    return found.value.text


@pytest.mark.parametrize(
    "url",
    [
        f"{US}/api/v1/customers/u1",
        f"{EU}/api/v1/customers/u1/events",
        f"{US}/api/v2/batch",
        f"{US}/api/v1/customers/a%2Fb%20%3F",
        f"{US}/api/v1/customers/a%2Fb%2Fevents",
        f"{US}/api/v1/customers/100%25",
        f"{US}/api/v1/customers/100%2525%252Fday",
        f"{US}/api/v1/customers/a%5Cb",
        f"{US}/api/v1/customers/a..b%2F...%2F..c",
        f"{US}/api/v1/customers/a%3Bb",
        f"{US}/api/v1/customers/%FF",
        f"{US}/api/v1/segments/1/add_customers?id_type=email",
        f"{US}/api/v1/segments/1/add_customers?id_type=../..",
    ],
)
def test_a_call_of_the_track_api_is_sent_byte_for_byte(url: str) -> None:
    """Path, query and escapes as they were given out."""
    assert prepared(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://TRACK.customer.io/api/v1/customers/u1",
        "HTTPS://track.customer.io:443/api/v1/customers/u1",
        f"{US}/api/v1/customers/u1?",
    ],
)
def test_an_address_has_several_spellings(url: str) -> None:
    """Case and the usual port make no other host, and an empty query is none."""
    assert prepared(url) == f"{US}/api/v1/customers/u1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/api/v1/customers/u1",
        "http://track.customer.io/api/v1/customers/u1",
        "ftp://track.customer.io/api/v1/customers/u1",
        "https://api.customer.io/api/v1/customers/u1",
        "https://track.customer.io.evil.example/api/v1/customers/u1",
        "https://evil.example/api/v1/customers/u1",
        "https://127.0.0.1/api/v1/customers/u1",
        "https://track.customer.io:8443/api/v1/customers/u1",
        "https://track.customer.io:0/api/v1/customers/u1",
        "https://track.customer.io:99999/api/v1/customers/u1",
        "https://user:password@track.customer.io/api/v1/customers/u1",
        "https://@track.customer.io/api/v1/customers/u1",
        "https://track.customer.io@evil.example/api/v1/customers/u1",
        "https://evil.example\\@track.customer.io/api/v1/customers/u1",
        "https://evil.example#@track.customer.io/api/v1/customers/u1",
        "https://[::1/api/v1/customers/u1",
        f"{US}",
        f"{US}/",
        f"{US}/api/v1",
        f"{US}/api/v3/customers/u1",
        f"{US}/sandbox/reset",
        f"{US}/api/v1/../../sandbox/reset",
        f"{US}/api/v1/./customers/u1",
        f"{US}/api/v1/%2e%2e/%2E%2E/sandbox/reset",
        f"{US}/api/v1/.%2e/x",
        f"{US}/api/v1/customers/..%2f..%2fetc",
        f"{US}/api/v1/customers/..%2F",
        f"{US}/api/v1/customers/a%2F..%2Fb",
        f"{US}/api/v1/customers/a%2F.%2Fb",
        f"{US}/api/v1/customers/%252e%252e",
        f"{US}/api/v1/customers/%25252e%25252E%25252fx",
        f"{US}/api/v1/customers/..%252f..%252fx",
        f"{US}/api/v1/customers/..;/x",
        f"{US}/api/v1/customers/..;a=b/x",
        f"{US}/api/v1/customers/..%3b%2fx",
        f"{US}/api/v1/customers/..%5c..%5cx",
        f"{US}/api/v1/customers/a%255C..",
        f"{US}/api/v1/customers/..%3Fx",
        f"{US}/api/v1/customers/..%23x",
        f"{US}/api/v1/customers/..%00",
        f"{US}/api/v1/customers/..%20/x",
        f"{US}/api/v1/customers/%{'25' * 200}2e",
        f"{US}/api/v1\\..\\x",
        f"{US}//api/v1/customers/u1",
        f"{US}/api/v1/customers/u1#fragment",
        f"{US}/api/v1/customers/u 1",
        f"{US}/api/v1/customers/u1\r\nHost: evil.example",
        f"{US}/api/v1/customers/u1\t",
        f"{US}/api/v1/customers/u\x7f",
        f"{US}/api/v1/customers/ü",
        *(f"{US}/api/v1/customers/a{letter}b" for letter in '"<>^`{|}[]'),
        f'{US}/api/v1/segments/1/add_customers?id_type="id"',
        f"{US}/api/v1/customers/100%",
        f"{US}/api/v1/customers/%zz",
        "https://track。customer.io/api/v1/customers/u1",
        "https://tr\u0430ck.customer.io/api/v1/customers/u1",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    """Other hosts, ports, schemes, users, paths, dot segments in any spelling, what splits a line."""
    assert refusal(url) == "prepared.url must be one of Customer.io's Track API, with https (12.1)"


@pytest.mark.parametrize(
    "method", ["", "GET", "PATCH", "put", "PUT ", "CONNECT", "POST / HTTP/1.1\r\n"]
)
def test_any_other_method_is_refused(method: str) -> None:
    """PUT, POST and DELETE are all there is."""
    assert (
        refusal(f"{US}/api/v2/batch", method)
        == "prepared.method must be PUT, POST or DELETE (12.1)"
    )


@pytest.mark.parametrize(
    "text", ["Basic x\r\nX-Evil: 1", "Basic\nx", "Basic x\0", "Basic \x7f", "Basic é", "\tBasic"]
)
@pytest.mark.parametrize("name", ["Authorization", "authorization", "Content-Type"])
def test_a_header_that_could_split_is_refused(name: str, text: str) -> None:
    """Only printable ASCII passes."""
    told = refusal(f"{US}/api/v2/batch", headers=HEADERS | {name: text})
    assert told == "prepared.Authorization and Content-Type must be printable ASCII (12.1)"


def test_other_headers_stay_here() -> None:
    """Host, lengths, encodings, proxies' headers: none of them is the caller's to set."""
    found = sendable_headers(
        {
            "authorization": "Basic x",
            "CONTENT-TYPE": "application/json",
            "Host": "evil.example",
            "Content-Length": "0",
            "Transfer-Encoding": "chunked",
            "Connection": "close",
            "X-Forwarded-For": "evil\r\n",
        }
    )
    assert found == {"Authorization": "Basic x", "Content-Type": "application/json"}


def test_a_request_without_credentials_is_refused() -> None:
    """It would pause everyone else's that has none; only the report of metrics is sent without."""
    plain = {"Content-Type": "application/json"}
    told = "prepared.headers must have Authorization (12.1)"
    assert refusal(f"{US}/api/v2/batch", "POST", plain) == told
    assert prepared(f"{US}/api/v1/metrics", "POST", plain) == f"{US}/api/v1/metrics"


def test_the_servers_own_address_takes_the_vendors_place() -> None:
    """Started with an address, the server calls that, and prepared requests may name either."""
    endpoints = TrackApiEndpoints("http://127.0.0.1:8089/")
    assert endpoints.real(US) == endpoints.real(EU) == "http://127.0.0.1:8089"
    assert endpoints.knows("http://127.0.0.1:8089")
    both = TrackApiEndpoints("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert (both.real(US), both.real(EU)) == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert both.redirected("http://127.0.0.1:2/api/v2/batch") == "http://127.0.0.1:2"
    assert both.redirected("http://127.0.0.1:3/api/v2/batch") is None


def test_a_url_splits_where_its_path_begins() -> None:
    """The path comes back as it is, query included."""
    assert split_url(f"{US}/api/v1/customers/a%20b?x=1") == (US, "/api/v1/customers/a%20b?x=1")
    assert split_url(f"{US}/api/v9/customers") is None
    assert split_url("http://[::1]:80/api/v2/entity") == ("http://[::1]", "/api/v2/entity")
    assert TrackApiEndpoints("http://[::1]:8089").real(US) == "http://[::1]:8089"


def item(action: str, identifiers: dict[str, str], attributes: dict[str, object]) -> bytes:
    """A v2 batch of one item about a person."""
    told = {"identifiers": identifiers, "attributes": attributes}
    return json.dumps({"batch": [{"type": "person", "action": action, **told}]}).encode()


@pytest.mark.parametrize(
    ("path", "body", "keys"),
    [
        ("/api/v1/customers/u1", b"{}", {"u1"}),
        ("/api/v1/customers/A%40b.example/events", b"{}", {"a@b.example"}),
        ("/api/v1/customers/cio_abc", b"{}", {"cio_abc"}),
        (
            "/api/v1/segments/7/add_customers?id_type=email",
            b'{"ids": ["A@b.example"]}',
            {"a@b.example"},
        ),
        ("/api/v1/segments/7/add_customers?id_type=cio_id", b'{"ids": ["abc"]}', {"cio_abc"}),
        ("/api/v1/segments/7/remove_customers", b'{"ids": ["5", 6]}', {"5", "6"}),
        (
            "/api/v2/batch",
            item("identify", {"cio_id": "abc"}, {"id": 5, "email": "A@b.example"}),
            {"cio_abc", "5", "a@b.example"},
        ),
        (
            "/api/v2/batch",
            item("event", {"id": "u1"}, {"id": "product", "email": "other@b.example"}),
            {"u1"},
        ),
        (
            "/api/v1/customers/u1",
            b'{"cio_relationships": {"relationships": [{"identifiers": {"object_id": 7}}]}}',
            {"u1", "object\n1\n7"},
        ),
        (
            "/api/v1/customers/u1?x=1",
            b'{"email": "A@b.example", "anonymous_id": "a1"}',
            {"u1", "a@b.example", "a1"},
        ),
        ("/api/v1/events", b'{"name": "1", "anonymous_id": "a1"}', {"a1"}),
        (
            "/api/v1/merge_customers",
            b'{"primary": {"id": "u1"}, "secondary": {"email": "A@b.example"}}',
            {"u1", "a@b.example"},
        ),
        (
            "/api/v2/batch",
            TWO_ITEMS,
            {"7", "object\n1\nacme", "a@b.example"},
        ),
        ("/api/v2/batch", b"not JSON", set()),
        ("/api/v2/batch", b'{"batch": 1}', set()),
        ("/api/v2/batch", b"[" * 100_000, set()),
        ("/api/v1/customers", b"", set()),
    ],
)
def test_a_prepared_request_says_whom_it_concerns(path: str, body: bytes, keys: set[str]) -> None:
    """By its path and its body, as the events' own keys are written; what cannot be read says nobody."""
    request = prepared_request("POST", US + path, "", HEADERS, body, TrackApiEndpoints())
    assert request_keys(request) == keys


@pytest.mark.parametrize("query", ["", "?x=1"])
def test_the_items_of_a_batch_are_counted_whatever_its_query_is(query: str) -> None:
    """Customer.io names refused items by their index: they are looked up among so many."""
    url = f"{US}/api/v2/batch{query}"
    body = b'{"batch":[{},{}]}'
    request = prepared_request("POST", url, "", HEADERS, body, TrackApiEndpoints())
    assert items_of(request) == 2
