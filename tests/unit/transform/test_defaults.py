"""Defaults of a server for the settings that a destination does not set. Rule 11.1."""

import json
from typing import Any

import pytest
from ciosidecar_transform.settings.defaults import Defaults, read_defaults


def applied(defaults: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The config with defaults, as JSON has it."""
    usable, problems = read_defaults(json.dumps(defaults).encode())
    assert isinstance(usable, Defaults), problems
    result: dict[str, Any] = json.loads(usable.apply(json.dumps(config).encode()))
    return result


def test_a_default_holds_for_a_setting_that_is_missing_or_null() -> None:
    """Not for one that is set, whatever its value."""
    defaults = {"apiVersion": "v2", "updateOnly": True, "eventIds": "none"}
    config = {"apiVersion": "v1", "updateOnly": False, "eventIds": None, "siteID": "s"}
    assert applied(defaults, config) == config | {"eventIds": "none"}
    assert applied(defaults, {}) == defaults


def test_values_keep_their_digits() -> None:
    """The config is not decoded."""
    usable, _ = read_defaults(b'{"apiVersion": "v2"}')
    assert usable is not None
    assert b"12345678901234567890.10" in usable.apply(b'{"x": 12345678901234567890.10}')


@pytest.mark.parametrize(
    ("config", "holds"),
    [
        ({}, True),
        ({"datacenter": ""}, True),
        ({"datacenter": None, "region": None}, True),
        ({"datacenter": "US"}, False),
        ({"region": "US"}, False),
        ({"datacenterEU": False}, False),
        ({"datacenterEU": True}, False),
    ],
)
def test_the_region_has_several_names(config: dict[str, Any], holds: bool) -> None:
    """Any of them keeps the default away, so that no destination contradicts itself."""
    assert (applied({"datacenter": "EU"}, config).get("datacenter") == "EU") is holds


def test_a_blank_kind_of_user_ids_is_none() -> None:
    """As rule 3.8 has it."""
    defaults = {"userIdIdentifierType": "email", "apiVersion": "v2"}
    assert applied(defaults, {"userIdIdentifierType": ""})["userIdIdentifierType"] == "email"


@pytest.mark.parametrize("config", [b"", b"{", b"[]", b"\xff", b'"text"', b"[" * 5000])
def test_a_config_that_cannot_be_read_stays_as_it_is(config: bytes) -> None:
    """Its problem is told elsewhere."""
    usable, _ = read_defaults(b'{"apiVersion": "v2"}')
    assert usable is not None
    assert usable.apply(config) == config


def test_no_defaults_change_nothing() -> None:
    """Nor does null, which counts as missing."""
    assert applied({"apiVersion": None}, {"siteID": "s"}) == {"siteID": "s"}


@pytest.mark.parametrize(
    ("defaults", "key"),
    [
        ({"apiversion": "v2"}, "apiversion"),
        ({"whitelistedEvents": []}, "whitelistedEvents"),
        ({"siteID": "s"}, "siteID"),
        ({"siteId": "s"}, "siteId"),
        ({"apiKey": "k"}, "apiKey"),
        ({"apiVersion": "v3"}, "apiVersion"),
        ({"updateOnly": "yes"}, "updateOnly"),
        ({"datacenter": "US", "datacenterEU": True}, "datacenter"),
        ({"phoneAsIdentifier": True}, "phoneAsIdentifier"),
    ],
)
def test_wrong_defaults_are_refused_by_key(defaults: dict[str, Any], key: str) -> None:
    """A key that is no setting, a credential, a wrong value, a contradiction."""
    usable, problems = read_defaults(json.dumps(defaults).encode())
    assert usable is None
    assert [problem.key for problem in problems if problem.fatal] == [key]


def test_a_template_may_be_a_default() -> None:
    """Each event fills it in."""
    usable, problems = read_defaults(b'{"datacenter": "{{ context.region || EU }}"}')
    assert usable is not None
    assert not any(problem.fatal for problem in problems)
