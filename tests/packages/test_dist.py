"""What `make dist` builds: wheels and sdists, installed by pip into an environment without the checkout."""

import platform
import re
import shutil
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.packages.isolated import LIMIT_S, ROOT, give_up, new_environment, require_index, run

FOLDERS = {
    "ciosidecar": "client/python",
    "ciosidecar_transform": "server/transform",
    "ciosidecar_server": "server/sidecar",
    "ciosidecar_sandbox": "server/sandbox",
}
NATIVE = "ciosidecar_native"
ALL = FOLDERS | {NATIVE: "server/native"}
PACKAGES = pytest.mark.parametrize("package", ALL)
COMPILED = {"__init__.py", "__init__.pyi", "py.typed", "ciosidecar_native.abi3.so"}
# install.py belongs to the checkout, and a lock file would name the registry of who built the archive.
SOURCE = {
    "Cargo.toml",
    "LICENSE",
    "PKG-INFO",
    "README.md",
    "build_backend.py",
    "ciosidecar_native.pyi",
    "pyproject.toml",
    "src",
}
pytestmark = pytest.mark.timeout(4 * LIMIT_S)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make dist` fills. It checks each file with twine, or fails."""
    require_index()
    if shutil.which("cargo") is None:
        give_up("cargo not found on this machine")
    folder = tmp_path_factory.mktemp("made") / "dist"
    done = run("make", "-C", ROOT, "dist", f"DIST={folder}")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.count("PASSED") == 2 * len(ALL)
    return folder


def members(archive: Path) -> set[str]:
    """The files in an archive, without the folder of a sdist."""
    if archive.suffix == ".whl":
        return set(zipfile.ZipFile(archive).namelist())
    with tarfile.open(archive) as opened:
        assert all(each.isreg() for each in opened), "a sdist of plain files needs no checkout"
        return {name.partition("/")[2] for name in opened.getnames()}


def metadata(wheel: Path) -> Message:
    """The METADATA of a wheel."""
    opened = zipfile.ZipFile(wheel)
    (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(opened.read(name))


@PACKAGES
def test_an_archive_has_the_licence_the_types_and_nothing_else(dist: Path, package: str) -> None:
    """The wheel and the sdist have the same modules. Neither has tests, caches or settings of tools."""
    (wheel,), (sdist,) = dist.glob(f"{package}-*.whl"), dist.glob(f"{package}-*.tar.gz")
    modules = {name for name in members(wheel) if name.startswith(f"{package}/")}
    assert f"{package}/py.typed" in modules
    if package == NATIVE:
        assert {name.removeprefix(f"{package}/") for name in modules} == COMPILED
        assert {name.partition("/")[0] for name in members(sdist)} == SOURCE
    else:
        assert modules == {name for name in members(sdist) if name.startswith(f"{package}/")}
    assert {"LICENSE", "README.md", "PKG-INFO", "pyproject.toml"} <= members(sdist)
    assert not [name for name in members(sdist) if "tests" in name or "__pycache__" in name]
    (licence,) = (name for name in members(wheel) if name.endswith("licenses/LICENSE"))
    assert zipfile.ZipFile(wheel).read(licence) == (ROOT / "LICENSE").read_bytes()


@PACKAGES
def test_the_metadata_says_what_a_registry_shows(dist: Path, package: str) -> None:
    """A page of its own, the licence, the URLs, and the versions of Python that are tested."""
    (wheel,) = dist.glob(f"{package}-*.whl")
    found = metadata(wheel)
    readme = (ROOT / ALL[package] / "README.md").read_text(encoding="utf-8")
    assert found["Description-Content-Type"].startswith("text/markdown")
    assert found.get_payload(decode=True).decode().strip() == readme.strip()  # type: ignore[union-attr]
    assert found["License-Expression"] == "Apache-2.0"
    urls = dict(url.split(", ") for url in found.get_all("Project-URL", []))
    assert urls.keys() == {"Homepage", "Documentation", "Changelog", "Issues"}
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= set(
        found.get_all("Classifier", [])
    )


@PACKAGES
def test_a_page_of_a_registry_has_no_link_into_the_checkout(package: str) -> None:
    """A registry shows the README alone; its URLs and those of the metadata name files that are here."""
    folder = ROOT / ALL[package]
    readme = (folder / "README.md").read_text(encoding="utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    targets = [*re.findall(r"\]\(([^)]+)\)", readme), *project["urls"].values()]
    assert len(targets) > len(project["urls"])
    for target in targets:
        assert target.startswith(project["urls"]["Homepage"]), target
        _, main, path = target.partition("/blob/main/")
        assert not main or (ROOT / path).is_file(), target


@PACKAGES
def test_each_package_has_the_licence_of_the_repository(package: str) -> None:
    """A copy, because a sdist has only files below its own folder."""
    copy = ROOT / ALL[package] / "LICENSE"
    assert copy.read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_wheels_run_without_the_checkout(dist: Path, tmp_path: Path) -> None:
    """The command says its version, transforms an event, and each package says the same version."""
    python = new_environment(tmp_path / "venv")
    installed = run(python, "-m", "pip", "install", "-q", *dist.glob("*.whl"))
    assert installed.returncode == 0, installed.stderr
    said = run(python.with_name("ciosidecar"), "--version", cwd=tmp_path)
    release = version("ciosidecar-server")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(
        f"ciosidecar {release} (Python {platform.python_version()}, grpcio "
    )
    assert said.stdout.rstrip().endswith(", compiled")
    for package in ALL:
        program = f"import {package}; print({package}.__version__)"
        done = run(python, "-I", "-W", "error", "-c", program, cwd=tmp_path)
        assert (done.stdout.strip(), done.stderr) == (release, "")
    event = '{"event": {"type": "track", "userId": "u", "event": "E"}, "config": {"siteID": "s", "apiKey": "k"}}'
    (tmp_path / "events.jsonl").write_text(event)
    done = run(python.with_name("ciosidecar"), "transform", "events.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"status":200' in done.stdout


def test_a_wheel_can_be_built_from_a_sdist(dist: Path, tmp_path: Path) -> None:
    """By pip, as it does where it finds no wheel. The wheel has the same files.

    `make dist` itself builds the wheel of the compiled package from its sdist.
    """
    for package in FOLDERS:
        (sdist,), (wheel,) = dist.glob(f"{package}-*.tar.gz"), dist.glob(f"{package}-*.whl")
        done = run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, sdist)
        assert done.returncode == 0, done.stderr
        assert members(tmp_path / wheel.name) == members(wheel)
