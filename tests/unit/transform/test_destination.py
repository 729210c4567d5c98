"""What the user configured, checked once. Rules 11.1, 11.2."""

import json
from base64 import b64encode
from typing import Any

import pytest
from ciosidecar_transform import SettingProblem, read_destination
from ciosidecar_transform.settings.destination import unusable

from tests.unit.transform.support import identify, of_type, request_of, track

GOOD = {"siteID": "site", "apiKey": "key"}


def problems(**config: Any) -> list[SettingProblem]:
    """What makes a destination with these settings unusable; null takes a setting away."""
    usable, listed = read_destination(json.dumps(GOOD | config).encode())
    fatal = [problem for problem in listed if problem.fatal]
    assert (usable is None) == bool(fatal)
    return fatal


def keys(**config: Any) -> list[str]:
    """The keys that make a destination unusable."""
    return [problem.key for problem in problems(**config)]


def host(**config: Any) -> str:
    """The host that a destination with these settings talks to."""
    return str(request_of(identify(), **config)["url"].split("/")[2])


@pytest.mark.parametrize(
    "config",
    [
        GOOD,
        {"siteId": "site", "apiKey": "key"},
        {"siteID": None, "siteId": "site", "apiKey": "key"},
        GOOD | {"siteId": 5},
        GOOD | {"eventFilteringOption": "x", "unknown": {"a": [1]}, "sendPageNameInSDK": True},
        GOOD | dict.fromkeys(["apiVersion", "identifyFallback", "createdAtFallback", "eventIds"]),
        GOOD | dict.fromkeys(["datacenter", "region", "datacenterEU", "deviceTokenEventName"]),
        GOOD | {"datacenter": "", "region": "", "deviceTokenEventName": "", "datacenterEU": ""},
        GOOD | {"apiVersion": "v1", "identifyFallback": "anonymousId"},
        GOOD | {"createdAtFallback": "timestamp", "eventIds": "ulid"},
    ],
    ids=[
        "usual",
        "older-name",
        "null-is-not-given",
        "first-name-wins",
        "unknown-keys",
        "null-options",
        "null-places",
        "blank-places",
        "defaults-1",
        "defaults-2",
    ],
)
def test_11_1_usable_settings(config: dict[str, Any]) -> None:
    """Site id and key are enough; null is not given; unknown keys are ignored."""
    usable, listed = read_destination(json.dumps(config).encode())
    assert usable is not None
    assert listed == []


BAD_TEXTS = [
    5,
    True,
    [],
    {},
    ["site"],
    "",
    " ",
    "\t\u3000",
    "{{ a b || c }}",
    "x{{a||b}}{{ }}",
    "env.KEY",
]


@pytest.mark.parametrize("value", BAD_TEXTS, ids=ascii)
def test_11_1_credentials_are_texts_that_are_resolved(value: object) -> None:
    """A blank, half a template, an env. reference or another type makes it unusable."""
    assert keys(siteID=value) == ["siteID"]
    assert keys(apiKey=value) == ["apiKey"]
    assert keys(siteID=value, apiKey=value) == ["siteID", "apiKey"]


def test_11_1_credentials_are_required() -> None:
    """Without one of them the key that is missing is named."""
    assert keys(siteID=None) == ["siteID"]
    assert keys(apiKey=None) == ["apiKey"]
    assert keys(siteID=None, siteId=7) == ["siteId"]
    assert keys(siteID="", siteId="site") == ["siteID"]


@pytest.mark.parametrize(
    ("config", "region"),
    [
        ({}, "track"),
        ({"datacenter": "US"}, "track"),
        ({"datacenter": "us"}, "track"),
        ({"datacenter": "EU"}, "track-eu"),
        ({"datacenter": "eU"}, "track-eu"),
        ({"region": "eu"}, "track-eu"),
        ({"datacenter": "US", "region": "EU"}, "track"),
        ({"datacenter": "", "region": "EU"}, "track-eu"),
        ({"datacenter": None, "region": "EU"}, "track-eu"),
        ({"datacenterEU": True}, "track-eu"),
        ({"datacenterEU": False}, "track"),
        ({"datacenterEU": "true"}, "track"),
        ({"datacenterEU": 1}, "track"),
        ({"datacenterEU": True, "datacenter": "EU"}, "track-eu"),
        ({"datacenterEU": True, "datacenter": ""}, "track-eu"),
        ({"datacenterEU": False, "datacenter": "EU"}, "track-eu"),
    ],
    ids=str,
)
def test_11_2_the_region_chooses_the_host(config: dict[str, Any], region: str) -> None:
    """track.customer.io for the US, the default; track-eu.customer.io for the EU."""
    assert host(**config) == f"{region}.customer.io"


