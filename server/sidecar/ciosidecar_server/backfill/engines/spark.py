"""The Spark engine: tasks on a Spark cluster, or on a Spark of this machine alone."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import EXIT_USAGE, BackfillFailed
from .attempts import LOST_WORKER, PACKAGE_HINT, Attempt, attempt

Task = TypeVar("Task")
Result = TypeVar("Result")

MISSING = "the Spark engine needs the package pyspark: pip install 'ciosidecar-server[spark]'"
NO_JAVA = (
    "the Spark engine needs Java 17 or later, named by JAVA_HOME or on the PATH"
    " (Debian: apt-get install openjdk-17-jre-headless)"
)
NO_PYTHON = (
    "PYSPARK_PYTHON is not set: name the Python on the workers that has ciosidecar-server, as in"
    " PYSPARK_PYTHON=/opt/ciosidecar/bin/python"
)
_MAX_ATTEMPTS = 4
# Java only schedules: with these it starts in half the CPU time (8.6 s instead of 16.2 s, with twelve small tasks).
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_END_S = 20


class SparkEngine:
    """A Spark job for each step, with one Spark task for each task."""

    def __init__(self, *, workers: int | None = None, master: str = "") -> None:
        """Create the engine. Spark is started with the first task.

        Args:
            workers: The number of threads of a Spark of this machine. A cluster has its own.
            master: The URL of a Spark master. "" for that of spark-submit or spark-defaults.conf, or a Spark of this
                machine.
        """
        try:
            import pyspark  # noqa: F401, PLC0415 - an extra
        except ModuleNotFoundError as missing:
            if missing.name != "pyspark":
                raise
            raise BackfillFailed(MISSING, EXIT_USAGE) from None
        if not _java():
            raise BackfillFailed(NO_JAVA, EXIT_USAGE)
        self._workers = workers or len(os.sched_getaffinity(0))
        self._master = master
        self._directory = ""
        self._cluster = False
        self._gateway: Any = None
        self._context: Any = None

    def run(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield the results of the tasks in any order. Spark repeats a task whose worker died."""
        listed = list(tasks)
        if not listed:
            return
        self._start()
        ended: queue.SimpleQueue[list[Attempt] | Exception | None] = queue.SimpleQueue()
        results = self._context.accumulator([], Arrivals(ended))
        job = self._context.parallelize(listed, len(listed))
        thread = threading.Thread(
            target=_run_job,
            args=(job, _OnWorker(function, results, self._cluster), ended),
            name="ciosidecar-spark",
            daemon=True,
        )
        thread.start()
        try:
            while (arrived := ended.get()) is not None:
                if isinstance(arrived, Exception):
                    raise BackfillFailed(self._explain(arrived)) from None
                for attempted in arrived:
                    yield attempted.get()
        finally:
            if thread.is_alive():
                with suppress(Exception):
                    self._context.cancelAllJobs()

    def _start(self) -> None:
        if self._context is not None:
            return
        on_sigint = signal.getsignal(signal.SIGINT)
        self._directory = tempfile.mkdtemp(prefix="ciosidecar-spark-")
        try:
            self._launch()
        except BackfillFailed:
            raise
        except Exception as problem:  # noqa: BLE001 - whatever it is, the engine is not there
            raise BackfillFailed(f"Spark does not start: {self._explain(problem)}") from None
        finally:
            signal.signal(signal.SIGINT, on_sigint)

    def _launch(self) -> None:
        from pyspark import SparkConf, SparkContext  # noqa: PLC0415 - an extra
        from pyspark.java_gateway import launch_gateway  # noqa: PLC0415

        # Before the logger is there, Java writes to stderr. A session of its own keeps Ctrl-C from its workers.
        with self._log.open("wb") as log:
            self._gateway = launch_gateway(
                SparkConf(loadDefaults=False).set("spark.driver.defaultJavaOptions", _JAVA_OPTIONS),
                {"stdout": log, "stderr": log, "start_new_session": True},
            )
        SparkContext._ensure_initialized(gateway=self._gateway)  # noqa: SLF001 - as SparkContext does
        conf = SparkConf()
        master = self._master or conf.get("spark.master", "")
        # local[*] is what Spark takes where nothing is said.
        if master in ("", "local[*]"):
            master = f"local[{self._workers},{_MAX_ATTEMPTS}]"
        self._cluster = not master.startswith("local[") and master != "local"
        conf.setMaster(master)
        for name, value in self._settings().items():
            conf.set(name, value)
        self._choose_python()
        self._context = SparkContext(conf=conf, gateway=self._gateway)

    def _settings(self) -> dict[str, str]:
        settings = {
            "spark.app.name": "ciosidecar backfill",
            "spark.log.level": "ERROR",
            "spark.ui.showConsoleProgress": "false",
        }
        if not self._cluster:
            settings |= {
                "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1",
                "spark.local.dir": self._directory,
                "spark.ui.enabled": "false",
            }
        return settings

    def _choose_python(self) -> None:
        """Set PYSPARK_PYTHON: without it, workers run the first python3 of their PATH."""
        if not self._cluster:
            os.environ["PYSPARK_PYTHON"] = sys.executable
        elif not os.environ.get("PYSPARK_PYTHON"):
            raise BackfillFailed(NO_PYTHON, EXIT_USAGE)

    @property
    def _log(self) -> Path:
        return Path(self._directory) / "java.log"

    def _explain(self, problem: Exception) -> str:
        java = getattr(problem, "java_exception", None)
        text = str(problem if java is None else java.getMessage())
        if "ModuleNotFoundError" in text:
            return f"a worker has no ciosidecar_server ({PACKAGE_HINT})"
        if "Python worker exited unexpectedly" in text:
            return f"a Python worker of Spark ended without a result ({LOST_WORKER})"
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        last = self._log.read_text(errors="replace").splitlines()[-3:] if java is None else []
        return " ".join([*lines[:1], *last])

    def close(self) -> None:
        """End Spark with its workers, and its Java, also in the middle of a task."""
        if self._context is not None:
            with suppress(Exception):
                self._context.stop()
            self._context = None
        if self._gateway is not None:
            _end_java(self._gateway)
            self._gateway = None
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = ""


