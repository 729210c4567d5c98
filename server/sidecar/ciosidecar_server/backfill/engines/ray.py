"""The Ray engine: tasks on a Ray cluster, or on a Ray of this machine alone."""

import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, redirect_stdout
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from ..errors import EXIT_USAGE, BackfillFailed
from .attempts import LOST_WORKER, PACKAGE_HINT, attempt

Task = TypeVar("Task")
Result = TypeVar("Result")

MISSING = "the Ray engine needs the package ray: pip install 'ciosidecar-server[ray]'"
_MAX_SUBMITTED = 1000
_MAX_RETRIES = 3
_MAX_STARTS = 3
_CONNECT_S = 10
# Results are small: what is large goes through files. Ray's default is a third of the memory.
_OBJECT_STORE_BYTES = 100 << 20
# Ray's sockets are in this directory, and the name of a socket has 107 bytes at most, of which Ray needs 70.
_MAX_DIRECTORY_CHARACTERS = 24


class RayEngine:
    """Tasks of Ray. There are no actors, which would keep the CPUs that Ray's own readers wait for."""

    def __init__(self, *, workers: int | None = None, address: str = "") -> None:
        """Create the engine. Ray is started, or connected to, with the first task.

        Args:
            workers: The number of CPUs of a Ray of this machine. A cluster has its own.
            address: The address of a cluster. "" for RAY_ADDRESS, or a Ray of this machine.
        """
        self._workers = workers
        self._address = address or os.environ.get("RAY_ADDRESS", "")
        self._cluster = self._address not in ("", "local")
        self._directory: str | None = None
        if not self._cluster:
            _keep_to_this_machine()
        self._ray = _import_ray()
        self._quiet = ExitStack()

    def run(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield the results of the tasks in any order. Ray repeats a task whose worker died."""
        self._start()
        ray = self._ray
        remote = ray.remote(num_cpus=1, max_retries=_MAX_RETRIES)(attempt)
        waiting = iter(tasks)
        running: list[Any] = []
        try:
            while True:
                running += [
                    remote.remote(function, task, self._cluster)
                    for task in islice(waiting, _MAX_SUBMITTED - len(running))
                ]
                if not running:
                    return
                done, running = ray.wait(running, num_returns=1)
                for reference in done:
                    yield self._result(reference)
        finally:
            if running:
                # Not by `ray.cancel`: Ray 2.60 aborts this process if the task is just being completed. To leave a
                # cluster ends this process's tasks, too.
                self.close()

    def _result(self, reference: Any) -> Any:
        try:
            attempted = self._ray.get(reference)
        except self._ray.exceptions.RayError as problem:
            hint = LOST_WORKER if isinstance(problem, self._lost_worker()) else PACKAGE_HINT
            raise BackfillFailed(f"Ray: {_first_line(problem)} ({hint})") from None
        return attempted.get()

    def _lost_worker(self) -> tuple[type[Exception], ...]:
        exceptions = self._ray.exceptions
        return exceptions.WorkerCrashedError, exceptions.OutOfMemoryError, exceptions.NodeDiedError

    def _start(self) -> None:
        if self._ray.is_initialized():
            return
        on_sigterm = signal.getsignal(signal.SIGTERM)
        # Ray prints there when it tries a task again. Our stdout is for results.
        devnull = self._quiet.enter_context(Path(os.devnull).open("w"))  # noqa: SIM115 - `close` does
        self._quiet.enter_context(redirect_stdout(devnull))
        try:
            if self._cluster:
                _ask(self._address)
                self._ray.init(self._address, log_to_driver=False, logging_level="ERROR")
            else:
                self._start_here()
        except Exception as problem:  # noqa: BLE001 - whatever it is, the engine is not there
            where = f"at {self._address}" if self._cluster else "on this machine"
            raise BackfillFailed(f"there is no Ray {where}: {_first_line(problem)}") from None
        finally:
            signal.signal(signal.SIGTERM, on_sigterm)

    def _start_here(self) -> None:
        self._directory = _short_directory()
        for attempt_number in range(1, _MAX_STARTS + 1):
            try:
                self._ray.init(
                    "local",
                    num_cpus=self._workers or len(os.sched_getaffinity(0)),
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="ERROR",
                    object_store_memory=_OBJECT_STORE_BYTES,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=f"{self._directory}/{attempt_number}",
                )
            except Exception:
                # Ray gives up a start after 30 seconds, which a busy machine may need. No setting is longer.
                if attempt_number == _MAX_STARTS:
                    raise
                self._ray.shutdown()
            else:
                return

    def close(self) -> None:
        """End the Ray of this machine with its workers, or leave the cluster."""
        # What still ends would write to the directory again.
        self._ray.shutdown(wait_for_processes=True)
        self._quiet.close()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None


def _import_ray() -> ModuleType:
    """Import Ray: it is an extra, and reads the environment as it is imported."""
    try:
        return import_module("ray")
    except ModuleNotFoundError as missing:
        if missing.name != "ray":
            raise
        raise BackfillFailed(MISSING, EXIT_USAGE) from None


def _keep_to_this_machine() -> None:
    """Set what Ray reads as it is imported: loopback alone, a token of this run, and no report of its use."""
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # without clusters, Ray binds loopback
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Ray lowers the priority of its workers by 15, which starves them on a busy machine.
    os.environ.setdefault("RAY_worker_niceness", "0")


def _ask(address: str) -> None:
    """Connect to an address once: Ray itself tries for minutes.

    Raises:
        OSError: Nothing listens there.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()


def _short_directory() -> str:
    parent = tempfile.gettempdir()
    return tempfile.mkdtemp(
        prefix="cio-ray-",
        dir=parent if len(parent) <= _MAX_DIRECTORY_CHARACTERS else "/tmp",  # noqa: S108 - see above
    )


def _first_line(problem: Exception) -> str:
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[0] if lines else type(problem).__name__
