"""Choose between the compiled parts, distribution ciosidecar-native, and their twins in Python.

`CIOSIDECAR_NATIVE` is `auto` (the default: compiled if it is there and fits), `require` or `never`.
No other module imports the compiled parts. If the choice cannot be met, importing this module raises an
ImportError whose name is `ciosidecar_native`, and whose text says what to do.
"""

import os
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, Final, TypeVar

from .native_file import damage

INTERFACE: Final = 4
"""The number of the interface that this version needs; src/lib.rs of server/native has its own."""
PARTS: Final = (
    *("any_longer", "event_body", "event_item", "hashed_ulid", "is_utf8", "unix_millis"),
    *("ResultsMessage", "read_stream_batch", "read_unary_batch"),
)
"""What the interface has. A package that was built in the middle of a change of it may lack some."""

_VARIABLE = "CIOSIDECAR_NATIVE"
_NAME = "ciosidecar_native"
_INSTALL = "install the ciosidecar-native of this version for this Python and processor (in a clone: make setup)"
_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Unusable(Exception):
    """The package cannot be used. The text says why."""

    def __init__(self, problem: str, remedy: str = _INSTALL) -> None:
        """remedy: what to do about it. Optional."""
        super().__init__(problem)
        self.remedy = remedy


def _load(choice: str) -> tuple[ModuleType | None, str]:
    """Return the compiled module, or None and the reason why Python is used.

    Raises:
        ImportError: `choice` is `require` and there is a reason, or it is no known value.
    """
    if choice not in ("auto", "require", "never"):
        raise ImportError(f"{_VARIABLE} must be auto, require or never, not {choice!r}", name=_NAME)
    if choice == "never":
        return None, f"{_VARIABLE} is never"
    try:
        return _import(), ""
    except _Unusable as problem:
        if choice == "require":
            remedy = problem.remedy or _INSTALL
            raise ImportError(
                f"{_VARIABLE} is require, but {problem}; {remedy}, or set {_VARIABLE}=auto to go on in pure Python",
                name=_NAME,
            ) from None
        return None, f"{problem}; {problem.remedy}" if problem.remedy else str(problem)


def _import() -> ModuleType:
    """Return the compiled module. Raise _Unusable if it is missing, damaged or of another version."""
    try:
        if (found := damage(_NAME)) is not None:
            raise _Unusable(*found)
        loaded = import_module(_NAME)
    except _Unusable:
        raise
    except ModuleNotFoundError as error:
        if error.name == _NAME:
            # Whoever goes without may have chosen to, and needs no advice.
            raise _Unusable("ciosidecar-native is not installed", "") from None
        raise _Unusable(f"ciosidecar-native does not load with this Python: {error}") from None
    except Exception as error:  # noqa: BLE001 - a foreign or broken file fails in ways of its own
        raise _Unusable(f"ciosidecar-native does not load: {error}") from None
    interface = getattr(loaded, "INTERFACE", None)
    if interface != INTERFACE:
        raise _Unusable(
            f"ciosidecar-native has interface {interface}, and this version needs {INTERFACE}"
        )
    missing = [name for name in PARTS if not hasattr(loaded, name)]
    if missing:
        raise _Unusable(f"ciosidecar-native lacks {', '.join(missing)}")
    return loaded


module, reason = _load(os.environ.get(_VARIABLE, "").strip() or "auto")


def implementation() -> str:
    """Return "compiled" or "python"."""
    return "python" if module is None else "compiled"


def twin(function: _Function) -> _Function:
    """Return the compiled function of the same name if it is used, and the given one otherwise.

    A decorator: the function in Python is the reference, and the two behave alike.
    """
    if module is None:
        return function
    compiled: _Function = getattr(module, function.__name__)
    return compiled
