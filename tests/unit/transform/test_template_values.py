"""What filled a template leaves the event. Rule 13.1."""

import json
from typing import Any

import pytest

from .api_versions import PERSON, v1_body, v2_item
from .support import (
    body_of,
    destination,
    group,
    identify,
    of_type,
    packed,
    refusal_of,
    request_of,
    row,
    sent,
    track,
)

BOTH = ["v1", "v2"]


def key_at(path: str, default: str = "") -> dict[str, Any]:
    """A destination whose key each event brings along."""
    return {"apiKey": f"{{{{ {path}{default} }}}}", "createdAtFallback": "none"}


def is_nowhere(secret: str, event: dict[str, Any], **config: Any) -> None:
    """Assert that a text is in no path and no body of a good event, in either API version."""
    for api_version in BOTH:
        request = request_of(event, **config | {"apiVersion": api_version})
        assert secret not in request["path"]
        assert secret.encode() not in (request["raw"] or b"")
        assert request["headers"]["Authorization"]


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("traits.key", identify(traits={"key": "s3cr3t", "plan": "pro"})),
        ("message.traits.key", identify(traits={"key": "s3cr3t", "plan": "pro"})),
        ("event.traits.key", identify(traits={"key": "s3cr3t"})),
        ("context.traits.key", identify(context={"traits": {"key": "s3cr3t", "a": 1}})),
        ("user_properties.key", identify(user_properties={"key": "s3cr3t"})),
        ("traits.a.b.c", identify(traits={"a": {"b": {"c": "s3cr3t", "d": 1}}})),
        ("traits.list[1]", identify(traits={"list": [1, "s3cr3t", 3]})),
        ("traits.list.1.key", identify(traits={"list": [1, {"key": "s3cr3t"}]})),
        ("properties.key", track(properties={"key": "s3cr3t"})),
        ("properties.key", of_type("page", userId="u", properties={"key": "s3cr3t"})),
        ("traits.key", group(traits={"key": "s3cr3t"})),
        (
            "context.traits.email",
            of_type("track", anonymousId="a", context={"traits": {"email": "s3cr3t@example.com"}}),
        ),
        ("anonymousId", identify(anonymousId="s3cr3t")),
        ("traits.address.city", identify(traits={"address": {"city": "s3cr3t"}})),
    ],
)
def test_13_1_what_filled_a_template_is_nobody_s_attribute(
    path: str, event: dict[str, Any]
) -> None:
    """Wherever it stood."""
    if path == "context.traits.email":
        assert v1_body(event, **key_at(path))["anonymous_id"] == "a"
    is_nowhere("s3cr3t", event, **key_at(path))


def test_13_1_a_member_is_removed_and_an_element_becomes_null() -> None:
    """Its neighbours stay as they were written."""
    traits = {"key": "k", "list": [1, "k", 3], "deep": {"key": "k", "n": 1}}
    event = identify(traits=traits)
    config = {"siteID": "{{ traits.key }}", "apiKey": "{{ traits.list[1] }}"}
    config |= {"deviceTokenEventName": "{{ traits.deep.key }}", "createdAtFallback": "none"}
    assert body_of(event, **config) == {"list": [1, None, 3], "deep": {"n": 1}}


def test_13_1_an_element_that_is_removed_leaves_the_others_where_they_are() -> None:
    """All templates are filled in first: two of one array."""
    event = identify(traits={"keys": ["a", "b", "c"]})
    config = {"siteID": "{{ traits.keys[0] }}", "apiKey": "{{ traits.keys[1] }}"}
    request = request_of(event, createdAtFallback="none", **config)
    assert request["body"] == {"keys": [None, None, "c"]}
    assert request["headers"] == request_of(identify(), siteID="a", apiKey="b")["headers"]


@pytest.mark.parametrize(
    "settings",
    [
        {"siteID": "{{ traits.k }}", "apiKey": "{{ traits.k }}"},
        {"siteID": "{{ traits.k }}", "apiKey": "{{ message.traits.k || 'x' }}"},
        {"siteID": "site", "apiKey": "{{ traits.k }}-{{ traits.k }}"},
    ],
)
def test_13_1_one_value_may_fill_several_templates(settings: dict[str, str]) -> None:
    """It is taken out once all are filled in."""
    assert v1_body(identify(traits={"k": "v", "a": 1}), **settings)["a"] == 1
    assert "k" not in v1_body(identify(traits={"k": "v", "a": 1}), **settings)


def test_13_1_a_template_inside_another_one_s_value_is_filled_in_too() -> None:
    """Both are read from the event as it came; both leave it."""
    names = {"allow": ["a", "b"]}
    event = identify(traits={"names": names, "a": "2024-01-02"})
    config = {"convertDates": True, "convertDatesAllow": "{{ traits.names.allow }}"}
    config |= {"deviceTokenEventName": "{{ traits.names.allow[0] }}", "createdAtFallback": "none"}
    for reordered in (config, dict(reversed(config.items()))):
        assert body_of(event, **reordered) == {"names": {}, "a": 1704153600}


