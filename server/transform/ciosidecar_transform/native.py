"""Choose between the compiled parts, distribution ciosidecar-native, and their twins in Python.

`CIOSIDECAR_NATIVE` is `auto` (the default: compiled if it is there and fits), `require` or `never`.
No other module imports the compiled parts.
"""

import os
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, Final, TypeVar

INTERFACE: Final = 1
"""The number of the interface that this version needs; src/lib.rs of server/native has its own."""
VARIABLE: Final = "CIOSIDECAR_NATIVE"

_AUTO, _REQUIRE, _NEVER = "auto", "require", "never"
_Function = TypeVar("_Function", bound=Callable[..., Any])


class NativeError(ImportError):
    """The compiled parts are required and cannot be used, or the variable has an unknown value."""


def _load(choice: str) -> tuple[ModuleType | None, str]:
    """Return the compiled module, or None and the reason why Python is used.

    Raises:
        NativeError: `choice` is `require` and there is a reason, or it is no known value.
    """
    if choice not in (_AUTO, _REQUIRE, _NEVER):
        raise NativeError(f"{VARIABLE} must be {_AUTO}, {_REQUIRE} or {_NEVER}, not {choice!r}")
    if choice == _NEVER:
        return None, f"{VARIABLE} is {_NEVER}"
    loaded, problem = _import()
    if loaded is None and choice == _REQUIRE:
        raise NativeError(
            f"{VARIABLE} is {_REQUIRE}, but {problem}. Install ciosidecar-native in the version of"
            f" ciosidecar-transform, or set {VARIABLE} to {_AUTO}"
        )
    return loaded, problem


def _import() -> tuple[ModuleType | None, str]:
    try:
        loaded = import_module("ciosidecar_native")
    except ModuleNotFoundError as error:
        if error.name == "ciosidecar_native":
            return None, "ciosidecar-native is not installed"
        return None, f"ciosidecar-native does not load with this Python: {error}"
    except Exception as error:  # noqa: BLE001  # a foreign or broken file fails in ways of its own
        return None, f"ciosidecar-native does not load: {error}"
    found = getattr(loaded, "INTERFACE", None)
    if found != INTERFACE:
        return None, f"ciosidecar-native has interface {found}, and this version needs {INTERFACE}"
    return loaded, ""


module, reason = _load(os.environ.get(VARIABLE) or _AUTO)


def implementation() -> str:
    """Return "compiled" or "python"."""
    return "python" if module is None else "compiled"


def twin(function: _Function) -> _Function:
    """Return the compiled function of the same name if it is used, and the given one otherwise.

    A decorator: the function in Python is the reference, and the two behave alike.
    """
    compiled: _Function = getattr(module, function.__name__, function)
    return compiled
