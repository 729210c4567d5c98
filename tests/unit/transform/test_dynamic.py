"""Settings that are filled in from each event. Rule 13.1."""

import json
import sys
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from ciosidecar_transform import Destination, DynamicDestination, EventRejected, read_destination
from ciosidecar_transform.settings.dynamic import MAX_CACHED, MAX_VALUE_BYTES

from tests.unit.transform.support import (
    destination,
    group,
    identify,
    packed,
    refusal_of,
    request_of,
    sent,
    track,
)


def credentials(event: Any, **config: Any) -> str:
    """What the request of an event authorises itself with: site:key."""
    headers = request_of(event, **config)["headers"]
    return b64decode(headers["Authorization"].removeprefix("Basic ")).decode()


def error_of(event: Any, **config: Any) -> str:
    """The text with which an event is refused because of the destination."""
    outcome, requests = sent(event, **config)
    assert outcome.error is not None, requests
    assert outcome.error.code == "INVALID_DESTINATION"
    return outcome.error.text


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ context.site || d }}", "found"),
        ("{{ message.context.site || d }}", "found"),
        ("{{ event.context.site || d }}", "found"),
        ("{{context.site||d}}", "found"),
        ("  {{ context.site }} ", "found"),
        ("{{\tcontext.site\n||\nd\t}}", "found"),
        ("{{ properties.list[1] || d }}", "b"),
        ("{{ properties.list.1 || d }}", "b"),
        ("{{ properties.list[0].x || d }}", "deep"),
        ("{{ properties.list[9] || d }}", "d"),
        ("{{ properties.list.x || d }}", "d"),
        ("{{ properties.list.-1 || d }}", "d"),
        ("{{ properties.list.² || d }}", "d"),
        ("{{ properties.números || d }}", "ñ"),
        ("{{ name || d }}", "n"),
        ("{{ message || d }}", "d"),
        ("{{ message.name || d }}", "n"),
        ("{{ context.none || 'single quotes' }}", "single quotes"),
        ('{{ context.none || "it\'s" }}', "it's"),
        ("{{ context.none || 'a }} b || c' }}", "a }} b || c"),
        ("{{ context.none || two words }}", "two words"),
        ("{{ context.none || 12 }}", "12"),
        ("{{ properties.null || d }}", "d"),
        ("{{ properties.blank || d }}", "d"),
        ("{{ properties.number || d }}", "12345678901234567890"),
        ("{{ properties.decimal || d }}", "1.50"),
        ("{{ userId.x || d }}", "d"),
        ("k-{{ context.site || d }}-{{ name }}", "k-found-n"),
        ("{{ properties.number }}/{{ properties.flag }}", "12345678901234567890/true"),
        ("{{ context.site }} }}", "found }}"),
        ("k{{", "k{{"),
        ("}}k", "}}k"),
    ],
)
def test_13_1_a_template_becomes_what_the_event_has_or_its_default(
    template: str, expected: str
) -> None:
    """By path, with or without message. or event. in front; the default in quotes or bare."""
    event = (
        b'{"type":"track","userId":"u","event":"e","name":"n","context":{"site":"found"},'
        b'"properties":{"list":[{"x":"deep"},"b"],"null":null,"blank":"","number":12345678901234567890,'
        b'"decimal":1.50,"flag":true,"n\\u00fameros":"\\u00f1"}}'
    )
    assert credentials(event, siteID=template) == f"{expected}:key"
    assert credentials(event, apiKey=template) == f"site:{expected}"


def test_13_1_any_setting_may_depend_on_the_event() -> None:
    """Region, API version, choices, flags, lists and filters are filled in, nested ones too."""
    path = "{{ context.wish }}"

    def wish(wanted: object) -> dict[str, Any]:
        return identify(context={"wish": wanted}, traits={"a": "2024-01-02"})

    assert request_of(wish("EU"), datacenter=path)["url"].startswith("https://track-eu.")
    assert request_of(wish("v2"), apiVersion=path)["path"] == "/api/v2/batch"
    assert request_of(wish(True), updateOnly=path)["body"]["_update"] is True
    lists: dict[str, Any] = {"convertDates": True, "convertDatesAllow": [path, "x"]}
    assert request_of(wish("a"), **lists)["body"]["a"] == 1704153600
    assert request_of(wish("b"), **lists)["body"]["a"] == "2024-01-02"
    filters = {"connectionMode": {"web": path}}
    assert sent(wish("device"), source_type="web", **filters)[0].status == 298
    assert sent(wish("cloud"), source_type="web", **filters)[0].status == 200


@pytest.mark.parametrize("default", ["true", '"true"'])
def test_13_1_a_bare_true_is_a_boolean_and_a_quoted_one_a_text(default: str) -> None:
    """So that flags can have defaults, and texts that spell one too."""
    config = {"updateOnly": f"{{{{ none || {default} }}}}"}
    if default == "true":
        assert request_of(identify(), **config)["body"]["_update"] is True
    else:
        assert error_of(identify(), **config) == "updateOnly must be true or false (rule 11.1)"


