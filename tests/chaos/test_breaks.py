"""The breaks of the chaos fit the server as it is."""

import ast

import pytest

from tests.chaos.breaks import BREAKS, Break, broken_text


@pytest.mark.parametrize("broken", BREAKS, ids=[broken.name for broken in BREAKS])
def test_each_break_has_its_place(broken: Break) -> None:
    """The place is there once, and with the break the file is Python still."""
    ast.parse(broken_text(broken))
