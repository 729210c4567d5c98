"""Run the unit tests with the other supported versions of Python: `make test-versions`.

A version that is not on this machine is skipped, aloud. The version of .venv is left out, because `make coverage`
runs the same tests with it.
"""

import os
import sys
from pathlib import Path

import nox

VERSIONS = ("3.11", "3.12", "3.13")
PACKAGES = ("client/python", "server/transform", "server/sidecar", "server/sandbox")

# pyenv's shims on the PATH run one version only, so its versions are put before them.
PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
INSTALLED = [path for version in VERSIONS for path in PYENV.glob(f"versions/{version}.*/bin")]
os.environ["PATH"] = os.pathsep.join([*map(str, INSTALLED), os.environ["PATH"]])

nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = [
    f"unit-{version}" for version in VERSIONS if version != "{}.{}".format(*sys.version_info)
]


@nox.session(python=VERSIONS)
def unit(session: nox.Session) -> None:
    """Install the packages and run tests/unit."""
    editable = [word for package in PACKAGES for word in ("--editable", package)]
    tools = (
        "pytest",
        "pytest-asyncio",
        "pytest-timeout",
        "jsonschema",
        "trustme",
        "hypothesis",
    )
    # Without the compiled package, which `make test-compiled` runs: one wheel serves all versions.
    session.env["CIOSIDECAR_NATIVE"] = "never"
    session.install("--constraint", "constraints.txt", *editable, *tools)
    # In one process: to collect the tests in each of several costs as much as to run them.
    session.run("pytest", "-q", *(session.posargs or ["tests/unit"]))
