"""The engines by name. One whose package is missing says how to install it."""

from collections.abc import Callable

from . import Engine
from .local import LocalEngine

NAMES = ("local", "ray", "spark")


def make_engine(name: str, workers: int | None) -> Engine:
    """Return the engine of a name."""
    return _ENGINES[name](workers)


def _local(workers: int | None) -> Engine:
    return LocalEngine(workers=workers)


_ENGINES: dict[str, Callable[[int | None], Engine]] = {"local": _local}
