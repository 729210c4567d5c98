"""The transform twice in one process: compiled, as this process has it, and in pure Python beside it."""

import os
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from ciosidecar_transform import native

_PACKAGE = "ciosidecar_transform"
_VARIABLE = "CIOSIDECAR_NATIVE"


def require_compiled() -> None:
    """Skip a module of tests where this process runs in pure Python; with REQUIRE_ALL, fail."""
    if native.module is None:
        say: Callable[..., Any] = pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip
        say(
            native.reason, **({} if os.environ.get("REQUIRE_ALL") else {"allow_module_level": True})
        )


def _in_python() -> dict[str, ModuleType]:
    """Return the modules of a second copy of the transform, by name. The first stays the one that is imported."""
    first = _take_out()
    choice = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "never"
    try:
        import_module(_PACKAGE)
        for name in first:
            import_module(name)
        return _take_out()
    finally:
        _take_out()
        sys.modules.update(first)
        if choice is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = choice


def _take_out() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]
    return {name: sys.modules.pop(name) for name in names}


import_module(f"{_PACKAGE}.pipeline")
_PYTHON = _in_python()


def compiled(module: str) -> Any:
    """Return a module of the compiled transform, by its name in the package; "" is the package."""
    return import_module(f"{_PACKAGE}.{module}".rstrip("."))


def in_python(module: str) -> Any:
    """Return the same module of the transform in pure Python."""
    return _PYTHON[f"{_PACKAGE}.{module}".rstrip(".")]


def behaviour(function: Callable[..., Any], *arguments: Any) -> tuple[str, str]:
    """Return the type and the value of what a function returns, or the name of its exception."""
    try:
        result = function(*arguments)
    except Exception as problem:  # noqa: BLE001 - whichever it is, the other must raise it too
        return "raises", type(problem).__name__
    return type(result).__name__, repr(result)
