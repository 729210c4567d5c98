"""The choice of an implementation: CIOSIDECAR_NATIVE, and compiled packages that do not fit."""

import os
import re
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

import pytest
from ciosidecar_transform import native

from tests.native.implementations import require_compiled
from tests.packages.isolated import ROOT
from tests.processes import run, server
from tests.telemetry.support import log_of

SAY = "from ciosidecar_transform import native; print(native.implementation(), native.reason)"
WITHOUT_THE_PACKAGE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "ciosidecar_native":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""
FOREIGN = {
    "of another processor": "does not load: ",
    "of another Python": "does not load with this Python: ",
    "with a broken file": "does not load: ",
    "with a file that is cut off": "is cut off",
    "with a file that is cut off and has no sections": "is cut off",
    "of another version": f"has interface 0, and this version needs {native.INTERFACE}",
    "without a part": "lacks unix_millis, ",
    "that raises": "does not load: broken",
}


def compiled_file() -> Path:
    """The installed file of the compiled module."""
    spec = find_spec("ciosidecar_native")
    assert spec is not None
    assert spec.origin is not None
    (file,) = Path(spec.origin).parent.glob("*.so")
    return file


def environment(choice: str, before: Path | None = None) -> dict[str, str]:
    """The environment with a choice. before: a folder whose packages come before the installed ones."""
    path = {} if before is None else {"PYTHONPATH": str(before)}
    return {**os.environ, "CIOSIDECAR_NATIVE": choice, **path}


