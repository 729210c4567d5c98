"""The engines by name. One whose package is missing says how to install it."""

from dataclasses import dataclass
from typing import Literal

from ..errors import EXIT_USAGE, BackfillFailed
from . import Engine
from .local import LocalEngine
from .ray import RayEngine
from .spark import SparkEngine

EngineName = Literal["local", "ray", "spark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What a caller asks of an engine."""

    name: EngineName = "local"
    workers: int | None = None
    """None: one for each CPU."""
    ray_address: str = ""
    spark_master: str = ""


def make_engine(options: EngineOptions) -> Engine:
    """Return the engine that a caller asks for.

    Raises:
        BackfillFailed: What the engine needs is missing, or an option belongs to another engine.
    """
    if options.ray_address and options.name != "ray":
        raise BackfillFailed("--ray-address is for --engine ray", EXIT_USAGE)
    if options.spark_master and options.name != "spark":
        raise BackfillFailed("--spark-master is for --engine spark", EXIT_USAGE)
    if options.name == "ray":
        return RayEngine(workers=options.workers, address=options.ray_address)
    if options.name == "spark":
        return SparkEngine(workers=options.workers, master=options.spark_master)
    return LocalEngine(workers=options.workers)
