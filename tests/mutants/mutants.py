"""All mutants of a file, and a seeded sample of all files' mutants.

A place counts once, however many operators could stand there: otherwise twelve variants of each `+` would be most of
the sample. The sample goes by the hash of a mutant's name, so that a change of the code changes little of it.
"""

import ast
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from .operators import OPERATORS
from .parts import ROOT

# They need arguments that name variables.
_WITH_ARGUMENTS = ("core/VariableInserter", "core/VariableReplacer")


class Mutant(NamedTuple):
    """One change of one place."""

    file: str
    lines: range
    operator: str
    old: str
    new: str
    source: str
    """The whole file."""
    mutated: str
    """The whole file with the change."""

    @property
    def name(self) -> str:
        """Return the name by which results and explanations know the mutant. It holds while its line stays as it is."""
        return f"{self.file}: {self.old} → {self.new}"


_Position = tuple[int, int]
"""Line and column."""


class _Place(NamedTuple):
    start: _Position
    end: _Position
    operator: type[Any]
    occurrence: int


class _Choice(NamedTuple):
    """A place, and the operator that was chosen of those that could stand there."""

    order: bytes
    file: str
    source: str
    place: _Place


def sample(files: Iterable[str], size: int, seed: int) -> list[Mutant]:
    """Return a sample of the files' mutants, in the order of their hashes: the first part of it is a sample, too."""
    choices = sorted((choice for file in files for choice in _choices(file, seed)), key=_order)
    mutants: dict[str, Mutant] = {}
    for choice in choices:
        if len(mutants) == size:
            break
        mutant = _mutant(choice)
        if mutant is not None and mutant.name not in mutants:
            mutants[mutant.name] = mutant
    return list(mutants.values())


def _order(choice: _Choice) -> bytes:
    return choice.order


def _choices(file: str, seed: int) -> Iterator[_Choice]:
    """Yield one choice for each place of a file. A statement, and what it begins with, are two places."""
    source = (ROOT / file).read_text()
    lines, idle = source.splitlines(), _without_effect(source)
    groups: dict[tuple[_Position, bool], list[_Place]] = {}
    for place in _places(source):
        if not any(start <= place.start < end for start, end in idle):
            groups.setdefault((place.start, place.operator in OPERATORS), []).append(place)
    seen: Counter[str] = Counter()
    for ((line, column), is_statement), places in sorted(groups.items()):
        text = f"{seed} {file} {lines[line - 1]} {column} {is_statement}"
        order = hashlib.sha256(f"{text} {seen[text]}".encode()).digest()
        seen[text] += 1
        place = places[int.from_bytes(order[:8]) % len(places)]
        yield _Choice(order, file, source, place)


def _mutant(choice: _Choice) -> Mutant | None:
    """Return the mutant of a choice, or None if it is no Python, or the same program."""
    source, place = choice.source, choice.place
    try:
        mutated = str(mutate_code(source, place.operator(), place.occurrence))
        if ast.dump(ast.parse(mutated)) == ast.dump(ast.parse(source)):
            return None
    except (
        SyntaxError,
        AttributeError,
    ):  # cosmic-ray cannot replace an exception with a dotted name
        return None
    return Mutant(
        choice.file,
        range(place.start[0], place.end[0] + 1),
        place.operator.__name__,
        *_difference(source, mutated),
        source,
        mutated,
    )


def _places(source: str) -> Iterator[_Place]:
    tree = get_ast(source)
    nodes = list(ast_nodes(tree))
    for operator in _operators():
        instance, occurrence = operator(), 0
        for node in nodes:
            for start, end in instance.mutation_positions(node):
                yield _Place(start, end, operator, occurrence)
                occurrence += 1


def _operators() -> list[type[Any]]:
    of_cosmic_ray = [get_operator(name) for name in operator_names() if name not in _WITH_ARGUMENTS]
    return [*of_cosmic_ray, *OPERATORS]


def _without_effect(source: str) -> list[tuple[_Position, _Position]]:
    """Return where annotations, protocols' bodies and what only a type checker reads begin and end."""
    nodes: list[ast.expr | ast.stmt] = []
    for node in ast.walk(ast.parse(source)):
        nodes.extend(_annotations(node))
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.dump(b) for b in node.bases):
            nodes.append(node)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes.append(node)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in nodes
    ]


def _annotations(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
        yield node.annotation
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
        yield node.returns
    if isinstance(node, ast.Assign) and _is_type(node.value):
        yield node.value


def _is_type(value: ast.expr) -> bool:
    """Return whether a value is a type that only a type checker reads, such as `A | B`."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
        sides = (value.left, value.right)
        return all(isinstance(side, ast.Name | ast.Subscript | ast.BinOp) for side in sides)
    return isinstance(value, ast.Subscript) and "Callable" in ast.unparse(value)


def _difference(source: str, mutated: str) -> tuple[str, str]:
    """Return the first line that differs, before and after."""
    before, after = source.splitlines(), mutated.splitlines()
    same = next(n for n, (old, new) in enumerate(zip(before, after, strict=False)) if old != new)
    return before[same].strip(), after[same].strip()
