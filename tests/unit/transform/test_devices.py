"""Devices: tokens that come and go. Rule 6."""

from typing import Any

import pytest

from tests.unit.transform.support import TIME, TIME_S, body_of, of_type, refusal_of, request_of

IOS = {"device": {"token": "t", "type": "ios"}}


def opened(context: object = IOS, **members: object) -> dict[str, Any]:
    """A device event of user u, unless said otherwise."""
    return of_type(
        "track", **({"event": "Application Opened", "userId": "u", "context": context} | members)
    )


@pytest.mark.parametrize("name", ["Application Installed", "Application Opened"])
def test_6_1_a_device_event_registers_the_token(name: str) -> None:
    """PUT /api/v1/customers/{id}/devices for a known person with token and platform."""
    request = request_of(opened(event=name, messageId="m"))
    assert (request["method"], request["path"]) == ("PUT", "/api/v1/customers/u/devices")
    assert request["body"] == {"device": {"id": "t", "platform": "ios"}}


def test_6_1_a_person_known_by_email_will_do() -> None:
    """A known person is one by user id or by email."""
    path = request_of(opened(userId=None, traits={"email": "a@b.co"}))["path"]
    assert path == "/api/v1/customers/a%40b.co/devices"


@pytest.mark.parametrize(
    "name",
    [
        "application opened",
        "Application Opened ",
        "Application  Opened",
        "Application Updated",
        "Mine",
    ],
)
def test_6_1_another_name_is_an_ordinary_event(name: str) -> None:
    """The names are taken exactly as they are written."""
    warnings = ["WHITE_SPACE_REMOVED"] if name != name.strip() else []
    assert request_of(opened(event=name), *warnings)["path"] == "/api/v1/customers/u/events"


def test_6_1_the_configured_event_registers_the_token_too() -> None:
    """deviceTokenEventName adds a name; it replaces none and is no less exact."""
    config = {"deviceTokenEventName": "Push Granted"}
    for name, last in (
        ("Push Granted", "devices"),
        ("Application Opened", "devices"),
        ("push granted", "events"),
    ):
        assert request_of(opened(event=name), **config)["path"].endswith(last)
    assert refusal_of(opened(event=""), deviceTokenEventName="") == "MISSING_EVENT_NAME"


def test_6_1_uninstalled_wins_over_the_configured_name() -> None:
    """Application Uninstalled deletes, whatever deviceTokenEventName says."""
    event = opened(event="Application Uninstalled")
    request = request_of(event, deviceTokenEventName="Application Uninstalled")
    assert request["method"] == "DELETE"


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"userId": None, "anonymousId": "a"}, "/api/v1/events"),
        ({"context": {"device": {"type": "ios"}}}, "/api/v1/customers/u/events"),
        ({"context": {"device": {"type": "ios", "token": ""}}}, "/api/v1/customers/u/events"),
        ({"context": {"device": {"type": "ios", "token": ["t"]}}}, "/api/v1/customers/u/events"),
        ({"context": {"device": "t"}}, "/api/v1/customers/u/events"),
        ({"context": {"token": "t"}}, "/api/v1/customers/u/events"),
    ],
    ids=["anonymous", "no-token", "blank", "array", "odd-device", "elsewhere"],
)
def test_6_1_without_person_or_token_it_is_an_ordinary_event(
    members: dict[str, Any], path: str
) -> None:
    """Nothing is refused, and nothing warns."""
    request = request_of(opened(**members))
    assert (request["path"], request["body"]["name"]) == (path, "Application Opened")


@pytest.mark.parametrize("kind", ["page", "screen"])
def test_6_only_a_track_is_about_a_device(kind: str) -> None:
    """A page or screen of that name is a page or screen."""
    for name in ("Application Opened", "Application Uninstalled"):
        assert request_of(opened(type=kind, event=name, name=name))["path"].endswith("/events")