def test_13_1_whatever_the_path_user_id_and_type_too() -> None:
    """They are then not there for any rule."""
    assert refusal_of(track(userId="u", anonymousId=None), **key_at("userId")) == "MISSING_IDENTITY"
    event = track(userId="u", anonymousId="a")
    assert v1_body(event, **key_at("userId"))["anonymous_id"] == "a"
    assert refusal_of(track(), **key_at("type")) == "UNSUPPORTED_TYPE"
    assert refusal_of(track(), **key_at("event")) == "MISSING_EVENT_NAME"
    assert refusal_of(group(), **key_at("groupId")) == "MISSING_GROUP_ID"
    timed = track(timestamp="2024-01-02", originalTimestamp="2025-01-01")
    assert v1_body(timed, **key_at("timestamp"))["timestamp"] == 1735689600


def test_13_1_the_whole_of_traits_is_taken_out() -> None:
    """Where a setting takes it; where a text is due it makes the event INVALID_DESTINATION."""
    event = identify(traits={"plan": "pro"}, context={"traits": {"plan": "basic"}})
    assert refusal_of(event, **key_at("traits")) == "INVALID_DESTINATION"
    # A filter takes anything: what nobody understands stops no event (11.1).
    body = body_of(event, connectionMode="{{ traits }}", createdAtFallback="none")
    assert body == {"plan": "basic"}


@pytest.mark.parametrize("nothing", [None, ""])
def test_13_1_what_filled_nothing_in_stays(nothing: object) -> None:
    """null and "" give way to the default, and stay in the event."""
    event = identify(traits={"key": nothing, "plan": "pro"})
    assert body_of(event, **key_at("traits.key", " || 'd'")) == {"key": nothing, "plan": "pro"}


@pytest.mark.parametrize("there", [0, False, 7, 1.5, True, " ", "x"])
def test_13_1_everything_else_at_the_path_is_taken_out(there: object) -> None:
    """0, false and blanks too: they filled the template in."""
    event = identify(traits={"key": there, "plan": "pro"})
    config = {"apiKey": "k-{{ traits.key }}", "createdAtFallback": "none"}
    assert body_of(event, **config) == {"plan": "pro"}


def test_13_1_a_path_that_leads_nowhere_takes_nothing_out() -> None:
    """Through a text, past the end of an array, to a name that is not there."""
    traits = {"key": "k", "list": ["x"]}
    for path in ("traits.key.a", "traits.list[1]", "traits.list.a", "traits.list.-1", "traits.Key"):
        event = identify(traits=traits)
        assert body_of(event, **key_at(path, " || 'd'")) == traits


def test_13_1_what_an_event_has_of_no_template_stays() -> None:
    """Other members of the same name elsewhere."""
    event = identify(traits={"key": "k", "deep": {"key": "k"}}, user_properties={"other": "k"})
    assert body_of(event, **key_at("traits.key")) == {"deep": {"key": "k"}, "other": "k"}


def test_13_1_the_rest_of_the_event_keeps_its_digits() -> None:
    """Rule 1.3, beside what was taken out and around it."""
    raw = b'{"type":"track","userId":"u","event":"e","properties":{"n":12345678901234567890,'
    raw += b'"key":"k","f":1.0,"o":{"key2":"k","e":1e2}}}'
    config = {"siteID": "{{ properties.key }}", "apiKey": "{{ properties.o.key2 }}"}
    body = request_of(raw, **config)["raw"]
    assert b'{"n":12345678901234567890,"f":1.0,"o":{"e":1e2}}' in body


def test_13_1_of_equal_names_the_last_fills_in_and_none_stays() -> None:
    """Rule 1.1: the last one counts; the first must not come to light again."""
    raw = b'{"type":"identify","userId":"u","traits":{"key":"s3cr3t-1","key":"s3cr3t-2","a":1}}'
    request = request_of(raw, **key_at("traits.key"))
    assert request["body"] == {"a": 1}
    whole = (
        b'{"type":"identify","userId":"u","traits":{"key":"s3cr3t-1"},"traits":{"key":"k","a":1}}'
    )
    assert request_of(whole, **key_at("traits.key"))["body"] == {"a": 1}


def test_13_1_it_is_gone_before_anything_else_reads_the_event() -> None:
    """Who it is about, the filters, the kinds of 3.8."""
    event = identify(traits={"email": "key@example.com"}, userId=None, anonymousId="a")
    assert request_of(event, **key_at("traits.email"))["path"] == "/api/v1/customers/a"
    denied = {"deniedConsentIds": ["c"], "provider": "custom"}
    unfiltered = track(context={"consentManagement": denied})
    rules = [{"provider": "custom", "consents": [{"consent": "c"}]}]
    outcome, _ = sent(unfiltered, consentManagement=rules)
    assert outcome.status == 298
    path = "context.consentManagement.deniedConsentIds[0]"
    outcome, _ = sent(unfiltered, consentManagement=rules, **key_at(path))
    assert outcome.status == 200


