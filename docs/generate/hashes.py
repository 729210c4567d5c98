"""Write deploy/docker/requirements*.txt: what the image installs, with the hashes of every file of it.

.venv/bin/python -m docs.generate.hashes UV    (UV: the command uv, of requirements-supply.txt)
"""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "deploy" / "docker"
PACKAGES = (
    "client/python",
    "server/transform",
    "server/sidecar",
    "server/sandbox",
    "server/native",
)
EXTRAS = {"server/sidecar": "rate-store"}
"""The extra that the image has, by package."""
HEADER = "# Written by `make hashes`: the versions are those of constraints.txt.\n"
_OWN = "ciosidecar"
# Tests follow the Dockerfile with any Python that the packages support.
_LEAST_PYTHON = "3.11"


def project(package: str) -> dict[str, Any]:
    """Return the pyproject.toml of a package."""
    return tomllib.loads((ROOT / package / "pyproject.toml").read_text(encoding="utf-8"))


def runtime_requirements() -> set[str]:
    """Return what the packages of the image require of others."""
    required: set[str] = set()
    for package in PACKAGES:
        content = project(package)["project"]
        required.update(content.get("dependencies", ()))
        if package in EXTRAS:
            required.update(content["optional-dependencies"][EXTRAS[package]])
    return {requirement for requirement in required if not requirement.startswith(_OWN)}


def build_requirements() -> set[str]:
    """Return what is needed to build the packages of the image."""
    return {name for package in PACKAGES for name in project(package)["build-system"]["requires"]}


def hashed(uv: str, requirements: set[str]) -> str:
    """Return the file of hashes for some requirements and all that these require."""
    words = ("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-annotate")
    files = ("--no-header", "--constraints", "constraints.txt", "--python-version", _LEAST_PYTHON)
    done = subprocess.run(
        [uv, *words, *files, "-"],
        cwd=ROOT,
        input="\n".join(sorted(requirements)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return HEADER + done.stdout


if __name__ == "__main__":
    (DIRECTORY / "requirements.txt").write_text(hashed(sys.argv[1], runtime_requirements()))
    (DIRECTORY / "requirements-build.txt").write_text(hashed(sys.argv[1], build_requirements()))
