"""Two operators that cosmic-ray lacks: a statement that is left out, and a value that is not returned.

Most of what was tried by hand from outside is of these two kinds.
"""

from collections.abc import Iterator
from typing import Any

import parso
from cosmic_ray.operators.operator import Example, Operator

_Position = tuple[tuple[int, int], tuple[int, int]]


class LeaveOutStatement(Operator):  # type: ignore[misc]  # cosmic-ray ships no types
    """Replaces an assignment, a call or another simple statement with `pass`."""

    def mutation_positions(self, node: Any) -> Iterator[_Position]:
        """Yield the position of a simple statement in a function."""
        if _is_simple(node) and _in_function(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Return `pass` in the statement's place."""
        return _code(node, "pass")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Return an example for cosmic-ray's own tests."""
        return (Example("def f():\n    x()", "def f():\n    pass"),)


class ReturnNothing(Operator):  # type: ignore[misc]  # as above
    """Replaces a returned value with None."""

    def mutation_positions(self, node: Any) -> Iterator[_Position]:
        """Yield the position of a value that is returned."""
        if node.type == "return_stmt" and node.children[1].get_code().strip() != "None":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Return the statement with None for its value."""
        return _code(node, "return None")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Return an example for cosmic-ray's own tests."""
        return (Example("def f():\n    return x", "def f():\n    return None"),)


def _is_simple(node: Any) -> bool:
    """Return whether a node is a statement of its own that does something. Docstrings do nothing."""
    statement = getattr(node, "parent", None)
    if statement is None or statement.type != "simple_stmt" or node.type in {"newline", "operator"}:
        return False
    if node.type in {"return_stmt", "import_from", "import_name", "string", "strings", "keyword"}:
        return False
    return bool(node.get_code().strip() != "...")


def _in_function(node: Any) -> bool:
    return node.search_ancestor("funcdef") is not None


def _code(node: Any, text: str) -> Any:
    """Return other code with the white space that stands before a node."""
    return parso.parse(node.get_first_leaf().prefix + text)


OPERATORS = (LeaveOutStatement, ReturnNothing)