def test_5_6_the_event_s_id_is_of_the_properties_as_received() -> None:
    """A byte-identical resend is the same event, and events that differ there are two."""
    first = track(messageId="m", properties={"key": "k1", "a": 1})
    second = track(messageId="m", properties={"key": "k2", "a": 1})
    config = key_at("properties.key")
    for api_version in BOTH:
        ids = [id_of(event, apiVersion=api_version, **config) for event in (first, second, first)]
        assert ids[0] == ids[2] != ids[1]
        assert ids[0] == id_of(first, apiVersion=api_version)


def id_of(event: dict[str, Any], **config: Any) -> str:
    """The ULID that an event is sent with."""
    body = request_of(event, **config)["body"]
    return str((body["batch"][0] if "batch" in body else body)["id"])


def test_5_6_properties_that_are_taken_out_whole_still_make_the_id() -> None:
    """Where a setting takes an object."""
    event = track(messageId="m", properties={"web": "cloud"})
    config = {"connectionMode": "{{ properties }}"}
    assert body_of(event, **config)["data"] == {}
    assert id_of(event, **config) == id_of(event)


def test_13_1_each_destination_sees_a_copy_of_its_own() -> None:
    """What one takes out, the next one finds."""
    event = identify(traits={"a": "1", "b": "2"})
    first, second = (
        destination(**key_at("traits.a")),
        destination(**key_at("traits.b")),
    )
    third = destination(createdAtFallback="none")
    requests = packed([event] * 3, on=[first, second, third])
    assert [request["body"] for request, _ in requests] == [{"b": "2"}, {"a": "1"}, event["traits"]]


@pytest.mark.parametrize("kind", ["person", "event"])
def test_13_1_rows_lose_it_too(kind: str) -> None:
    """Identifiers of records."""
    event = row(id="u", name="Paid", key="s3cr3t") | {"messageId": "m"}
    config = key_at("identifiers.key")
    is_nowhere("s3cr3t", event, connection={"object": kind}, **config)
    if kind == "event":
        rows = {"connection": {"object": kind}}
        assert id_of(event, **rows, **config) == id_of(event, **rows)


def test_13_1_a_row_may_lose_what_addresses_it() -> None:
    """Rule 9.2 then has nobody."""
    event = row(id="u", plan="pro")
    config = key_at("identifiers.id")
    assert refusal_of(event, connection=PERSON, **config) == "MISSING_IDENTITY"


def test_13_1_with_half_an_emoji_beside_it() -> None:
    """Rule 1.1 repairs what is left, with its warning."""
    raw = b'{"type":"identify","userId":"u","traits":{"key":"k","name":"\\ud83d"}}'
    assert request_of(raw, "LONE_SURROGATE", **key_at("traits.key"))["body"] == {"name": "\ufffd"}


def test_13_1_a_kind_of_user_id_from_the_event() -> None:
    """Rule 3.8 by a template."""
    event = track(userId="cio_a", context={"kind": "id"})
    item = v2_item(event, userIdIdentifierType="{{ context.kind }}")
    assert item["identifiers"] == {"id": "cio_a"}


# Bad input


@pytest.mark.parametrize("depth", [400, 900, 1000, 3000])
def test_13_1_a_path_through_deep_nesting_is_no_fault_of_ours(depth: int) -> None:
    """Taken out, or refused as INVALID_JSON beyond 1,000 levels."""
    deep = '{"a":' * depth + '"k"' + "}" * depth
    event = f'{{"type":"identify","userId":"u","traits":{{"plan":"pro","deep":{deep}}}}}'.encode()
    path = "traits.deep" + ".a" * depth
    outcome, requests = sent(event, **key_at(path))
    assert outcome.status in ((200,) if depth < 500 else (200, 400))
    for request in requests:
        assert b'"k"' not in request["raw"]


def test_13_1_a_path_into_a_long_array() -> None:
    """The last of 10,000."""
    event = identify(traits={"list": ["x"] * 9_999 + ["k"]})
    body = request_of(event, "VALUE_TOO_LARGE", **key_at("traits.list[9999]"))["body"]
    assert body == {}
    event = track(properties={"list": ["x"] * 9_999 + ["k"]})
    data = body_of(event, **key_at("properties.list[9999]"))["data"]
    assert data == {"list": ["x"] * 9_999 + [None]}


def test_13_1_an_index_beyond_all_arrays() -> None:
    """Nothing is there: without default the event is refused."""
    event = identify(traits={"list": ["k"]})
    for index in ("1", "999999999999999999999999", "00000000000000000001"):
        assert refusal_of(event, **key_at(f"traits.list[{index}]")) == "INVALID_DESTINATION"


def test_13_1_a_secret_is_in_no_error_and_no_warning() -> None:
    """Rule 12.2."""
    event = identify(userId=None, traits={"key": "s3cr3t", "createdAt": "s3cr3t"})
    outcome, _ = sent(event, **key_at("traits.key"))
    assert "s3cr3t" not in json.dumps([outcome.error, outcome.warnings])
