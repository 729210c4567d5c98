"""The choice of an implementation: CIOSIDECAR_NATIVE, and compiled packages that do not fit."""

import os
import subprocess
import sys
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
        elif request.param == "with a file that is cut off":
            content = content[: len(content) // 2]
        else:
            name = "ciosidecar_native.cpython-39-x86_64-linux-gnu.so"
        package.joinpath(name).write_bytes(content)
    says = FOREIGN[request.param]
    file = "the file of " if says == "is cut off" else ""
    return tmp_path, f"{file}ciosidecar-native {says}"


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
