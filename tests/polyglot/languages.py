"""The drivers: how each is built, and what it takes."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD_WITHIN_S = 600


@dataclass(frozen=True)
class Language:
    """A driver in one language."""

    name: str
    tools: tuple[str, ...]
    """Programs that must be on the machine."""
    build: tuple[tuple[str, ...], ...]
    """Commands to run once, in `directory`."""
    command: tuple[str, ...]
    """What plays a scenario, in `directory`."""
    directory: Path = ROOT
    built: str = ""
    """What the last of the steps makes, in `directory`."""
    lacks: Callable[[str], str | None] = lambda _listen: None
    """Why this machine's version of the language cannot reach a kind of listener, if it cannot."""

    def missing(self) -> str | None:
        """Return which of its tools are not here; None if all are."""
        gone = [tool for tool in self.tools if shutil.which(tool) is None]
        return f"{' and '.join(gone)} not found on this machine" if gone else None

    def require(self) -> None:
        """Skip the test where its tools are not here; fail it where REQUIRE_ALL is set."""
        if reason := self.missing():
            (pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip)(reason)

    def make(self) -> None:
        """Build the driver, unless it was built from the same files. Raise RuntimeError with what the tools said.

        Tests that run side by side build one after another.
        """
        if not self.build:
            return
        built, lock = self.directory / self.built, self.directory / "build" / "polyglot.lock"
        stamp = built.with_name(".polyglot")
        lock.parent.mkdir(exist_ok=True)
        with lock.open("w") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            files = self._files()
            if not files or not built.exists() or not stamp.exists() or stamp.read_text() != files:
                self._build()
                stamp.write_text(files)

    def _files(self) -> str:
        """Return a digest of the names, sizes and times of the files that make the driver; "" where git does not say."""
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]
        listed = subprocess.run(
            [*command, "protos", str(self.directory)], cwd=ROOT, capture_output=True, check=False
        )
        if listed.returncode != 0:
            return ""
        digest = blake2b(digest_size=16)
        for name in sorted(listed.stdout.decode().split("\0")):
            path = ROOT / name
            if path.is_file():
                found = path.stat()
                digest.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def _build(self) -> None:
        for step in self.build:
            done = subprocess.run(
                step,
                cwd=self.directory,
                capture_output=True,
                text=True,
                timeout=BUILD_WITHIN_S,
                check=False,
            )
            if done.returncode != 0:
                raise RuntimeError(f"{' '.join(step)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _node_lacks(listen: str) -> str | None:
    if listen != "abstract":
        return None
    asked = ["node", "--print", "process.versions.uv"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
    if tuple(map(int, version.split(".")[:2])) >= (1, 48):
        return None
    return f"Node.js with libuv {version.strip()} pads the names of abstract sockets; 1.48 does not"


LANGUAGES = (
    Language("python", (), (), (sys.executable, "-m", "tests.polyglot.driver_python")),
    Language(
        "go",
        ("go",),
        # In one step, because other tests may run or build the program meanwhile.
        (
            (
                *("sh", "-c"),
                "go build -o build/polyglot.$$ ./internal/polyglot && mv build/polyglot.$$ build/polyglot",
            ),
        ),
        ("build/polyglot",),
        ROOT / "client" / "go",
        "build/polyglot",
    ),
    Language(
        "typescript",
        ("node", "npm"),
        (("npm", "run", "build", "--silent"),),
        ("node", "polyglot/driver.mjs"),
        ROOT / "client" / "node",
        "dist/index.js",
        _node_lacks,
    ),
    Language(
        "java",
        ("java", "mvn"),
        (("mvn", "-B", "-q", "-ntp", "process-test-classes"),),
        (
            "sh",
            "-c",
            (
                "exec java -Xmx256m -XX:+UseSerialGC"
                ' -cp "target/test-classes:target/classes:$(cat target/test-classpath.txt)"'
                " dev.ciosidecar.polyglot.Driver"
            ),
        ),
        ROOT / "client" / "java",
        "target/test-classpath.txt",
    ),
)