@pytest.mark.parametrize(
    ("template", "event"),
    [
        ("{{ context.site }}", track()),
        ("a{{ context.site }}", track(context={"site": None})),
        ("{{ context.site }}", track(context={"site": ""})),
        ("{{ context.site || d }}", track(context={"site": True})),
        ("{{ context.site || d }}", track(context={"site": {"a": 1}})),
        ("a{{ context.site || d }}", track(context={"site": ["a"]})),
        ("{{ context.site || d }}", track(context={"site": " "})),
        ("{{ context.site || d }}", track(context={"site": "x" * MAX_VALUE_BYTES})),
        ("{{ context.site || '' }}", track()),
        ("{{ context.site || env.SITE }}", track()),
        ("{{ context.site || d }}", track(context={"site": "env.SITE"})),
        ("en{{ context.site || d }}", track(context={"site": "v.SITE"})),
    ],
)
def test_13_1_what_cannot_be_filled_in_refuses_that_event(
    template: str, event: dict[str, Any]
) -> None:
    """INVALID_DESTINATION for this event, naming the key and never what stands there."""
    text = error_of(event, apiKey=template)
    assert text.startswith("apiKey ")
    assert "SITE" not in text
    assert "xx" not in text
    assert credentials(track(context={"site": "good"}), apiKey="{{ context.site }}") == "site:good"


@pytest.mark.parametrize(
    "site", ["{{ context.site }}", "{{ context.site || x }}", "a{{userId}}b", "{{ }}"]
)
def test_13_1_a_template_that_refers_to_itself_is_not_resolved_twice(site: str) -> None:
    """What the event has is taken as it is; a template there is as unusable as in the settings."""
    event = track(context={"site": site}, userId="SECRET")
    assert error_of(event, siteID="{{ context.site || d }}").startswith("siteID ")


def test_13_1_half_templates_do_not_combine_into_one() -> None:
    """Two values that make a template side by side are a template that nobody resolves."""
    event = track(context={"a": "{{ user", "b": "Id }}"})
    text = error_of(event, siteID="{{ context.a }}{{ context.b }}")
    assert text == "siteID is a template that cannot be resolved (rule 11.1)"


def test_13_1_what_fills_a_template_leaves_the_event() -> None:
    """A credential never becomes somebody's property."""
    event = b'{"type":"track","userId":"u","event":"e","properties":{ "k" : "found", "o" : 1.0 }}'
    assert credentials(event, apiKey="{{ properties.k }}") == "site:found"
    raw = request_of(event, apiKey="{{ properties.k }}")["raw"]
    assert b'"data":{"o":1.0}' in raw


def test_13_1_half_an_emoji_elsewhere_does_no_harm() -> None:
    """An event that 1.1 repairs still fills in settings."""
    event = b'{"type":"track","userId":"u","event":"e","properties":{"k":"x\\ud83d","o":"\\ud83d"}}'
    headers = request_of(event, "LONE_SURROGATE", apiKey="{{ properties.k }}")["headers"]
    assert b64decode(headers["Authorization"][6:]).decode() == "site:x\ufffd"


def test_13_1_a_value_that_nests_deeply_is_no_fault_of_ours() -> None:
    """It is the event's: 400, not 500."""
    deep = b"[" * 900 + b"]" * 900
    event = b'{"type":"track","userId":"u","event":"e","properties":{"k":%b}}' % deep
    for key in ("apiKey", "datacenter", "emptyStrings", "convertDatesAllow"):
        assert refusal_of(event, **{key: "{{ properties.k }}"}) == "INVALID_DESTINATION"
    assert sent(event, consentManagement="{{ properties.k }}")[0].status == 200


def test_13_1_a_setting_that_nests_deeply_is_no_fault_of_ours_either() -> None:
    """Where it can be declared but, deeper in the stack, not filled in, the event is refused."""
    depth = 300
    config = {"consentManagement": json.loads("[" * depth + '"{{ k || d }}"' + "]" * depth)}
    dynamic = destination(**config)
    assert isinstance(dynamic, DynamicDestination)
    assert isinstance(dynamic.for_event(b"{}")[0], Destination)
    with pytest.raises(EventRejected, match=r"consentManagement .*\(rule 13.1\)"):
        _below(_frames_left() - 200, lambda: dynamic.for_event(b'{"k":"x"}'))


def _frames_left() -> int:
    frame, used = sys._getframe(), 0
    while frame.f_back is not None:
        frame, used = frame.f_back, used + 1
    return sys.getrecursionlimit() - used


def _below(frames: int, call: Callable[[], Any]) -> Any:
    return _below(frames - 1, call) if frames else call()


def test_13_1_a_path_of_a_thousand_steps_is_walked() -> None:
    """Neither depth nor size of a template is a fault."""
    path = ".".join(["a"] * 1000)
    assert credentials(track(), siteID=f"{{{{ {path} || d }}}}") == "d:key"
    assert credentials(track(), siteID=f"{{{{ a || {'d' * 4000} }}}}") == f"{'d' * 4000}:key"