@pytest.mark.parametrize(
    "value", ["AP", "EU ", "Europe", "{{ r s || EU }}", 1, True, [], {}], ids=repr
)
@pytest.mark.parametrize("key", ["datacenter", "region"])
def test_11_1_an_unknown_region_is_refused(key: str, value: object) -> None:
    """A region is US or EU; nobody's data goes to the wrong one by a typo."""
    assert keys(**{key: value}) == [key]


def test_11_1_a_contradictory_region_is_refused() -> None:
    """datacenterEU true beside US is a contradiction."""
    assert keys(datacenter="US", datacenterEU=True) in (["datacenter"], ["datacenterEU"])
    assert keys(region="us", datacenterEU=True) in (["region"], ["datacenterEU"])


@pytest.mark.parametrize(
    "key",
    [
        "apiVersion",
        "identifyFallback",
        "createdAtFallback",
        "eventIds",
        "deviceTokenEventName",
        "semanticEvents",
        "groupRelationships",
        "phoneAsIdentifier",
        "updateOnly",
        "convertDates",
        "emptyStrings",
        "reservedProperties",
    ],
)
@pytest.mark.parametrize("value", [5, [], {}, "{{ a || }}", "a{{ b || c || d }}d"], ids=repr)
def test_11_1_a_setting_of_another_type_or_half_a_template_is_refused(
    key: str, value: object
) -> None:
    """A wrong value of a setting names its key."""
    assert keys(**{key: value}) == [key]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("apiVersion", "V1"),
        ("apiVersion", "v3"),
        ("apiVersion", ""),
        ("identifyFallback", "Email"),
        ("identifyFallback", "userId"),
        ("createdAtFallback", "NONE"),
        ("createdAtFallback", "now"),
        ("eventIds", "ULID"),
        ("eventIds", "uuid"),
        ("datacenterEU", "{{ a b || true }}"),
        ("semanticEvents", "true"),
        ("updateOnly", "false"),
        ("convertDates", "yes"),
        ("phoneAsIdentifier", ""),
        ("groupRelationships", "Full"),
        ("emptyStrings", "null"),
        ("reservedProperties", "rename"),
    ],
)
def test_11_1_a_wrong_value_is_refused(key: str, value: str) -> None:
    """Our own values are case-sensitive, and nothing else will do."""
    assert keys(**{key: value}) == [key]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"5",
        b'"x"',
        b"{",
        b'{"siteID":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 10_000,
    ],
    ids=ascii,
)
def test_11_1_settings_are_a_json_object(raw: bytes) -> None:
    """Anything but one JSON object in UTF-8 is no destination, and no fault."""
    usable, listed = read_destination(raw)
    assert usable is None
    assert [problem.fatal for problem in listed] == [True]


def test_11_1_every_problem_is_named_and_no_value() -> None:
    """The texts name keys and never quote what stands under them."""
    secret = "s3cr3t-{{ x y }}"
    listed = problems(
        siteID=secret,
        apiKey=[secret],
        datacenter=secret,
        deviceTokenEventName=secret,
        identifyFallback=secret,
        createdAtFallback=secret,
        eventIds=secret,
        apiVersion=secret,
    )
    assert len({problem.key for problem in listed}) == 8
    assert not [problem for problem in listed if "s3cr3t" in problem.text]


def test_11_1_an_unusable_destination_refuses_with_its_key() -> None:
    """INVALID_DESTINATION is the destination's matter, for good, and says which key."""
    error = unusable(problems(apiKey=" s3cr3t {{a b}}")).error()
    assert (error.code, error.type, error.status) == ("INVALID_DESTINATION", "CONFIGURATION", 400)
    assert not error.retryable
    assert "apiKey" in error.text
    assert "s3cr3t" not in error.text


@pytest.mark.parametrize(
    ("site_id", "api_key"), [("site", "key"), ("é", "日😀"), (" s ", "k:k"), ("environment", "{x}")]
)
def test_11_2_requests_are_authorised(site_id: str, api_key: str) -> None:
    """Basic base64 of the UTF-8 of `siteID:apiKey`, as they are; JSON where there is a body."""
    encoded = b64encode(f"{site_id}:{api_key}".encode()).decode()
    request = request_of(track(), siteID=site_id, apiKey=api_key)
    assert request["headers"] == {
        "Authorization": f"Basic {encoded}",
        "Content-Type": "application/json",
    }


def test_11_2_a_delete_has_no_content_type() -> None:
    """Where there is no body there is none to describe."""
    context = {"device": {"token": "t"}}
    request = request_of(
        of_type("track", userId="u", event="Application Uninstalled", context=context)
    )
    assert list(request["headers"]) == ["Authorization"]