PLATFORMS: dict[str, tuple[dict[str, Any], str | None]] = {
    name: ({"device": {"type": name}}, "android" if name.lower() == "android" else "ios")
    for name in [
        "ios",
        "iOS",
        "IPADOS",
        "tvOS",
        "watchos",
        "iPhone OS",
        "iPhone",
        "iPad",
        "Android",
    ]
}
PLATFORMS |= {
    "os": ({"os": {"name": "Android"}}, "android"),
    "type-first": ({"device": {"type": "ios"}, "os": {"name": "Android"}}, "ios"),
    "unknown-type": ({"device": {"type": "phone"}, "os": {"name": "iPadOS"}}, "ios"),
    "odd-type": ({"device": {"type": ["ios"]}, "os": {"name": "android"}}, "android"),
    "library-android": ({"library": {"name": "com.rudderstack.Android.sdk.core"}}, "android"),
    "library-ios": ({"library": {"name": "rudder-ios-library"}}, "ios"),
    "library-ios-alone": ({"library": {"name": "iOS"}}, "ios"),
    "library-ios-digit": ({"library": {"name": "sdk2ios3"}}, "ios"),
    "library-both": ({"library": {"name": "ios-android"}}, "android"),
    "os-before-library": ({"os": {"name": "ios"}, "library": {"name": "android"}}, "ios"),
    "library-word-inside": ({"library": {"name": "axios"}}, None),
    "library-word-start": ({"library": {"name": "iosclient"}}, None),
    "macOS": ({"device": {"type": "macOS"}}, None),
    "windows": ({"os": {"name": "Windows"}}, None),
    "padded": ({"device": {"type": " ios "}}, None),
    "other-os-android-word": ({"os": {"name": "Android TV"}}, None),
    "web": ({"library": {"name": "RudderLabs JavaScript SDK"}}, None),
    "number": ({"device": {"type": 1}, "os": 5, "library": []}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize(("context", "platform"), PLATFORMS.values(), ids=PLATFORMS)
def test_6_2_the_platform_is_the_first_recognised(
    context: dict[str, Any], platform: str | None
) -> None:
    """device.type, os.name, then the library; none of them: an ordinary event and a warning."""
    device = context.get("device", {}) | {"token": "t"}
    event = opened(context | {"device": device})
    if platform is None:
        request = request_of(event, "UNKNOWN_PLATFORM")
        assert request["path"] == "/api/v1/customers/u/events"
    else:
        assert body_of(event)["device"]["platform"] == platform


def test_6_3_a_device_says_what_is_known_of_it() -> None:
    """Token as text, platform, last_used, and attributes from context and properties as texts."""
    context = {
        "device": {"token": 123, "type": "android", "model": "Pixel"},
        "os": {"name": "Android"},
        "app": {"version": "4.5"},
        "locale": "en-GB",
    }
    event = opened(context, timestamp=TIME, properties={"vip": True, "build": 789, "x": "é"})
    assert body_of(event) == {
        "device": {
            "id": "123",
            "platform": "android",
            "last_used": TIME_S,
            "attributes": {
                "device_os": "Android",
                "device_model": "Pixel",
                "app_version": "4.5",
                "device_locale": "en-GB",
                "vip": "true",
                "build": "789",
                "x": "é",
            },
        }
    }


def test_6_3_properties_overlay_the_context_even_where_they_are_left_out() -> None:
    """A property that is left out takes the context's value with it."""
    context = IOS | {"app": {"version": "4.5"}, "locale": "en", "os": {"name": "iOS"}}
    event = opened(context, properties={"app_version": None, "device_locale": [], "device_os": "x"})
    body = body_of(event, "DEVICE_ATTRIBUTE_LEFT_OUT")
    assert body["device"]["attributes"] == {"device_os": "x"}


@pytest.mark.parametrize("value", ["", None], ids=repr)
def test_6_3_what_the_context_does_not_say_is_not_sent(value: object) -> None:
    """A null or "" of the context gives no attribute; without any there is no `attributes`."""
    context = {
        "device": {"token": "t", "type": "ios", "model": value},
        "os": {"name": value},
        "app": {"version": value},
        "locale": value,
    }
    assert body_of(opened(context)) == {"device": {"id": "t", "platform": "ios"}}
    body = body_of(opened(context, properties={"a": None}))
    assert body == {"device": {"id": "t", "platform": "ios"}}


def test_6_3_a_blank_property_is_sent() -> None:
    """Only of the context is "" no value."""
    body = body_of(opened(properties={"a": "", "b": " "}))
    assert body["device"]["attributes"] == {"a": "", "b": " "}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"true", "true"),
        (b"false", "false"),
        (b"789", "789"),
        (b"-1.5", "-1.5"),
        (b"0", "0"),
        (b"12345678901234567890", "12345678901234567890"),
        (b'"\\u00e9"', "é"),
    ],
)
def test_6_3_values_are_texts(raw: bytes, text: str) -> None:
    """Customer.io wants texts: scalars become them, digits unchanged."""
    event = (
        b'{"type":"track","event":"Application Opened","userId":"u",'
        b'"context":{"device":{"token":"t","type":"ios"}},"properties":{"k":%b}}'
    )
    assert body_of(event % raw)["device"]["attributes"] == {"k": text}


