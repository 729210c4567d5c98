"""The table of settings is what the server reads, and what docs/destination.md and the contract say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ciosidecar import v1
from ciosidecar_transform import read_destination
from ciosidecar_transform.settings.destination import settled
from ciosidecar_transform.settings.table import SETTINGS, Setting
from msgspec import Raw

from docs.generate.destination import page
from tests.unit.transform.support import fatal_keys

DOCS = Path(__file__).parents[3] / "docs"
CHOICES = [setting for setting in SETTINGS if setting.kind == "choice"]
FLAGS = [setting for setting in SETTINGS if setting.kind == "flag"]
# What each setting needs beside it.
NEEDS = {"phoneAsIdentifier": {"apiVersion": "v2"}}


def key_of(setting: Setting) -> str:
    """Its name in the output of pytest."""
    return setting.key


class Recorded(dict[str, Raw]):
    """A config that remembers which keys were looked for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked: set[str] = set()

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)


def test_the_table_has_exactly_the_keys_that_are_read() -> None:
    """Neither a setting that nobody reads nor one that nobody documents."""
    config = Recorded({"apiKey": Raw(b'"key"')})
    settled(config)
    assert config.asked == {name for setting in SETTINGS for name in setting.names}


def test_the_page_is_current() -> None:
    """docs/destination.md is what the table writes."""
    assert (DOCS / "destination.md").read_text(encoding="utf-8") == page(), (
        "run: .venv/bin/python -m docs.generate.destination docs/destination.md"
    )


def test_the_page_names_every_setting_once() -> None:
    """With its values, its default and why one would change it."""
    text = page()
    for setting in SETTINGS:
        assert text.count(f"\n## {setting.key}\n") == 1
        assert setting.reason in " ".join(text.split())
        assert f"\n* default: {setting.default}\n" in text


def test_the_examples_on_the_page_work() -> None:
    """Each is a config without a mistake."""
    examples = re.findall(r"```json\n(.*?)```", page(), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        usable, problems = read_destination(example.encode())
        assert usable is not None
        assert all("13.1" in problem.text for problem in problems)


def test_every_rule_it_refers_to_is_written() -> None:
    """A number on the page is a number in docs/rules.md."""
    rules = (DOCS / "rules.md").read_text(encoding="utf-8")
    for setting in SETTINGS:
        assert f"\n**{setting.rule}" in rules, setting.key


def test_every_field_of_the_contract_is_a_setting() -> None:
    """And every setting but the oldest name of the region is a field."""
    fields = {field.name for field in v1.DestinationSettings.DESCRIPTOR.fields}
    assert {setting.typed for setting in SETTINGS if setting.typed} == fields
    assert [setting.key for setting in SETTINGS if not setting.typed] == ["datacenterEU"]


@pytest.mark.parametrize("setting", CHOICES, ids=key_of)
def test_choices_are_those_of_the_table_and_no_others(setting: Setting) -> None:
    """An unknown value is an error that names the choices."""
    for choice in setting.choices:
        assert fatal_keys(**{setting.key: choice}) == []
    for wrong in (setting.choices[0].upper(), "", " ", "default", True, 0):
        config = json.dumps({"siteID": "s", "apiKey": "k", setting.key: wrong}).encode()
        _, (problem,) = read_destination(config)
        assert problem.key == setting.key
        assert problem.fatal
        for choice in setting.choices:
            assert f'"{choice}"' in problem.text


@pytest.mark.parametrize("setting", FLAGS, ids=key_of)
def test_flags_are_true_or_false(setting: Setting) -> None:
    """Nothing that merely looks like it."""
    for good in (True, False, None):
        assert fatal_keys(**{setting.key: good}, **NEEDS.get(setting.key, {})) == []
    wrong: Any
    for wrong in ("true", "", 1, 0, [], {}, [True]):
        assert fatal_keys(**{setting.key: wrong}) == [setting.key]


@pytest.mark.parametrize("setting", [*CHOICES, *FLAGS], ids=key_of)
def test_the_default_of_the_table_is_the_default(setting: Setting) -> None:
    """A setting that is given as its default makes the same destination."""
    default: Any = setting.choices[0] if setting.choices else False
    assert described() == described(**{setting.key: default})
    other: Any = setting.choices[1] if setting.choices else True
    assert described() != described(**{setting.key: other}, **NEEDS.get(setting.key, {}))


def described(**config: Any) -> dict[str, Any]:
    """What a destination is, but for its endpoints."""
    settings = {"siteID": "site", "apiKey": "key"} | config
    usable, problems = settled(
        {name: Raw(json.dumps(setting).encode()) for name, setting in settings.items()}
    )
    assert usable is not None, problems
    names = [name for name in usable.__struct_fields__ if name not in ("endpoints", "writers")]
    return {name: getattr(usable, name) for name in names}


def test_lists_without_their_flag_are_noted() -> None:
    """They change nothing, and say so."""
    config = b'{"siteID": "s", "apiKey": "k", "convertDatesAllow": ["a"], "convertDatesDeny": []}'
    usable, problems = read_destination(config)
    assert usable is not None
    assert [(problem.key, problem.fatal) for problem in problems] == [("convertDatesAllow", False)]


@pytest.mark.parametrize("nested", [b"[" * 900 + b"]" * 900, b'{"a":' * 900 + b"1" + b"}" * 900])
@pytest.mark.parametrize("key", [setting.key for setting in SETTINGS])
def test_a_setting_that_nests_deeply_is_read_like_any_wrong_one(key: str, nested: bytes) -> None:
    """It is refused or passed over, and no fault."""
    config = b'{"siteID": "s", "apiKey": "k", "%b": %b}' % (key.encode(), nested)
    usable, problems = read_destination(config)
    assert (usable is None) == any(problem.fatal for problem in problems)
