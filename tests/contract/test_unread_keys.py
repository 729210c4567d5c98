"""CheckDestination names the keys that nobody reads: a typing mistake must not pass in silence."""

import json
from typing import Any

import pytest
from ciosidecar import v1
from ciosidecar_transform.settings.table import SETTINGS

from tests.conftest import CONFIG, Stub, opened


async def notes(stub: Stub, config: bytes) -> dict[str, str]:
    """What is said, by key, of a destination that is usable all the same."""
    request = v1.CheckDestinationRequest(destination=v1.Destination(config_json=config))
    answer: Any = await stub.CheckDestination(request)
    assert answer.usable
    assert not any(problem.fatal for problem in answer.problems)
    return {problem.key: problem.message for problem in answer.problems}


def with_key(key: str, value: object = "v") -> bytes:
    return json.dumps(json.loads(CONFIG) | {key: value}).encode()


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("identifyFalback", "identifyFallback"),
        ("siteid", "siteID"),
        ("APIKEY", "apiKey"),
        ("datacenterEu", "datacenterEU"),
        ("apiversion", "apiVersion"),
        ("datacentre", "datacenter"),
        ("deviceTokenEvent", "deviceTokenEventName"),
        ("convert_dates", "convertDates"),
        ("consentManagment", "consentManagement"),
        ("useNativeSdk", "useNativeSDK"),
        ("whitelistedEvent", "whitelistedEvents"),
    ],
)
async def test_a_typing_mistake_is_told_with_what_is_meant(
    stub: Stub, key: str, meant: str
) -> None:
    """The nearest name there is."""
    assert await notes(stub, with_key(key)) == {
        key: f"is no setting, and is ignored (rule 11.1): did you mean {meant}?"
    }


@pytest.mark.parametrize("key", ["", "x", "color", "🙂", "a\nb", "\ud83d"])
async def test_a_key_that_is_like_no_setting_is_told_too(stub: Stub, key: str) -> None:
    """Without a guess."""
    (text,) = (await notes(stub, with_key(key))).values()
    assert text == "is no setting, and is ignored (rule 11.1)"


@pytest.mark.parametrize(
    "key",
    [
        "eventFilteringOption",
        "whitelistedEvents",
        "blacklistedEvents",
        "sendPageNameInSDK",
        "dataUseInApp",
    ],
)
async def test_the_dashboards_other_keys_are_ignored_on_purpose(stub: Stub, key: str) -> None:
    """They are told apart from mistakes."""
    assert (await notes(stub, with_key(key)))[key].endswith("it is ignored here (rule 11.3)")


@pytest.mark.parametrize("name", [name for setting in SETTINGS for name in setting.names])
async def test_settings_are_not_told(stub: Stub, name: str) -> None:
    """Whatever their name; a null counts as not given and still is no mistake."""
    if name not in ("siteID", "apiKey"):
        assert await notes(stub, with_key(name, None)) == {}


async def test_many_and_long_keys_are_bounded(stub: Stub) -> None:
    """A hundred notes at the most, with the beginning of a key."""
    config = json.loads(CONFIG) | {f"{number:05}{'x' * 500}": 1 for number in range(10_000)}
    found = await notes(stub, json.dumps(config).encode())
    assert len(found) == 100
    assert {len(key) for key in found} == {100}


async def test_beside_what_is_wrong(stub: Stub) -> None:
    """A mistake is told with the error that it leads to."""
    request = v1.CheckDestinationRequest(
        destination=v1.Destination(config_json=b'{"siteID": "site", "api_key": "k"}')
    )
    answer: Any = await stub.CheckDestination(request)
    assert not answer.usable
    assert [(one.key, one.fatal) for one in answer.problems] == [
        ("apiKey", True),
        ("api_key", False),
    ]
    assert "did you mean apiKey?" in answer.problems[1].message


async def test_typed_settings_have_no_such_keys(stub: Stub) -> None:
    """All fields are read."""
    typed = v1.DestinationSettings(site_id="site", api_key="key")
    request = v1.CheckDestinationRequest(destination=v1.Destination(typed=typed))
    assert list((await stub.CheckDestination(request)).problems) == []


async def test_streams_are_not_told(stub: Stub) -> None:
    """Ten thousand destinations as the dashboard keeps them would fill a message with notes."""
    declared = v1.Destination(reference_id=1, config_json=with_key("eventFilteringOption"))
    call, answer = await opened(stub, destinations=[declared])
    assert list(answer.problems) == []
    call.cancel()
