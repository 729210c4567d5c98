"""Which events a destination does not want. Rule 11.3."""

import json
from typing import Any

import pytest
from ciosidecar_transform import read_destination

from tests.unit.transform.support import sent, track

IOS, ANDROID = {"os": {"name": "iPadOS"}}, {"os": {"name": "Android"}}


def reason(event: dict[str, Any] | bytes, source_type: str = "", **config: Any) -> str | None:
    """Why an event is filtered, or None for one that is sent."""
    outcome, requests = sent(event, source_type=source_type, **config)
    assert outcome.error is None
    assert outcome.warnings == []
    if outcome.filtered is None:
        assert (outcome.status, len(requests)) == (200, 1)
        return None
    assert (outcome.status, requests) == (298, [])
    return outcome.filtered.value


def mode(event: dict[str, Any], source_type: str = "", **config: Any) -> bool:
    """Whether device mode filters an event."""
    filter_reason = reason(event, source_type, **config)
    assert filter_reason in (None, "DEVICE_MODE")
    return filter_reason is not None


@pytest.mark.parametrize(
    ("members", "named", "source_type"),
    [
        ({"channel": "web"}, "", "web"),
        ({"channel": "mobile", "context": IOS}, "", "ios"),
        ({"channel": "mobile", "context": ANDROID}, "", "android"),
        ({"channel": "mobile", "context": {"os": {"name": "Windows"}}}, "", None),
        ({"channel": "mobile"}, "", None),
        ({"channel": "mobile", "context": {"device": {"type": "ios"}}}, "", None),
        ({"channel": "Web"}, "", None),
        ({"channel": "server"}, "", None),
        ({"channel": ["web"]}, "", None),
        ({}, "", None),
        ({"channel": "web"}, "cloud", "cloud"),
        ({}, "flutter", "flutter"),
    ],
    ids=str,
)
def test_11_3_the_source_type_is_named_or_follows_from_the_channel(
    members: dict[str, Any], named: str, source_type: str | None
) -> None:
    """The caller's word first; else channel web, or mobile with a known system; else unknown."""
    event = track(**members)
    for declared_type in ("web", "ios", "android", "cloud", "flutter", "server", "mobile"):
        filtered = declared_type == source_type
        assert mode(event, named, connectionMode={declared_type: "device"}) == filtered
        assert mode(event, named, useNativeSDK={declared_type: True}) == filtered


MODES: dict[str, tuple[dict[str, Any], bool, bool]] = {
    # settings, filtered for an unnamed web event, filtered for a source named web
    "device": ({"connectionMode": {"web": "device"}}, True, True),
    "cloud": ({"connectionMode": {"web": "cloud"}}, False, False),
    "hybrid": ({"connectionMode": {"web": "hybrid"}}, False, False),
    "other-case": ({"connectionMode": {"web": "Device"}}, False, False),
    "native": ({"useNativeSDK": {"web": True}}, True, True),
    "not-native": ({"useNativeSDK": {"web": False}}, False, False),
    "native-text": ({"useNativeSDK": {"web": "true"}}, False, False),
    "mode-over-native": (
        {"connectionMode": {"web": "cloud"}, "useNativeSDK": {"web": True}},
        False,
        False,
    ),
    "mode-of-others": (
        {"connectionMode": {"ios": "cloud"}, "useNativeSDK": {"web": True}},
        True,
        True,
    ),
    "null-mode": ({"connectionMode": {"web": None}, "useNativeSDK": {"web": True}}, True, True),
    "odd-mode": ({"connectionMode": {"web": 5}, "useNativeSDK": {"web": True}}, True, True),
    "odd-modes": ({"connectionMode": ["device"], "useNativeSDK": {"web": True}}, True, True),
    "plain-device": ({"connectionMode": "device"}, False, True),
    "plain-native": ({"useNativeSDK": True}, False, True),
    "plain-cloud-native": (
        {"connectionMode": "cloud", "useNativeSDK": {"web": True}},
        True,
        False,
    ),
    "plain-both": ({"connectionMode": "cloud", "useNativeSDK": True}, False, False),
    "nothing": ({}, False, False),
}


@pytest.mark.parametrize(("config", "unnamed", "named"), MODES.values(), ids=MODES)
def test_11_3_device_mode_filters_only_where_it_is_certain(
    config: dict[str, Any], *, unnamed: bool, named: bool
) -> None:
    """connectionMode decides, else useNativeSDK; a plain value only for a source that is named."""
    event = track(channel="web")
    assert mode(event, **config) == unnamed
    assert mode(event, "web", **config) == named


