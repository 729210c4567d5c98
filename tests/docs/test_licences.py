"""docs/licences.md lists what the image and the clients install. Its licences are renewed by `make licences`."""

import json
import re
import xml.etree.ElementTree as ET

from docs.generate.licences import rows
from tests.docs.pages import ROOT

_ROW = re.compile(r"^\| (\S+) \| (\S+) \| (.+) \|$", re.MULTILINE)


def listed(title: str) -> dict[str, str]:
    """Return the packages of a section with their versions."""
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    section = text.partition(f"## {title}")[2].partition("\n## ")[0]
    return {
        name.lower(): version for name, version, _ in _ROW.findall(section) if name != "package"
    }


def test_the_page_lists_what_is_installed() -> None:
    """With the versions of the image's file of hashes, Cargo.toml, go.mod, package.json and pom.xml."""
    hashed = (ROOT / "deploy" / "docker" / "requirements.txt").read_text()
    pins = re.findall(r"^([a-z0-9.-]+)==([^ ]+)(.*) \\$", hashed, re.MULTILINE)
    # What older releases of Python need is not installed.
    image = {name: version for name, version, marker in pins if "python_full" not in marker}
    page = {name.replace("_", "-"): version for name, version in listed("Python").items()}
    assert page == image, "run make licences"
    crates = (ROOT / "server" / "native" / "Cargo.toml").read_text()
    pinned = dict(re.findall(r'^([a-z0-9_-]+) = .*"=([0-9.]+)"', crates, re.MULTILINE))
    assert pinned
    assert pinned.items() <= listed("Rust").items(), "run make licences"
    go = (ROOT / "client" / "go" / "go.mod").read_text()
    required = dict(re.findall(r"^\t(?:require )?(\S+) v(\S+)", go, re.MULTILINE))
    assert listed("Go").items() <= required.items()
    package = json.loads((ROOT / "client" / "node" / "package.json").read_text())
    assert package["dependencies"].items() <= listed("TypeScript").items()
    pom = ET.parse(ROOT / "client" / "java" / "pom.xml")
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    for version, package_name in (
        ("grpc", "io.grpc:grpc-netty-shaded"),
        ("protobuf", "com.google.protobuf:protobuf-java"),
    ):
        of_pom = pom.findtext(f"m:properties/m:{version}.version", namespaces=names)
        assert listed("Java")[package_name] == of_pom


def test_every_package_has_a_licence() -> None:
    """A package that declares none needs a look at its files."""
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    assert "not declared" not in text
    assert len(_ROW.findall(text)) > 80


def test_a_row_is_made_of_what_a_component_declares() -> None:
    """An expression, several licences, a text found in a file, and what is nested."""
    inner = {"name": "b", "version": "v2", "evidence": {"licenses": [{"license": {"id": "MIT"}}]}}
    outer = {
        "group": "org.a",
        "name": "a",
        "version": "1",
        "purl": "pkg:maven/org.a/a@1",
        "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "Apache-2.0"}}],
        "components": [inner],
    }
    assert rows({"components": [outer]}) == [
        "| b | 2 | MIT |",
        "| org.a:a | 1 | Apache-2.0 and MIT |",
    ]
