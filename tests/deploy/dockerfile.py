"""A Dockerfile, read and followed on this machine: its stages, copies and commands, below a folder."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
BUILD_WITHIN_S = 300
# Where Rust is, by default: the image's is elsewhere.
RUST = {"RUSTUP_HOME": "~/.rustup", "CARGO_HOME": "~/.cargo"}


@dataclass(frozen=True)
class Instruction:
    """One instruction, in one line."""

    name: str
    value: str

    @property
    def words(self) -> list[str]:
        """Return the value, split as a shell would."""
        return shlex.split(self.value)

    @property
    def arguments(self) -> list[str]:
        """Return the value of an instruction in exec form."""
        found = json.loads(self.value[self.value.index("[") :])
        assert isinstance(found, list)
        return found


def stages() -> list[list[Instruction]]:
    """Return the instructions of the Dockerfile by stage. Each stage begins with its FROM."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found: list[list[Instruction]] = []
    for line in filter(str.strip, joined.splitlines()):
        name, _, value = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append(Instruction(name, value.strip()))
    return found


def the_only(stage: list[Instruction], name: str) -> Instruction:
    """Return the only instruction of a name."""
    (found,) = (each for each in stage if each.name == name)
    return found


class Image:
    """What a stage makes, below a folder of this machine."""

    def __init__(self, folder: Path, context: Path = ROOT) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}
        self._context = context
        self._directory = "/"

    def here(self, path: str) -> Path:
        """Return the file on this machine that has a path in the image."""
        return self.folder / path.lstrip("/")

    def follow(self, stage: list[Instruction]) -> None:
        """Do what the instructions of a stage say, in order."""
        for each in stage:
            if each.name == "WORKDIR":
                self._directory = each.value
                self.here(each.value).mkdir(parents=True)
            elif each.name == "ENV":
                for word in each.words:
                    name, _, value = word.partition("=")
                    self.environment[name] = value
            elif each.name == "COPY":
                self._copy(each.words)
            elif each.name == "RUN":
                self._run(each.value)

    def _copy(self, words: list[str]) -> None:
        if words[0].startswith("--from=rust:"):
            return  # this machine has its own
        *sources, target = words
        for source in sources:
            found, to = self._context / source, self.here(str(Path(self._directory, target)))
            if found.is_dir():
                shutil.copytree(
                    found, to, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "target")
                )
            else:
                to.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, to)

    def _run(self, command: str) -> None:
        for path in ("/opt/ciosidecar", "/src"):
            command = command.replace(path, str(self.here(path)))
        # Of this machine's environment only what lets pip reach its index.
        mine = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))
        }
        own = {
            name: value.replace("/src", str(self.here("/src")))
            for name, value in self.environment.items()
            if name not in RUST
        }
        cargo = Path(shutil.which("cargo") or "/nowhere").parent
        path = f"{Path(sys.executable).parent}:{cargo}:/usr/bin:/bin"
        rust = {
            name: os.environ.get(name, str(Path(folder).expanduser()))
            for name, folder in RUST.items()
        }
        # Crates that `make setup` has compiled are not compiled again.
        rust["CARGO_TARGET_DIR"] = str(ROOT / "server" / "native" / "target")
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.here(self._directory),
            env=mine | {"PATH": path, "HOME": str(self.folder)} | rust | own,
            capture_output=True,
            text=True,
            timeout=BUILD_WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
