"""What a result says of an event. Rule 12."""

from typing import Any

import pytest
from ciosidecar_transform import ErrorCode, ErrorType, EventRejected

from tests.unit.transform.support import (
    TIME,
    group,
    identify,
    of_type,
    request_of,
    sent,
    track,
)

SECRET = "jane.s3cr3t"
REFUSED: dict[str, tuple[dict[str, Any] | bytes, str, str]] = {
    # event, code, what its text must name
    "json": (b'{"userId":"jane.s3cr3t"', "INVALID_JSON", "1.1"),
    "utf-8": (b'{"userId":"jane.s3cr3t\xff"}', "INVALID_JSON", "1.1"),
    "type": ({"type": SECRET}, "UNSUPPORTED_TYPE", "type"),
    "user-id": (track(userId=[SECRET]), "INVALID_ID", "userId"),
    "anonymous-id": (of_type("track", anonymousId={SECRET: 1}), "INVALID_ID", "anonymousId"),
    "previous-id": (of_type("alias", userId=SECRET, previousId=[]), "INVALID_ID", "previousId"),
    "group-id": (group(groupId=[SECRET]), "INVALID_ID", "groupId"),
    "same": (of_type("alias", userId=SECRET, previousId=SECRET), "INVALID_ID", "previousId"),
    "long-user": (track(userId=SECRET * 20), "ID_TOO_LONG", "user id"),
    "long-anonymous": (of_type("page", anonymousId=SECRET * 20), "ID_TOO_LONG", "anonymousId"),
    "long-group": (group(groupId=SECRET * 20), "ID_TOO_LONG", "group"),
    "dots": (identify(userId=".."), "INVALID_ID", "3.6"),
    "nobody": (of_type("track", properties={"email": SECRET}), "MISSING_IDENTITY", "userId"),
    "nobody-to-identify": (of_type("identify", traits={SECRET: 1}), "MISSING_IDENTITY", "userId"),
    "no-previous": (
        of_type("alias", userId=SECRET, previousId=None),
        "MISSING_IDENTITY",
        "previous",
    ),
    "no-name": (track(event=[SECRET]), "MISSING_EVENT_NAME", "name"),
    "data": (track(properties={"k": SECRET * 10_000}), "TOO_LARGE", "properties"),
    "item": (
        group(traits={f"k{n}": SECRET * 90 for n in range(40)}),
        "TOO_LARGE",
        "group",
    ),
    "token": (
        track(event="Application Uninstalled", traits={"a": SECRET}),
        "MISSING_DEVICE_TOKEN",
        "token",
    ),
    "group": (group(groupId=None, traits={"id": SECRET}), "MISSING_GROUP_ID", "groupId"),
    "record": (of_type("record", identifiers={"id": SECRET}), "INVALID_RECORD", "connection"),
}


@pytest.mark.parametrize(("event", "code", "named"), REFUSED.values(), ids=REFUSED)
def test_12_1_12_2_a_refused_event(event: dict[str, Any] | bytes, code: str, named: str) -> None:
    """400, final, an instrumentation error whose text names field and rule and quotes nothing."""
    outcome, requests = sent(event)
    error = outcome.error
    assert error is not None
    assert (outcome.status, error.status, requests) == (400, 400, [])
    assert (error.code, error.type, error.retryable) == (code, "INSTRUMENTATION", False)
    assert named in error.text
    assert error.text.endswith(")")
    assert "s3cr3t" not in error.text
    assert outcome.filtered is None


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [
        ("INVALID_DESTINATION", "CONFIGURATION", 400),
        ("UNKNOWN_DESTINATION", "INTERNAL", 503),
        ("UNKNOWN_CONNECTION", "INTERNAL", 503),
        ("INTERNAL", "INTERNAL", 500),
    ],
)
def test_12_1_other_refusals_follow_from_their_code(code: str, kind: str, status: int) -> None:
    """5xx is to be tried again, 4xx is final."""
    error = EventRejected(ErrorCode(code), "text").error()
    assert (error.status, error.type, error.text) == (status, ErrorType(kind), "text")
    assert error.retryable == (status >= 500)


def test_12_1_a_transformed_event_is_200() -> None:
    """A good event has status 200, no error, no filter, no warning."""
    outcome, _ = sent(track())
    assert (outcome.status, outcome.error, outcome.filtered) == (200, None, None)
    assert outcome.warnings == []


DEVICE = {"device": {"token": "t", "type": "ios"}}


