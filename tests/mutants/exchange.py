"""A mutant in the place of the code that this process has imported. Only forked processes do that."""

import gc
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType, ModuleType

from .mutants import Mutant
from .parts import ROOT, module_name

_Key = tuple[str, int]


def exchange(mutant: Mutant) -> bool:
    """Give the functions that differ the mutant's code. Return False if something else than functions differs."""
    path = str(ROOT / mutant.file)
    before, after = (compile(text, path, "exec") for text in (mutant.source, mutant.mutated))
    old = dict(_functions(before))
    new = dict(_functions(after))
    if list(old) != list(new) or _own(before) != _own(after):
        return False
    changed = {key for key, code in old.items() if _own(code) != _own(new[key])}
    if any(not old[key].co_flags & 0x1 for key in changed):
        return False  # the body of a class: it ran when the module was imported
    exchanged = False
    for function in [found for found in gc.get_objects() if type(found) is FunctionType]:
        code = function.__code__
        key = code.co_qualname, code.co_firstlineno
        if code.co_filename == path and key in new and _holds(new[key], changed):
            function.__code__ = new[key]
            exchanged = True
    return exchanged


def _functions(code: CodeType) -> Iterator[tuple[_Key, CodeType]]:
    """Yield every code in a code, and its name and line."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield (constant.co_qualname, constant.co_firstlineno), constant
            yield from _functions(constant)


def _own(code: CodeType) -> tuple[object, ...]:
    """Return what a code does, without what is in the functions in it."""
    constants = tuple(repr(value) for value in code.co_consts if not isinstance(value, CodeType))
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars


def _holds(code: CodeType, changed: set[_Key]) -> bool:
    """Return whether a code, or a code in it, changed."""
    own = code.co_qualname, code.co_firstlineno
    return own in changed or any(key in changed for key, _ in _functions(code))


def forget_and_replace(mutant: Mutant) -> None:
    """Forget the project's modules, and give the mutant to whoever imports its module again."""
    for name in list(sys.modules):
        if name.startswith(("ciosidecar_transform", "ciosidecar_server", "tests.")) and not (
            name.startswith("tests.mutants")
        ):
            del sys.modules[name]
    sys.meta_path.insert(0, _Finder(mutant))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._name = module_name(mutant.file)

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        path = str(ROOT / self._mutant.file)
        loader = _Loader(name, path)
        loader.mutated = self._mutant.mutated
        return importlib.util.spec_from_file_location(name, path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    mutated = ""

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.mutated, self.get_filename(fullname), "exec")
