"""The engines by name. One whose package is missing says how to install it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from ..errors import EXIT_USAGE, BackfillFailed
from . import Engine
from .local import LocalEngine
from .ray import RayEngine
from .spark import SparkEngine


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Where the workers run."""

    engine: Literal["local", "ray", "spark"] = "local"
    """Where the workers run: in processes of this machine, on Ray or on Spark."""

    workers: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None
    """Number of tasks at a time on this machine. Defaults to its CPUs; with the local engine, 1 starts no
    process. A cluster has its own number."""

    ray_address: str = ""
    """Address of a Ray cluster. Defaults to RAY_ADDRESS, or to a Ray of this machine that ends with the
    command."""

    spark_master: str = ""
    """URL of a Spark master. Defaults to that of spark-submit or spark-defaults.conf, or to a Spark of this
    machine that ends with the command."""


def make_engine(options: EngineOptions) -> Engine:
    """Return the engine that a caller asks for.

    Raises:
        BackfillFailed: What the engine needs is missing, or an option belongs to another engine.
    """
    if options.ray_address and options.engine != "ray":
        raise BackfillFailed("--ray-address is for --engine ray", EXIT_USAGE)
    if options.spark_master and options.engine != "spark":
        raise BackfillFailed("--spark-master is for --engine spark", EXIT_USAGE)
    if options.engine == "ray":
        return RayEngine(workers=options.workers, address=options.ray_address)
    if options.engine == "spark":
        return SparkEngine(workers=options.workers, master=options.spark_master)
    return LocalEngine(workers=options.workers)