def say(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """What the transform says of the choice."""
    return subprocess.run(
        [sys.executable, "-c", SAY],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(params=FOREIGN)
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """A folder with a compiled package that does not fit, and what is said of it."""
    package = tmp_path / "ciosidecar_native"
    package.mkdir()
    first = package / "__init__.py"
    if request.param == "of another version":
        first.write_text("INTERFACE = 0")
    elif request.param == "without a part":
        names = set(native.PARTS) - {"unix_millis", "read_unary_batch"}
        first.write_text(
            "\n".join([f"INTERFACE = {native.INTERFACE}", *(f"{name} = None" for name in names)])
        )
    elif request.param == "that raises":
        first.write_text("raise ValueError('broken')")
    else:
        require_compiled()
        first.write_text("from .ciosidecar_native import *")
        content = compiled_file().read_bytes()
        name = "ciosidecar_native.abi3.so"
        if request.param == "of another processor":
            # e_machine of the ELF header: SPARC, version 9.
            content = content[:18] + b"\x2b\0" + content[20:]
        elif request.param == "with a broken file":
            content = content[:16] + bytes(48)
        elif request.param.startswith("with a file that is cut off"):
            content = content[: len(content) // 2]
            if request.param.endswith("sections"):
                # e_shoff, e_shnum and e_shstrndx of the ELF header.
                content = content[:40] + bytes(8) + content[48:60] + bytes(4) + content[64:]
        else:
            name = "ciosidecar_native.cpython-39-x86_64-linux-gnu.so"
        package.joinpath(name).write_bytes(content)
    says = FOREIGN[request.param]
    file = "the file of " if says == "is cut off" else ""
    return tmp_path, f"{file}ciosidecar-native {says}"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The compiled file of a second installation, with its record, in a folder of the test."""
    require_compiled()
    package = compiled_file().parent
    shutil.copytree(package, tmp_path / package.name)
    (record,) = package.parent.glob("ciosidecar_native-*.dist-info")
    shutil.copytree(record, tmp_path / record.name)
    assert say(environment("require", tmp_path)).stdout == "compiled \n"
    return tmp_path / package.name / compiled_file().name


def overwritten(content: bytes) -> bytes:
    """Zeros for the second half, as a disk leaves it that was full or lost its power."""
    return content[: len(content) // 2].ljust(len(content), b"\0")


def test_a_file_that_is_not_as_it_was_installed(installed: Path) -> None:
    """It is not loaded: that would end the process. The log, --version and the error say what to do."""
    installed.write_bytes(overwritten(installed.read_bytes()))
    folder = installed.parent.parent
    reason = (
        "the file of ciosidecar-native differs from the one that was installed;"
        " install ciosidecar-native again (in a clone: make setup)"
    )
    done = say(environment("auto", folder))
    assert (done.returncode, done.stdout) == (0, f"python {reason}\n")
    version = run("--version", env=environment("auto", folder)).stdout.decode()
    assert " ".join(version.split()).endswith(f", pure Python: {reason}")
    required = run("--version", env=environment("require", folder))
    assert required.returncode == 2
    assert required.stderr.decode().startswith(
        f"ciosidecar: CIOSIDECAR_NATIVE is require, but {reason}, or set CIOSIDECAR_NATIVE=auto"
    )


def test_what_is_left_of_an_older_installation_changes_nothing(installed: Path) -> None:
    """Its record has another hash of the same file, and comes first or last; or is no folder at all."""
    folder = installed.parent.parent
    (record,) = folder.glob("*.dist-info")
    for version in ("0.0.1", "9.9.9"):
        older = folder / f"ciosidecar_native-{version}.dist-info"
        older.mkdir()
        text = record.joinpath("RECORD").read_text()
        older.joinpath("RECORD").write_text(re.sub("(?<=sha256=).{8}", "AAAAAAAA", text))
    folder.joinpath("ciosidecar_native-0.0.2.dist-info").touch()
    assert say(environment("auto", folder)).stdout == "compiled \n"


def test_a_stray_file_that_is_never_loaded_changes_nothing(installed: Path) -> None:
    """Another name, or another Python: only the file counts that Python would load."""
    half = installed.read_bytes()[:200_000]
    for name in ("old.so", "ciosidecar_native.cpython-39-x86_64-linux-gnu.so"):
        installed.with_name(name).write_bytes(half)
    assert say(environment("auto", installed.parent.parent)).stdout == "compiled \n"


def test_a_stray_file_that_python_prefers(installed: Path) -> None:
    """It is named, and not loaded: its installation does not know it."""
    stray = installed.with_name(f"ciosidecar_native{EXTENSION_SUFFIXES[0]}")
    stray.write_bytes(overwritten(installed.read_bytes()))
    done = say(environment("auto", installed.parent.parent))
    expected = f"{stray.name} is no file of the ciosidecar-native that is installed; remove it"
    assert (done.returncode, done.stdout) == (0, f"python {expected}\n")


def test_the_compiled_package_is_used() -> None:
    """By auto, which is the default, and by require; an empty variable is the default."""
    require_compiled()
    without = {name: value for name, value in os.environ.items() if name != "CIOSIDECAR_NATIVE"}
    for given in (without, environment(""), environment("auto"), environment("require")):
        assert say(given).stdout == "compiled \n"


def test_the_compiled_file_names_no_folder_of_its_builder() -> None:
    """The places of panics are relative, also those of other crates, which lie below the home."""
    require_compiled()
    content = compiled_file().read_bytes()
    assert b"/src/" in content
    for folder in (Path.home(), Path.home() / ".cargo", ROOT):
        assert len(folder.parts) < 2 or f"{folder}/".encode() not in content


def test_never_leaves_it_out() -> None:
    """The reason names the variable."""
    assert say(environment("never")).stdout == "python CIOSIDECAR_NATIVE is never\n"


def test_auto_goes_on_without_a_package_that_does_not_fit(foreign: tuple[Path, str]) -> None:
    """And keeps the reason."""
    folder, reason = foreign
    done = say(environment("auto", folder))
    assert done.stdout.startswith(f"python {reason}"), done.stderr
    assert done.stderr == ""


def test_require_fails_with_what_to_do(foreign: tuple[Path, str]) -> None:
    """A command says it in a sentence, without a traceback."""
    folder, reason = foreign
    done = run("serve", "--listen", "127.0.0.1:0", env=environment("require", folder))
    said = done.stderr.decode()
    assert done.returncode == 2
    assert said.startswith(f"ciosidecar: CIOSIDECAR_NATIVE is require, but {reason}"), said
    assert "set CIOSIDECAR_NATIVE=auto to go on in pure Python" in said
    assert said.count("\n") == 1


def test_a_package_that_is_missing(tmp_path: Path) -> None:
    """Python's own error for it is told from that of a file that does not fit."""
    # An environment without the package: an import hook that runs when Python starts.
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_THE_PACKAGE)
    done = say(environment("auto", tmp_path))
    assert done.stdout == "python ciosidecar-native is not installed\n", done.stderr


@pytest.mark.parametrize("value", ["yes", "AUTO", "0"])
def test_another_value_is_an_error_that_names_the_three(value: str) -> None:
    """It is never taken for the default."""
    done = run("check", "--config", "/dev/null", env=environment(value))
    assert done.returncode == 2
    expected = f"CIOSIDECAR_NATIVE must be auto, require or never, not {value!r}"
    assert done.stderr.decode() == f"ciosidecar: {expected}\n"


async def test_a_server_says_why_it_is_not_compiled(tmp_path: Path) -> None:
    """In the line of its start. The variable is no unknown setting."""
    tmp_path.joinpath("ciosidecar_native.py").write_text("INTERFACE = 0")
    options = ("--listen", "127.0.0.1:0", "--log-level", "info")
    with server(*options, env=environment("auto", tmp_path)) as running:
        lines = await log_of(running)
    (started,) = (line for line in lines if line["message"] == "started")
    assert started["implementation"] == "python"
    assert started["implementation_reason"].startswith("ciosidecar-native has interface 0")
    assert not [line for line in lines if "CIOSIDECAR_NATIVE" in line["message"]]
