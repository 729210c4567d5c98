"""`make setup` and the compiled package: server/native/install.py with an environment and a cargo of the test's own."""

import os
import subprocess
import venv
from pathlib import Path

import pytest

from tests.packages.isolated import ROOT, require_index

INSTALL = ROOT / "server" / "native" / "install.py"
PURE = "pure Python: "
pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def install(tmp_path: Path) -> "Setup":
    """An environment without the package and without pip, and an empty PATH."""
    venv.create(tmp_path / "venv")
    (tmp_path / "bin").mkdir()
    return Setup(tmp_path)


class Setup:
    """What `make setup` runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        self.stamp = folder / "stamp"

    def cargo(self, script: str) -> None:
        """Put a cargo of the test's own on the PATH."""
        program = self.folder / "bin" / "cargo"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def run(self, choice: str) -> tuple[int, str]:
        """Run it. Returns the exit code and what it printed."""
        own = {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "CIOSIDECAR_NATIVE": choice}
        done = subprocess.run(
            [self.python, INSTALL, "--stamp", self.stamp],
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        return done.returncode, done.stdout


NO_CARGO = [
    ("", "there is no cargo on this machine"),
    ("echo cargo 1.84.9 '(abc 2024-01-01)'", "cargo 1.84 is too old, 1.85 is needed"),
    ("echo error: no toolchain >&2; exit 1", "cargo does not run"),
]


@pytest.mark.parametrize(("script", "problem"), NO_CARGO, ids=["none", "old", "broken"])
def test_auto_goes_on_where_there_is_no_cargo_that_fits(
    install: Setup, script: str, problem: str
) -> None:
    """One line says why. There is no stamp, so that the next `make setup` looks again."""
    if script:
        install.cargo(script)
    more = "with Rust 1.85 or later, make setup builds what saves CPU"
    expected = f"{PURE}{problem}; {more}\n"
    assert install.run("auto") == (0, expected)
    assert install.run("") == (0, expected)
    assert install.run(" auto ") == (0, expected)
    assert not install.stamp.exists()


@pytest.mark.parametrize(("script", "problem"), NO_CARGO, ids=["none", "old", "broken"])
def test_require_fails_and_says_what_to_do(install: Setup, script: str, problem: str) -> None:
    """Which Rust, from where, and how to go without."""
    if script:
        install.cargo(script)
    code, said = install.run("require")
    assert code == 1
    assert f"CIOSIDECAR_NATIVE is require, but {problem}.\n" in said
    assert "Install Rust 1.85 or later" in said
    assert "CIOSIDECAR_NATIVE=auto" in said
    assert not install.stamp.exists()


def test_never_leaves_the_package_out(install: Setup) -> None:
    """Also where cargo is. This is done, so there is a stamp."""
    install.cargo("echo cargo 1.95.0")
    assert install.run("never") == (0, f"{PURE}CIOSIDECAR_NATIVE is never\n")
    assert install.stamp.exists()


def test_another_choice_is_an_error(install: Setup) -> None:
    """It names the three. The case of letters counts, as where ciosidecar runs."""
    for choice in ("yes", "AUTO"):
        said = f"CIOSIDECAR_NATIVE must be auto, require or never, not {choice!r}\n"
        assert install.run(choice) == (1, said)


def test_a_source_that_does_not_compile(install: Setup) -> None:
    """The output of the build, all of it, and what to do."""
    require_index()
    subprocess.run([install.python, "-m", "ensurepip"], check=True, capture_output=True)
    fails = "echo 'error[E0308]: mismatched types' >&2; exit 101"
    install.cargo(f"case $1 in --version) echo cargo 1.95.0;; *) {fails};; esac")
    code, said = install.run("require")
    assert code == 1
    assert "error[E0308]: mismatched types" in said
    problem = "ciosidecar-native could not be built: error"
    assert f"CIOSIDECAR_NATIVE is require, but {problem}" in said
    assert "The build needs crates.io" in said
    assert "Install Rust" not in said
    assert "CIOSIDECAR_NATIVE=auto" in said
