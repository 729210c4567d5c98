"""Look for known vulnerabilities of what is installed. Say of each source whether it could be reached.

.venv/supply/bin/python -m docs.generate.audit    (in the root of the repository)

The exit code is 1 if a source reports a vulnerability, or if no source could be reached. That some cannot be reached is
no failure.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.endings import exit_with

ROOT = Path(__file__).parents[2]
_BIN = ROOT / ".venv" / "supply" / "bin"
_IMAGE = "deploy/docker/requirements.txt"
_GOVULNCHECK = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"
_WITHIN_S = 300


class Finding(NamedTuple):
    """What a source says."""

    reached: bool
    vulnerabilities: int = 0
    audited: int = 0
    """The number of packages that the source knows."""


def _run(*words: str, directory: str = ".", must_succeed: bool = False) -> str:
    """Return what a command prints; "" if it takes too long, or fails and must not."""
    try:
        done = subprocess.run(
            words,
            cwd=ROOT / directory,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    return "" if must_succeed and done.returncode else done.stdout


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def read_pip_audit(text: str) -> Finding:
    """Return what pip-audit says. It succeeds also where it had to skip every package."""
    report = _json(text)
    packages = report.get("dependencies", []) if isinstance(report, dict) else []
    audited = [package for package in packages if "vulns" in package]
    vulnerabilities = sum(len(package["vulns"]) for package in audited)
    return Finding(bool(audited), vulnerabilities, len(audited))


def read_npm_audit(text: str) -> Finding:
    """Return what `npm audit` says."""
    report = _json(text)
    metadata = report.get("metadata") if isinstance(report, dict) else None
    if metadata is None:
        return Finding(reached=False)
    return Finding(
        reached=True,
        vulnerabilities=metadata["vulnerabilities"]["total"],
        audited=metadata["dependencies"]["total"],
    )


def read_govulncheck(text: str) -> Finding:
    """Return what govulncheck says: a stream of JSON objects.

    It prints what it would look up before it fails to reach its database. So the text MUST be that of a run that
    succeeded, which it does with vulnerabilities too.
    """
    decoder = json.JSONDecoder()
    modules, found = 0, set()
    while text := text.lstrip():
        try:
            message, end = decoder.raw_decode(text)
        except ValueError:
            return Finding(reached=False)
        text = text[end:]
        modules += len(message.get("SBOM", {}).get("modules", []))
        if finding := message.get("finding"):
            found.add(finding["osv"])
    return Finding(bool(modules), len(found), modules)


def _pip_audit(service: str) -> Finding:
    words = (
        "--requirement",
        _IMAGE,
        "--disable-pip",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    )
    return read_pip_audit(_run(str(_BIN / "pip-audit"), *words, "--vulnerability-service", service))


def _npm() -> Finding:
    # A lock, which the audit needs, is made beside the client and not in it.
    return read_npm_audit(_run("npm", "audit", "--omit", "dev", "--json", directory="client/node"))


def _go() -> Finding:
    words = ("go", "run", _GOVULNCHECK, "-format", "json", "./...")
    return read_govulncheck(_run(*words, directory="client/go", must_succeed=True))


def _maven() -> Finding:
    """Return what OSV's scanner says of the Java client, if that scanner is installed."""
    report = _json(_run("osv-scanner", "--format", "json", "client/java/pom.xml"))
    if not isinstance(report, dict):
        return Finding(reached=False)
    packages = [each for result in report.get("results", []) for each in result["packages"]]
    return Finding(
        reached=True,
        vulnerabilities=sum(len(each["vulnerabilities"]) for each in packages),
        audited=len(packages),
    )


class Source(NamedTuple):
    """A source of vulnerabilities."""

    name: str
    kind: str
    """The kind of service that is asked. Which host answers for it is a setting of this machine, and never printed."""
    program: str
    ask: Callable[[], Finding]


_INDEX = "advisories of a package index"
_DATABASE = "a database of vulnerabilities"
SOURCES = (
    Source("the image, by PyPI", _INDEX, str(_BIN / "pip-audit"), lambda: _pip_audit("pypi")),
    Source("the image, by OSV", _DATABASE, str(_BIN / "pip-audit"), lambda: _pip_audit("osv")),
    Source("the TypeScript client, by npm audit", _INDEX, "npm", _npm),
    Source("the Go client, by govulncheck", _DATABASE, "go", _go),
    Source("the Java client, by osv-scanner", _DATABASE, "osv-scanner", _maven),
)


def line(name: str, kind: str, finding: Finding) -> str:
    """Return what is said of a source."""
    if not finding.reached:
        return f"NOT REACHED: {name} ({kind}): nothing is known of its vulnerabilities"
    return f"{name}: {finding.vulnerabilities} known vulnerabilities"


def audit(sources: Iterable[Source]) -> int:
    """Ask every source. Return the exit code."""
    found, reached = 0, 0
    for source in sources:
        if shutil.which(source.program) is None:
            program = Path(source.program).name
            print(f"SKIPPED: {source.name} ({source.kind}): there is no {program} on this machine")
            continue
        finding = source.ask()
        print(line(source.name, source.kind, finding), flush=True)
        found += finding.vulnerabilities
        reached += finding.reached
    if not reached:
        print("No database of vulnerabilities could be reached, so this audit says nothing.")
    return 1 if found or not reached else 0


def main() -> int:
    """Ask every source of this project."""
    os.environ["NO_COLOR"] = "1"
    return audit(SOURCES)


if __name__ == "__main__":
    exit_with(main)
