"""Build and install the compiled package into this Python's environment: `make setup` runs this.

`CIOSIDECAR_NATIVE` decides as it does when ciosidecar runs: `auto` goes on without the package where
it cannot be built, `require` fails then, `never` removes it. One line says what was done.
"""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

HERE = Path(__file__).parent
NAME = "ciosidecar-native"
# Asks the only module that chooses. It fails if the package does not load or does not fit.
CHECK = "import ciosidecar_transform.native"


class Unusable(Exception):
    """The package cannot be built or used here. The text says why, in one line."""

    def __init__(self, why: str, output: str = "") -> None:
        super().__init__(why)
        self.output = output
        """All that the program printed that failed."""


class NoCargo(Unusable):
    """There is no cargo that can build the package."""


def main(words: list[str] | None = None) -> int:
    """Return the exit code: 0 unless the package is required and cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamp", type=Path, help="a file to make, unless auto went without")
    stamp: Path | None = parser.parse_args(words).stamp
    choice = os.environ.get("CIOSIDECAR_NATIVE", "").strip() or "auto"
    needed = tomllib.loads((HERE / "Cargo.toml").read_text("utf-8"))["package"]["rust-version"]
    if choice not in ("auto", "require", "never"):
        print(f"CIOSIDECAR_NATIVE must be auto, require or never, not {choice!r}")
        return 1
    if choice == "never":
        remove()
        print("pure Python: CIOSIDECAR_NATIVE is never")
    else:
        try:
            check_cargo(needed)
            build()
        except Unusable as problem:
            # One of an older build would be used in place of what these sources say.
            remove()
            if choice == "auto":
                more = f"with Rust {needed} or later, make setup builds what saves CPU"
                if not isinstance(problem, NoCargo):
                    more = "CIOSIDECAR_NATIVE=require make setup shows all of it"
                print(f"pure Python: {problem}; {more}")
                return 0
            print(f"{problem.output}CIOSIDECAR_NATIVE is require, but {problem}.")
            what = (
                f"Install Rust {needed} or later (Debian 13: apt-get install cargo; elsewhere:"
                " https://rustup.rs)"
                if isinstance(problem, NoCargo)
                else "The build needs crates.io, or a mirror of it that cargo is configured for"
            )
            print(
                f"{what}, or set CIOSIDECAR_NATIVE=auto to go on in pure Python, which is slower and"
                " gives the same results."
            )
            return 1
        print(f"compiled: {NAME} is installed")
    if stamp is not None:
        stamp.touch()
    return 0


def check_cargo(needed: str) -> None:
    """Raise Unusable unless there is a cargo of the version that Cargo.toml asks for."""
    try:
        done = run("cargo", "--version")
    except OSError:
        raise NoCargo("there is no cargo on this machine") from None
    found = re.match(r"cargo (\d+)\.(\d+)", done.stdout)
    if found is None:
        raise NoCargo("cargo does not run", done.stdout)
    if tuple(map(int, found.groups())) < tuple(map(int, needed.split("."))):
        raise NoCargo(f"{found[0]} is too old, {needed} is needed")


def build() -> None:
    """Build and install the package. Raise Unusable if it cannot be built, or is not used then."""
    done = run(sys.executable, "-m", "pip", "install", str(HERE))
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode:
        # pip's own first line says only that a program failed.
        errors = [line for line in lines if re.match(r"error(?!: subprocess)|ERROR", line)]
        said = (errors or lines or ["pip said nothing"])[0]
        raise Unusable(f"{NAME} could not be built: {said}", done.stdout)
    done = run(sys.executable, "-c", CHECK, CIOSIDECAR_NATIVE="require")
    if done.returncode:
        said = done.stdout.strip().splitlines()[-1]
        raise Unusable(f"{NAME} is not used: {said}", done.stdout)


def remove() -> None:
    """Uninstall the package if it is there."""
    try:
        distribution(NAME)
    except PackageNotFoundError:
        return
    run(sys.executable, "-m", "pip", "uninstall", "--yes", NAME)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command, with its errors among its output."""
    return subprocess.run(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