def settings(**config: Any) -> tuple[bool, list[tuple[str, bool]]]:
    """Whether a destination is usable, and the key of each problem and whether it is fatal."""
    usable, problems = read_destination(
        json.dumps({"siteID": "site", "apiKey": "key"} | config).encode()
    )
    return usable is not None, [(problem.key, problem.fatal) for problem in problems]


def test_13_1_a_destination_with_templates_is_usable_and_says_so() -> None:
    """Which keys depend on the event is a note, by the name under which they are given."""
    assert settings(apiKey="{{ a || b }}", region="{{ r }}") == (
        True,
        [("apiKey", False), ("region", False)],
    )
    assert settings(siteID="site", siteId="{{ a }}") == (True, [])
    assert settings(unknown="{{ a }}") == (True, [])
    assert isinstance(destination(apiKey="{{ a }}"), DynamicDestination)
    assert not isinstance(destination(unknown="{{ a }}"), DynamicDestination)


def test_13_1_what_is_wrong_beside_templates_is_fatal() -> None:
    """A template in one setting does not hide a mistake in another."""
    usable, problems = settings(apiKey="{{ a || b }}", eventIds="uuid")
    assert not usable
    assert ("eventIds", True) in problems
    usable, problems = settings(apiKey="{{ a || b }}", datacenter="US", datacenterEU=True)
    assert not usable


def test_13_1_a_default_that_cannot_work_is_noted() -> None:
    """Events that bring a value are fine, so it is not fatal."""
    assert settings(datacenter="{{ a || AP }}") == (
        True,
        [("datacenter", False), ("datacenter", False)],
    )
    _, problems = settings(apiVersion="{{ a || v1 }}", phoneAsIdentifier=True)
    assert problems == [("apiVersion", False), ("phoneAsIdentifier", False)]


@pytest.mark.parametrize(
    "text",
    [
        "{{ }}",
        "{{ a || }}",
        "{{ || a }}",
        "{{ a b }}",
        "{{ a..b }}",
        "{{ .a }}",
        "{{ a || 'x }}",
        "{{ a || it's }}",
        "{{ a || b || c }}",
        "{{ a || {{ b || c }} }}",
        "{{ 'a' || b }}",
        "{{ a[x] || b }}",
        "{{ good || d }} {{ }}",
    ],
)
def test_13_1_a_malformed_template_is_refused_at_once(text: str) -> None:
    """It can never be filled in, whatever the event."""
    assert settings(apiKey=text) == (False, [("apiKey", True)])


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    ["{{" * 200_000, "{{ '" * 100_000, '{{"' * 100_000 + "}}", "{{ a || " + " " * 400_000 + "x y'"],
    ids=["opening", "single-quotes", "double-quotes", "blanks"],
)
def test_13_1_huge_nonsense_is_read_in_no_time(text: str) -> None:
    """Reading templates takes linear time, also where there is none."""
    read_destination(json.dumps({"siteID": "site", "apiKey": text}).encode())


def test_13_1_destinations_are_kept_and_not_without_bound() -> None:
    """The same values make the same destination; the least recently used one is made anew."""
    dynamic = destination(apiKey="{{ k }}")
    assert isinstance(dynamic, DynamicDestination)
    first, _ = dynamic.for_event(b'{"k":"0"}')
    assert dynamic.for_event(b'{"k":"0","other":1}')[0] is first
    for number in range(1, MAX_CACHED):
        dynamic.for_event(b'{"k":"%d"}' % number)
    assert dynamic.for_event(b'{"k":"0"}')[0] is first
    for number in range(MAX_CACHED):
        dynamic.for_event(b'{"k":"x%d"}' % number)
    assert dynamic.for_event(b'{"k":"0"}')[0] is not first


def test_13_1_events_share_requests_by_workspace_and_stay_in_order() -> None:
    """Groups of one workspace share; whoever waits in another's request is let through first."""
    on = destination(apiKey="{{ context.key || k }}")
    events = [
        group(groupId="g1", userId="u1"),
        group(groupId="g2", userId="u2", context={"key": "other"}),
        group(groupId="g3", userId="u3"),
        identify(userId="u1"),
    ]
    requests = packed(events, on=[on] * len(events))
    assert [positions for _, positions in requests] == [[0, 2], [3], [1]]
    keys = [b64decode(request["headers"]["Authorization"][6:]).decode() for request, _ in requests]
    assert keys == ["site:k", "site:k", "site:other"]


def test_13_1_order_holds_when_the_api_version_depends_on_the_event() -> None:
    """A v1 call comes after what waits in a v2 batch, of the same person or another (10.2)."""
    on = destination(apiVersion="{{ context.version || v2 }}")
    for person in ("u1", "u2"):
        events = [identify(userId="u1"), identify(userId=person, context={"version": "v1"})]
        requests = packed(events, on=[on] * 2)
        assert [(request["endpoint_path"], positions) for request, positions in requests] == [
            ("v2/batch", [0]),
            ("v1/customers", [1]),
        ]
