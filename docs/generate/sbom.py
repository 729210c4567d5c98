"""Write an SBOM of each language into a directory, in the JSON of CycloneDX, and check it against the schema.

.venv/supply/bin/python -m docs.generate.sbom DIRECTORY    (in the root of the repository)
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
VERSION = "1.6"
_SUPPLY = ROOT / ".venv" / "supply"
_IMAGE = ROOT / ".venv" / "image"
_NPM = _SUPPLY / "node_modules" / ".bin" / "cyclonedx-npm"
_GO = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"
_MAVEN = "org.cyclonedx:cyclonedx-maven-plugin:2.9.3:makeBom"


class Language(NamedTuple):
    """How the SBOM of a language is made."""

    program: str
    """The program without which there is none."""
    directory: str
    command: Callable[[Path], tuple[str, ...]]
    """Returns the command for the file to write."""


def _python(file: Path) -> tuple[str, ...]:
    words = ("environment", "--spec-version", VERSION, "--output-reproducible")
    return (
        *(str(_SUPPLY / "bin" / "cyclonedx-py"), *words),
        *("--output-file", str(file), str(_IMAGE / "bin" / "python")),
    )


def _npm(file: Path) -> tuple[str, ...]:
    words = ("--omit", "dev", "--output-reproducible", "--spec-version", VERSION)
    return (str(_NPM), *words, "--ignore-npm-errors", "--output-file", str(file))


def _go(file: Path) -> tuple[str, ...]:
    words = ("mod", "-json", "-licenses", "-output-version", VERSION, "-output", str(file))
    return ("go", "run", _GO, *words)


def _maven(file: Path) -> tuple[str, ...]:
    options = {
        "includeTestScope": "false",
        "outputFormat": "json",
        "schemaVersion": VERSION,
        "outputDirectory": str(file.parent),
        "outputName": file.stem,
    }
    return (
        "mvn",
        "-B",
        "-q",
        "-ntp",
        _MAVEN,
        *(f"-D{name}={value}" for name, value in options.items()),
    )


def _cargo(file: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "docs.generate.crates", str(file), VERSION)


LANGUAGES = {
    "python": Language("python3", ".", _python),
    "cargo": Language("cargo", ".", _cargo),
    "npm": Language("npm", "client/node", _npm),
    "go": Language("go", "client/go", _go),
    "maven": Language("mvn", "client/java", _maven),
}


def file_of(directory: Path, name: str) -> Path:
    """Return the file of a language's SBOM."""
    return directory / f"sbom-{name}.json"


def check(file: Path) -> None:
    """Check a file against the schema. A file that does not follow it ends the program."""
    text = file.read_text(encoding="utf-8")
    problem = JsonStrictValidator(SchemaVersion.from_version(VERSION)).validate_str(text)
    if problem is not None:
        sys.exit(f"{file} is no SBOM of CycloneDX {VERSION}: {problem}")


def main(directory: Path) -> None:
    """Write the SBOMs of the languages whose toolchain is here."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, language in LANGUAGES.items():
        if shutil.which(language.program) is None:
            print(f"SKIPPED: the SBOM of {name}: there is no {language.program} on this machine")
            continue
        file = file_of(directory, name)
        subprocess.run(language.command(file.absolute()), cwd=ROOT / language.directory, check=True)
        check(file)
        print(f"{file}: valid by CycloneDX {VERSION}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
