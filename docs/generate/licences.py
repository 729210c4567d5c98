"""Write docs/licences.md: what is installed beside the project, with its licence, from the SBOMs of `make sbom`.

.venv/bin/python -m docs.generate.licences dist docs/licences.md
"""

import json
import sys
from pathlib import Path
from typing import Any

_TITLES = {
    "python": "Python: the image",
    "cargo": "Rust: the compiled package",
    "npm": "TypeScript client",
    "go": "Go client",
    "maven": "Java client",
}
_INTRODUCTION = """\
# Licences

This page is generated from the SBOMs of `make sbom` by `make licences`. It lists what the container image and the four
clients install at run time, and the crates that are linked into the compiled package, beside the project itself.
Tools and tests are not in it. The project's own licence is Apache-2.0. Licences are as the packages declare them; those of Go modules are read from their texts.
"""
# The tool takes the text of Go's own modules for this relative of it.
_MISTAKEN = {"BSD-Source-Code": "BSD-3-Clause"}
_UNKNOWN = "not declared"
_CLASSIFIER = "License :: OSI Approved :: "
# It declares a name that is no identifier, which the tool drops.
_READ = {"pkg:pypi/protobuf": "BSD-3-Clause"}
# Python 3.11 puts them into each environment. The image removes pip, and its Python brings no setuptools.
_NOT_IN_THE_IMAGE = ("pip", "setuptools")


def _licences(component: dict[str, Any]) -> str:
    listed = component.get("licenses") or component.get("evidence", {}).get("licenses") or []
    names: set[str] = set()
    for entry in listed:
        licence = entry.get("license", {})
        name = entry.get("expression") or licence.get("id") or licence.get("name") or ""
        # A package may declare a whole text: its first line names it.
        names.update(name.strip("() \n").splitlines()[:1])
    identifiers = {name for name in names if not name.startswith(_CLASSIFIER)}
    plain = {name.removeprefix(_CLASSIFIER) for name in names}
    shown = sorted(_MISTAKEN.get(name, name) for name in identifiers or plain)
    read = _READ.get(component.get("purl", "").partition("@")[0], _UNKNOWN)
    return " and ".join(shown) or read


def _name(component: dict[str, Any]) -> str:
    group = component.get("group", "")
    separator = ":" if component.get("purl", "").startswith("pkg:maven") else "/"
    return f"{group}{separator}{component['name']}" if group else str(component["name"])


def _nested(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return components with those inside them: npm nests what is installed twice."""
    return [
        found
        for component in components
        for found in (component, *_nested(component.get("components", [])))
    ]


def rows(sbom: dict[str, Any]) -> list[str]:
    """Return a row for each component of an SBOM."""
    found = {
        f"| {_name(part)} | {part['version'].removeprefix('v')} | {_licences(part)} |"
        for part in _nested(sbom["components"])
        if part["name"] not in _NOT_IN_THE_IMAGE
    }
    return sorted(found, key=str.lower)


def page(directory: Path) -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION]
    for name, title in _TITLES.items():
        sbom = json.loads((directory / f"sbom-{name}.json").read_text(encoding="utf-8"))
        header = ["| package | version | licence |", "|---|---|---|"]
        parts.append("\n".join([f"## {title}", "", *header, *rows(sbom)]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(page(Path(sys.argv[1])), encoding="utf-8")
