"""`ciosidecar backfill` on Ray and on Spark, started for real: the same results as the server's, whatever dies meanwhile.

The long form, with a million events, is `.venv/bin/python -m tests.scale backfill`.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.engines.backfill_events import Outcomes, backfilled, transformed, write_lines
from tests.engines.marked import Marked
from tests.processes import COMMAND

pytestmark = pytest.mark.timeout(600)

EVENTS = 20_000
WITHIN_S = 300
GONE_WITHIN_S = 60
OPTIONS = ("--partitions", "12", "--workers", "2")
ENGINES = ("ray", "spark")
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
# The processes that run tasks, by what is in their command lines.
WORKERS = {"ray": "ray::attempt", "spark": "pyspark.daemon"}
ENGINES_PROCESSES = ("ray", "java", "pyspark", "multiprocessing")


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of events to three destinations, one of them with a template."""
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    write_lines(path, EVENTS)
    return path


@pytest.fixture(scope="module")
def expected(events: Path) -> Outcomes:
    """What the real server makes of the events."""
    output = events.with_name("transformed.jsonl")
    with output.open("wb") as opened:
        subprocess.run(
            [*COMMAND, "transform", str(events)],
            stdout=opened,
            stderr=subprocess.DEVNULL,
            timeout=WITHIN_S,
            check=True,
        )
    return transformed(output)


