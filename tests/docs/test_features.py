"""The README's table of features names a test for each line of ours, and it is there."""

import re

from tests.docs.pages import ROOT


def test_every_line_that_says_yes_names_tests_that_are_there() -> None:
    """A file below tests/ with tests in it."""
    section = ROOT.joinpath("README.md").read_text().partition("## What it does, beside others")[2]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.partition("\n## ")[0].splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| |"))
    ]
    assert len(rows) > 20
    for feature, ours, *_, test in rows:
        assert ours.startswith("yes"), feature
        path = ROOT / "tests" / test.strip("`")
        assert re.search(r"^(async )?def test_", path.read_text(), re.MULTILINE), feature