class Arrivals:
    """The parameter of an accumulator: what tasks add arrives in a queue, once for each task that succeeded.

    Spark applies the updates of a task in an action exactly once, also if it runs the task twice.
    """

    def __init__(self, arrived: "queue.SimpleQueue[Any] | None" = None) -> None:
        self._arrived = arrived

    def __reduce__(self) -> tuple[type["Arrivals"], tuple[()]]:
        """Leave the queue behind: workers have none."""
        return Arrivals, ()

    def zero(self, _value: list[Attempt]) -> list[Attempt]:
        """Return the value before a task."""
        return []

    def addInPlace(self, value: list[Attempt], added: list[Attempt]) -> list[Attempt]:  # noqa: N802 - Spark's name
        """Add on a worker; pass on in the driver."""
        if self._arrived is None:
            return value + added
        self._arrived.put(added)
        return value


@dataclass(frozen=True, slots=True)
class _OnWorker:
    """What a worker does with the tasks of a partition of Spark."""

    function: Callable[[Any], Any]
    results: Any
    cluster: bool

    def __call__(self, tasks: Iterable[Any]) -> None:
        for task in tasks:
            self.results.add([attempt(self.function, task, self.cluster)])


def _run_job(
    job: Any, on_worker: _OnWorker, ended: "queue.SimpleQueue[list[Attempt] | Exception | None]"
) -> None:
    try:
        job.foreachPartition(on_worker)
    except Exception as problem:  # noqa: BLE001 - raised where results are read
        ended.put(problem)
    else:
        ended.put(None)


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")


def _end_java(gateway: Any) -> None:
    with suppress(Exception):
        gateway.shutdown()
    process = gateway.proc
    if process is None:  # spark-submit's
        return
    with suppress(OSError):
        process.stdin.close()  # Java ends with its stdin
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
