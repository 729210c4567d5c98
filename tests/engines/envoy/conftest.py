"""The programs of tests/polyglot, built once."""

import pytest

from tests.polyglot.languages import LANGUAGES


@pytest.fixture(scope="session")
def _drivers() -> None:
    for language in LANGUAGES:
        language.require()
        language.make()