def consents(*ids: str) -> list[dict[str, str]]:
    """Consents as the dashboard writes them."""
    return [{"consent": consent_id} for consent_id in ids]


def rule(provider: str, *ids: str, strategy: str = "and") -> dict[str, Any]:
    """An entry of consentManagement."""
    return {"provider": provider, "resolutionStrategy": strategy, "consents": consents(*ids)}


def denying(*ids: object, **management: object) -> dict[str, Any]:
    """A web event whose person denied these consents."""
    denial = {"deniedConsentIds": list(ids)} | management
    return track(channel="web", context={"consentManagement": denial})


ONE_TRUST: dict[str, Any] = {
    "oneTrustCookieCategories": [{"oneTrustCookieCategory": category} for category in ("a", "b")]
}
KETCH: dict[str, Any] = {"ketchConsentPurposes": [{"purpose": purpose} for purpose in ("a", "b")]}
CUSTOM_AND = {"consentManagement": [rule("custom", "a", "b")]}
CUSTOM_OR = {"consentManagement": [rule("custom", "a", "b", strategy="or")]}
ONE_TRUST_RULE = {"consentManagement": [rule("oneTrust", "a", "b", strategy="or")]}

CONSENTS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "custom-one-denied": (denying("a", provider="custom"), CUSTOM_AND, True),
    "custom-none-denied": (denying("c", provider="custom"), CUSTOM_AND, False),
    "custom-or-one": (denying("a", provider="custom"), CUSTOM_OR, False),
    "custom-or-all": (denying("b", "a", "c", provider="custom"), CUSTOM_OR, True),
    "custom-ignores-the-events-strategy": (
        denying("a", provider="custom", resolutionStrategy="or"),
        CUSTOM_AND,
        True,
    ),
    "the-events-strategy-or": (
        denying("a", provider="oneTrust", resolutionStrategy="or"),
        ONE_TRUST_RULE,
        False,
    ),
    "the-events-strategy-or-all": (
        denying("a", "b", provider="oneTrust", resolutionStrategy="or"),
        ONE_TRUST_RULE,
        True,
    ),
    "not-the-rules-strategy": (
        denying("a", provider="oneTrust", resolutionStrategy="and"),
        ONE_TRUST_RULE,
        True,
    ),
    "no-strategy": (denying("a", provider="oneTrust"), ONE_TRUST_RULE, True),
    "odd-strategy": (
        denying("a", provider="oneTrust", resolutionStrategy=["or"]),
        ONE_TRUST_RULE,
        True,
    ),
    "strategy-in-other-case": (
        denying("a", provider="oneTrust", resolutionStrategy="OR"),
        ONE_TRUST_RULE,
        True,
    ),
    "another-provider": (denying("a", "b", provider="ketch"), CUSTOM_AND, False),
    "no-provider": (denying("a", "b"), {"consentManagement": [rule("", "a")]}, True),
    "first-rule-decides": (
        denying("z", provider="custom"),
        {"consentManagement": [rule("custom", "a"), rule("custom", "z")]},
        False,
    ),
    "blank-rule-is-passed-over": (
        denying("z", provider="custom"),
        {"consentManagement": [rule("custom", "", " "), rule("custom", "z")]},
        True,
    ),
    "rule-decides-before-categories": (
        denying("a", provider="oneTrust"),
        {"consentManagement": [rule("oneTrust", "x")]} | ONE_TRUST,
        False,
    ),
    "categories-one": (denying("b"), ONE_TRUST, True),
    "categories-of-provider": (denying("b", provider="oneTrust"), ONE_TRUST, True),
    "categories-none": (denying("c"), ONE_TRUST, False),
    "categories-other-provider": (denying("a", "b", provider="ketch"), ONE_TRUST, False),
    "categories-provider-case": (denying("a", provider="onetrust"), ONE_TRUST, False),
    "categories-after-other-rules": (
        denying("a", provider="oneTrust"),
        {"consentManagement": [rule("custom", "x")]} | ONE_TRUST,
        True,
    ),
    "categories-after-blank-rules": (
        denying("a", provider="oneTrust"),
        {"consentManagement": [rule("oneTrust")]} | ONE_TRUST,
        True,
    ),
    "purposes-one": (denying("a"), KETCH, False),
    "purposes-all": (denying("a", "b"), KETCH, True),
    "purposes-of-provider": (denying("a", "b", provider="ketch"), KETCH, True),
    "purposes-other-provider": (denying("a", "b", provider="custom"), KETCH, False),
    "categories-decide-before-purposes": (
        denying("a", "b"),
        {"oneTrustCookieCategories": [{"oneTrustCookieCategory": "c"}]} | KETCH,
        False,
    ),
    "empty-categories-do-not": (
        denying("a", "b"),
        {"oneTrustCookieCategories": [{"oneTrustCookieCategory": ""}]} | KETCH,
        True,
    ),
    "ketch-passes-categories": (denying("a", "b", provider="ketch"), ONE_TRUST | KETCH, True),
    "per-source": (
        denying("a"),
        {"oneTrustCookieCategories": {"web": ONE_TRUST["oneTrustCookieCategories"]}},
        True,
    ),
    "per-other-source": (
        denying("a"),
        {"oneTrustCookieCategories": {"ios": ONE_TRUST["oneTrustCookieCategories"]}},
        False,
    ),
    "rules-per-source": (
        denying("a", provider="custom"),
        {"consentManagement": {"web": [rule("custom", "a")], "ios": []}},
        True,
    ),
    "denied-blank": (denying("", None, 5, provider="custom"), CUSTOM_AND, False),
    "denied-nothing": (denying(provider="custom"), CUSTOM_AND, False),
    "denied-text": (denying(deniedConsentIds="a", provider="custom"), CUSTOM_AND, False),
    "denied-mixed": (denying(5, "a", {}, provider="custom"), CUSTOM_AND, True),
    "odd-management": (track(context={"consentManagement": ["a"]}), ONE_TRUST, False),
    "no-settings": (denying("a", "b"), {}, False),
}