class Run:
    """A backfill in a process group of its own, as in a terminal."""

    def __init__(self, engine: str, events: Path, folder: Path) -> None:
        self.output = folder / "out"
        self.marked = Marked()
        # Ray's sockets need a short path.
        self.temporary, self.home = Path(tempfile.mkdtemp(prefix="b")), folder / "home"
        self._errors = (folder / "errors").open("w+b")
        for directory in (self.temporary, self.home):
            directory.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [
                *COMMAND,
                "backfill",
                str(events),
                "--output",
                str(self.output),
                "--engine",
                engine,
                *OPTIONS,
            ],
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env=self.marked.environment(TMPDIR=str(self.temporary), HOME=str(self.home)),
            start_new_session=True,
        )

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Waits until something is so; fails if the command ends before."""
        give_up_at = time.monotonic() + WITHIN_S
        while not condition():
            assert self.process.poll() is None, f"the command ended before {what}: {self.errors()}"
            assert time.monotonic() < give_up_at, what
            time.sleep(0.02)

    def transforms(self) -> bool:
        """Whether the first partition is finished."""
        return bool(self.finished())

    def finished(self) -> dict[str, int]:
        """The files of the partitions that are finished, with their times."""
        checkpoint = self.output / "checkpoint.jsonl"
        lines = checkpoint.read_bytes().splitlines(keepends=True) if checkpoint.exists() else []
        whole = [json.loads(line) for line in lines if line.endswith(b"\n")]
        names = [name for line in whole for name in line.get("partition", {}).get("files", ())]
        return {name: (self.output / name).stat().st_mtime_ns for name in names}

    def workers(self, of: str) -> list[int]:
        """The processes that run tasks."""
        return [
            pid
            for pid, line in self.marked.commands().items()
            # Spark's daemon forks the workers, which have its command line.
            if of in line and (of != WORKERS["spark"] or of in _parents_command_line(pid))
        ]

    def kill_a_worker(self, of: str) -> bool:
        """Kill a process that runs tasks, if there is one."""
        for pid in self.workers(of):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def end(self) -> int:
        """The exit code, once it ends."""
        return self.process.wait(WITHIN_S)

    def errors(self) -> str:
        """Stderr so far."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode()

    def left(self) -> list[str]:
        """What processes and files it has left behind."""
        give_up_at = time.monotonic() + GONE_WITHIN_S
        while (left := list(self.marked.commands().values())) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        return left + [
            str(path) for folder in (self.temporary, self.home) for path in folder.rglob("*")
        ]

    def kill(self) -> None:
        """Ends what is left of it, by process id."""
        for pid in (self.process.pid, *self.marked.commands()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(WITHIN_S)
        self._errors.close()
        shutil.rmtree(self.temporary)


def _parents_command_line(pid: int) -> str:
    """The command line of a process's parent, or nothing if the process has just ended."""
    try:
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        line = Path(f"/proc/{parent}/cmdline").read_bytes()
    except OSError:
        return ""
    return line.replace(b"\0", b" ").decode(errors="replace")


@contextmanager
def running(engine: str, events: Path, folder: Path) -> Iterator[Run]:
    """A backfill, ended at the latest with the block."""
    run = Run(engine, events, folder)
    try:
        yield run
    finally:
        run.kill()


@pytest.mark.parametrize("engine", ENGINES)
def test_results_are_the_servers_though_a_worker_is_killed(
    engine: str, events: Path, expected: Outcomes, tmp_path: Path
) -> None:
    """The engine repeats the task. Nothing is there twice, nothing listens beyond loopback, nothing is left."""
    with running(engine, events, tmp_path) as run:
        run.wait_for(run.transforms, "the first partition was finished")
        run.wait_for(lambda: run.kill_a_worker(WORKERS[engine]), "a worker was killed")
        listening = run.marked.listening()
        assert run.end() == 1, run.errors()  # some events are refused
        assert run.left() == []
    assert expected.differences(backfilled(run.output)) == []
    assert listening
    assert listening <= LOOPBACK
    assert not list(run.output.glob(".*"))
    assert not (run.output / "work").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_leaves_nothing_and_another_engine_goes_on(
    engine: str, events: Path, expected: Outcomes, tmp_path: Path
) -> None:
    """As a terminal does, Ctrl-C goes to the whole process group."""
    with running(engine, events, tmp_path) as run:
        run.wait_for(run.transforms, "the first partition was finished")
        os.killpg(run.process.pid, signal.SIGINT)
        assert run.end() == 130, run.errors()
        assert "interrupted: run the same command again to go on" in run.errors()
        assert "Traceback" not in run.errors()
        assert run.left() == []
        finished = run.finished()
    with running("local", events, tmp_path) as run:
        assert run.end() == 1, run.errors()
    assert expected.differences(backfilled(run.output)) == []
    assert finished
    assert run.finished().items() >= finished.items()


@pytest.mark.parametrize("engine", ENGINES)
def test_failures_of_tasks_arrive_as_they_are(engine: str) -> None:
    """A failure is raised, a worker that dies each time is given up, and a closed iterator ends the tasks."""
    marked = Marked()
    done = subprocess.run(
        [COMMAND[0], "-m", "tests.engines.engine_calls", engine],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
        env=marked.environment(),
    )
    assert done.returncode == 0, done.stderr
    failed, lost = done.stdout.splitlines()
    assert failed == "failed: partition 7: KeyError: 'colour'"
    assert lost.startswith("lost: ")
    assert "run the same command again to go on" in lost


def test_spark_without_java_says_what_to_install(events: Path, tmp_path: Path) -> None:
    """Also if JAVA_HOME names a directory that is gone."""
    for variables in ({"PATH": str(tmp_path), "JAVA_HOME": ""}, {"JAVA_HOME": str(tmp_path)}):
        done = subprocess.run(
            [
                *COMMAND,
                "backfill",
                str(events),
                "--output",
                str(tmp_path / "out"),
                "--engine",
                "spark",
            ],
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
            env=os.environ | variables,
        )
        assert done.returncode == 2, done.stderr
        assert "apt-get install openjdk-17-jre-headless" in done.stderr


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--engine", "ray", "--ray-address", "127.0.0.1:9"), "there is no Ray at 127.0.0.1:9"),
        (
            ("--engine", "spark", "--spark-master", "spark://127.0.0.1:9"),
            "PYSPARK_PYTHON is not set",
        ),
    ],
)
def test_a_cluster_that_cannot_be_used_is_named(
    option: tuple[str, ...], says: str, events: Path, tmp_path: Path
) -> None:
    """Before anything is read."""
    environment = {name: value for name, value in os.environ.items() if name != "PYSPARK_PYTHON"}
    done = subprocess.run(
        [*COMMAND, "backfill", str(events), "--output", str(tmp_path / "out"), *option],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
        env=environment,
    )
    assert done.returncode in (1, 2), done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