@pytest.mark.parametrize(
    ("event", "method", "endpoint_path"),
    [
        (identify(), "PUT", "v1/customers"),
        (track(), "POST", "v1/customers/events"),
        (of_type("page", userId="u"), "POST", "v1/customers/events"),
        (of_type("screen", anonymousId="a"), "POST", "v1/events"),
        (of_type("alias", userId="u"), "POST", "v1/merge_customers"),
        (track(event="Application Opened", context=DEVICE), "PUT", "v1/customers/devices"),
        (
            track(event="Application Uninstalled", context=DEVICE),
            "DELETE",
            "v1/customers/devices/delete",
        ),
        (group(), "POST", "v2/batch"),
    ],
    ids=["identify", "track", "page", "anonymous", "alias", "device", "uninstalled", "group"],
)
def test_12_3_a_request_names_its_endpoint(
    event: dict[str, Any], method: str, endpoint_path: str
) -> None:
    """Method, url and the endpoint by which routers key their throttles."""
    request = request_of(event)
    assert (request["method"], request["endpoint_path"]) == (method, endpoint_path)
    assert request["url"].startswith("https://track.customer.io/api/v")


QUIET: dict[str, dict[str, Any]] = {
    "second-time": track(timestamp=TIME, originalTimestamp="bad"),
    "second-created-at": identify(
        traits={"createdAt": TIME}, context={"traits": {"createdAt": "bad"}}
    ),
    "context-traits": identify(traits={"a": 1}, context={"traits": "bad"}),
    "warehouse-times-elsewhere": track(
        properties={"timestamp": "bad"}, context={"timestamp": "bad"}, timestamp=TIME
    ),
    "alias-times": of_type("alias", userId="u", timestamp="bad", originalTimestamp="bad"),
    "group-times": group(timestamp="bad", context={"traits": "bad"}, properties="bad"),
    "uninstalled": track(
        event="Application Uninstalled", context=DEVICE, timestamp="bad", properties="bad"
    ),
    "track-traits": track(traits="bad", context={"traits": ["bad"]}, anonymousId=["bad"]),
    "track-limits": track(traits={"n" * 151: 1, "k": "x" * 2000, "unsubscribed": "?", "id": "v"}),
    "identify-properties": identify(properties="bad", event="x" * 200),
    "anonymous-email-unused": identify(anonymousId="a", traits={"email": "a@b.co"}),
    "alias-traits": of_type("alias", userId="u", traits="bad", anonymousId=["bad"]),
    "no-platform-no-token": track(event="Application Opened"),
}


@pytest.mark.parametrize("event", QUIET.values(), ids=QUIET)
def test_12_4_only_what_was_read_can_warn(event: dict[str, Any]) -> None:
    """A search stops at its first hit, and what a type does not send is not looked at."""
    outcome, requests = sent(event)
    assert (outcome.status, len(requests)) == (200, 1)
    assert outcome.warnings == []


def test_12_4_warnings_quote_no_personal_data() -> None:
    """Every warning has a code and a text that names the rule, and none quotes a value."""
    long = f"a {SECRET}@x " * 100
    traits = {
        "unsubscribed": SECRET,
        "id": SECRET,
        "cio_id": SECRET,
        f"{SECRET}@example.com": long,
        long: 1,
        "big": [long],
        "createdAt": SECRET,
    } | dict.fromkeys(map(str, range(400)), SECRET)
    outcome, _ = sent(identify(traits=traits, timestamp=SECRET, anonymousId=[SECRET]))
    assert outcome.status == 200
    assert {warning.code.value for warning in outcome.warnings} == {
        "UNSUBSCRIBED_LEFT_OUT",
        "ID_ATTRIBUTE_LEFT_OUT",
        "TEXT_CUT",
        "ATTRIBUTE_NAME_TOO_LONG",
        "VALUE_TOO_LARGE",
        "UNUSABLE_TIME",
        "ANONYMOUS_ID_LEFT_OUT",
        "TOO_MANY_ATTRIBUTES",
    }
    for warning in outcome.warnings:
        assert "s3cr3t" not in warning.text
        assert warning.text.endswith(")")


def test_12_4_a_refused_event_keeps_what_was_said_before() -> None:
    """A warning that came before a refusal does not make it anything but a refusal."""
    outcome, requests = sent(b'{"type":"track","event":"e","x":"\\ud83d"}')
    assert (outcome.status, requests) == (400, [])
    assert outcome.error is not None
    assert outcome.error.code == "MISSING_IDENTITY"
