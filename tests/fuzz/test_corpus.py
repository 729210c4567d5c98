"""Every input of the corpus, and every input that once broke a promise, through its target."""

from pathlib import Path

import pytest

from .corpus import CORPUS, inputs
from .targets import TARGETS

_KEPT = [(target, path) for target in TARGETS for path in inputs(target)]


@pytest.mark.parametrize(
    ("target", "path"), _KEPT, ids=[f"{target}-{path.name}" for target, path in _KEPT]
)
def test_no_input_breaks_a_promise_again(target: str, path: Path) -> None:
    """What is true of any bytes is true of these."""
    TARGETS[target](path.read_bytes())


def test_each_target_has_a_corpus() -> None:
    """A target without seeds would be fuzzed from nothing."""
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