@pytest.mark.parametrize("value", [{}, [], {"a": 1}, [1]], ids=repr)
def test_6_3_objects_and_arrays_are_left_out_with_a_warning(value: object) -> None:
    """What is no scalar is no attribute of a device, from the context neither."""
    event = opened(properties={"k": value, "a": 1})
    assert body_of(event, "DEVICE_ATTRIBUTE_LEFT_OUT")["device"]["attributes"] == {"a": "1"}
    event = opened(IOS | {"app": {"version": value}})
    assert "attributes" not in body_of(event, "DEVICE_ATTRIBUTE_LEFT_OUT")["device"]


def test_6_3_properties_do_not_overwrite_the_device_itself() -> None:
    """id, platform, token and last_used of properties are attributes like others."""
    own = {"id": "1", "last_used": "2", "platform": "3", "token": "4"}
    body = body_of(opened(properties=own))
    assert body == {"device": {"id": "t", "platform": "ios", "attributes": own}}


@pytest.mark.parametrize("odd", ["x", [1], 0, False], ids=repr)
def test_6_3_properties_of_another_type_add_nothing(odd: object) -> None:
    """What is no object warns, as in an ordinary event (5.1)."""
    assert "attributes" not in body_of(opened(properties=odd), "WRONG_TYPE")["device"]


def test_6_4_uninstalled_deletes_the_device() -> None:
    """DELETE /api/v1/customers/{id}/devices/{token} without a body; no platform is needed."""
    event = opened({"device": {"token": "t/1"}}, event="Application Uninstalled")
    request = request_of(event)
    assert (request["method"], request["raw"]) == ("DELETE", b"")
    assert request["path"] == "/api/v1/customers/u/devices/t%2F1"
    by_email = request_of(event | {"userId": None, "traits": {"email": "a@b.co"}})
    assert by_email["path"] == "/api/v1/customers/a%40b.co/devices/t%2F1"


@pytest.mark.parametrize(
    "members",
    [
        {"userId": None},
        {"userId": None, "anonymousId": "a"},
        {"context": {}},
        {"context": {"device": {"token": None}}},
        {"context": {"device": {"token": {}}}},
    ],
    ids=["nobody", "anonymous", "no-device", "null-token", "odd-token"],
)
def test_6_4_uninstalled_without_person_or_token_is_refused(members: dict[str, Any]) -> None:
    """There is nothing to delete and no ordinary event in it."""
    event = opened(**({"event": "Application Uninstalled"} | members))
    assert refusal_of(event) == "MISSING_DEVICE_TOKEN"