@pytest.mark.parametrize(("event", "config", "filtered"), CONSENTS.values(), ids=CONSENTS)
def test_11_3_consent(event: dict[str, Any], config: dict[str, Any], *, filtered: bool) -> None:
    """The provider's own rule, else OneTrust's categories, else Ketch's purposes."""
    assert reason(event, **config) == ("CONSENT" if filtered else None)


def test_11_3_plain_lists_count_for_every_source() -> None:
    """Unlike device mode, a plain list of consents counts whether the source is known or not."""
    event = denying("a", "b")
    for members in ({}, {"channel": "server"}, {"channel": None}):
        for config in (ONE_TRUST, KETCH, {"consentManagement": [rule("", "a")]}):
            assert reason(event | members, **config) == "CONSENT"


@pytest.mark.parametrize("kind", ["nonsense", None, "track", "identify", "record"])
def test_11_3_filters_come_before_everything_else_about_the_event(kind: object) -> None:
    """What would be refused is filtered all the same, whatever its type."""
    event = {"type": kind, "userId": [], "channel": "web"}
    assert reason(event, connectionMode={"web": "device"}) == "DEVICE_MODE"
    assert reason(denying("a") | {"type": kind}, **ONE_TRUST) == "CONSENT"


def test_11_3_what_is_no_event_is_not_filtered() -> None:
    """Only after 1.1 is there anything to filter."""
    outcome, _ = sent(b'{"channel":"web"', connectionMode={"web": "device"})
    assert outcome.error is not None
    assert outcome.error.code == "INVALID_JSON"


def test_11_3_event_filtering_is_the_sdks_business() -> None:
    """eventFilteringOption and its lists filter nothing."""
    config = {
        "eventFilteringOption": "blacklistedEvents",
        "blacklistedEvents": [{"eventName": "e"}],
        "whitelistedEvents": [],
    }
    assert reason(track(channel="web"), "web", **config) is None


@pytest.mark.parametrize(
    "key",
    [
        "connectionMode",
        "useNativeSDK",
        "consentManagement",
        "oneTrustCookieCategories",
        "ketchConsentPurposes",
    ],
)
@pytest.mark.parametrize(
    "value", [5, {"web": 5}, {"web": {"a": 1}}, {"web": "{{ a || b }}"}], ids=str
)
def test_11_3_malformed_settings_are_reported_and_ignored(key: str, value: object) -> None:
    """A filter nobody understands must not stop the mail; CheckDestination hears of it (11.1)."""
    event = denying("a", "b")
    assert reason(event, "web", **{key: value}) is None
    config = {"siteID": "s", "apiKey": "k", key: value}
    usable, problems = read_destination(json.dumps(config).encode())
    assert usable is not None
    if key != "connectionMode" or not isinstance(value, dict) or not isinstance(value["web"], str):
        assert [(problem.key, problem.fatal) for problem in problems] == [(key, False)]
