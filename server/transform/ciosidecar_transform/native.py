"""Choose between the compiled parts, distribution ciosidecar-native, and their twins in Python.

`CIOSIDECAR_NATIVE` is `auto` (the default: compiled if it is there and fits), `require` or `never`.
No other module imports the compiled parts. If the choice cannot be met, importing this module raises an
ImportError whose name is `ciosidecar_native`, and whose text says what to do.
"""

import os
import struct
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

INTERFACE: Final = 3
"""The number of the interface that this version needs; src/lib.rs of server/native has its own."""
PARTS: Final = (
    *("any_longer", "event_body", "event_item", "hashed_ulid", "is_utf8", "unix_millis"),
    *("ResultsMessage", "read_stream_batch", "read_unary_batch"),
)
"""What the interface has. A package that was built in the middle of a change of it may lack some."""

_VARIABLE = "CIOSIDECAR_NATIVE"
_NAME = "ciosidecar_native"
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _load(choice: str) -> tuple[ModuleType | None, str]:
    """Return the compiled module, or None and the reason why Python is used.

    Raises:
        ImportError: `choice` is `require` and there is a reason, or it is no known value.
    """
    if choice not in ("auto", "require", "never"):
        raise ImportError(f"{_VARIABLE} must be auto, require or never, not {choice!r}", name=_NAME)
    if choice == "never":
        return None, f"{_VARIABLE} is never"
    loaded, problem = _import()
    if loaded is None and choice == "require":
        raise ImportError(
            f"{_VARIABLE} is require, but {problem}. Install the ciosidecar-native of this version"
            f" for this Python and processor (in a clone: make setup), or set {_VARIABLE}=auto to go on in pure Python",
            name=_NAME,
        )
    return loaded, problem


def _import() -> tuple[ModuleType | None, str]:
    try:
        if _is_cut_off():
            return None, "the file of ciosidecar-native is cut off"
        loaded = import_module(_NAME)
    except ModuleNotFoundError as error:
        if error.name == _NAME:
            return None, "ciosidecar-native is not installed"
        return None, f"ciosidecar-native does not load with this Python: {error}"
    except Exception as error:  # noqa: BLE001 - a foreign or broken file fails in ways of its own
        return None, f"ciosidecar-native does not load: {error}"
    found = getattr(loaded, "INTERFACE", None)
    if found != INTERFACE:
        return None, f"ciosidecar-native has interface {found}, and this version needs {INTERFACE}"
    missing = [name for name in PARTS if not hasattr(loaded, name)]
    if missing:
        return None, f"ciosidecar-native lacks {', '.join(missing)}"
    return loaded, ""


def _is_cut_off() -> bool:
    """Return whether the compiled file ends before what its header says. To load it would end the process.

    ELF, the format of Linux, has the table of its sections at the end.
    """
    spec = find_spec(_NAME)
    folders = (spec and spec.submodule_search_locations) or ()
    for file in (file for folder in folders for file in Path(folder).glob("*.so")):
        with file.open("rb") as opened:
            header = opened.read(64)
        if header[:6] == b"\x7fELF\x02\x01" and len(header) == 64:
            (table,) = struct.unpack_from("<Q", header, 40)
            entry_bytes, entries = struct.unpack_from("<HH", header, 58)
            if file.stat().st_size < table + entry_bytes * entries:
                return True
    return False


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
