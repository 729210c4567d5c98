"""Every scenario with every driver. `make test-polyglot` prints the table."""

from functools import cache
from pathlib import Path

import pytest

from .judging import problems
from .languages import LANGUAGES, Language
from .playing import play
from .scenarios import SCENARIOS, Scenario


@cache
def built(language: Language) -> Language:
    """The language, with its driver built once."""
    language.make()
    return language


@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", LANGUAGES, ids=lambda found: found.name)
def test_the_driver_can_be_built(language: Language) -> None:
    """Apart from the scenarios, so that building takes none of their time."""
    language.require()
    built(language)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", LANGUAGES, ids=lambda found: found.name)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda found: found.name)
def test_scenario(scenario: Scenario, language: Language, tmp_path: Path) -> None:
    """What the scenario's file says in `about`."""
    language.require()
    if reason := scenario.not_applicable.get(language.name) or language.lacks(scenario.listen):
        pytest.skip(reason)
    found = problems(scenario, play(scenario, built(language), tmp_path))
    assert not found, "\n".join([scenario.about, *found])
