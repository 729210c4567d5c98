"""Write an SBOM of the crates that are linked into the compiled package, in the JSON of CycloneDX.

.venv/bin/python -m docs.generate.crates FILE VERSION    (VERSION: of the format)

From what cargo itself says of the package. What runs while it is compiled, such as macros, is left out.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# The crates of another platform differ; this is the image's.
_PLATFORM = "x86_64-unknown-linux-gnu"


def metadata() -> dict[str, Any]:
    """Return what cargo says of the compiled package and of all crates it needs."""
    words = ("metadata", "--format-version", "1", "--filter-platform", _PLATFORM)
    done = subprocess.run(
        ["cargo", *words],  # noqa: S607
        cwd=ROOT / "server" / "native",
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def linked(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the packages that are linked, without the root, by name."""
    packages = {package["id"]: package for package in found["packages"]}
    needs = {node["id"]: node["deps"] for node in found["resolve"]["nodes"]}
    root = found["resolve"]["root"]
    reached, waiting = set(), [root]
    while waiting:
        for need in needs[waiting.pop()]:
            crate = need["pkg"]
            at_run_time = any(kind["kind"] is None for kind in need["dep_kinds"])
            macros = any("proc-macro" in target["kind"] for target in packages[crate]["targets"])
            if at_run_time and not macros and crate not in reached:
                reached.add(crate)
                waiting.append(crate)
    return sorted((packages[crate] for crate in reached), key=lambda crate: str(crate["name"]))


def sbom(found: dict[str, Any], version: str) -> dict[str, Any]:
    """Return the SBOM."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": version,
        "version": 1,
        "components": [_component(crate) for crate in linked(found)],
    }


def _component(crate: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "library",
        "name": crate["name"],
        "version": crate["version"],
        "purl": f"pkg:cargo/{crate['name']}@{crate['version']}",
        # Older crates write / for OR.
        "licenses": [{"expression": crate["license"].replace("/", " OR ")}],
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(sbom(metadata(), sys.argv[2]), indent=2) + "\n")
