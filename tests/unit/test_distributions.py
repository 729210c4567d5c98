"""The Python distributions: what each may need, and that nothing goes in a circle."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions, requires, version
from importlib.util import resolve_name
from pathlib import Path

import pytest
from ciosidecar_transform import native

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "ciosidecar": ROOT / "client/python/ciosidecar",
    "ciosidecar-transform": ROOT / "server/transform/ciosidecar_transform",
    "ciosidecar-server": ROOT / "server/sidecar/ciosidecar_server",
    "ciosidecar-sandbox": ROOT / "server/sandbox/ciosidecar_sandbox",
}
DISTRIBUTION_OF = {folder.name: name for name, folder in PACKAGES.items()}
# `ciosidecar sandbox` works where the sandbox is installed; the server does not require it.
OPTIONAL = {"ciosidecar-server": {"ciosidecar-sandbox"}}
REFUSED = ["grpc", "google", "aiohttp", "httpx", "starlette", "uvicorn", "asyncio"]
IMPORT_ALL = f"""
import sys
import tomllib
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {REFUSED!r}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import importlib, pkgutil
import ciosidecar_transform
for module in pkgutil.walk_packages(ciosidecar_transform.__path__, "ciosidecar_transform."):
    importlib.import_module(module.name)
    print(module.name)
"""


def declared(distribution: str) -> dict[str, str]:
    """Return the names that a distribution requires, and what it says of their versions."""
    lines = requires(distribution) or []
    parts = [re.fullmatch(r"([\w.-]+)(.*)", line) for line in lines]
    return {part[1].lower().replace("_", "-"): part[2] for part in parts if part}


def modules(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and the file of every module of a package."""
    for file in folder.rglob("*.py"):
        parts = file.relative_to(folder.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def imports(name: str, file: Path) -> Iterator[str]:
    """Yield what a module imports when it runs, in full: the module, and each name from it."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    pending: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{base}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def imported(distribution: str) -> set[str]:
    """Return the top-level names that a distribution's modules import."""
    folder = PACKAGES[distribution]
    return {
        path.partition(".")[0] for name, file in modules(folder) for path in imports(name, file)
    }


def test_the_distributions_have_no_circle() -> None:
    """Neither by what they declare nor by what they import."""
    graph = {}
    for name in PACKAGES:
        by_import = {DISTRIBUTION_OF[top] for top in imported(name) & DISTRIBUTION_OF.keys()}
        by_metadata = declared(name).keys() & PACKAGES.keys()
        assert by_import - {name} - OPTIONAL.get(name, set()) == by_metadata, name
        graph[name] = (by_import | by_metadata) - {name}
    assert (
        graph["ciosidecar"] == graph["ciosidecar-transform"] == graph["ciosidecar-sandbox"] == set()
    )
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("distribution", PACKAGES)
def test_a_requirement_of_this_project_names_its_version(distribution: str) -> None:
    """All are released together."""
    for name, wanted in declared(distribution).items():
        if name in PACKAGES:
            assert wanted == f"=={version(name)}"


@pytest.mark.parametrize("distribution", ["ciosidecar-transform", "ciosidecar-sandbox"])
def test_what_is_imported_is_declared(distribution: str) -> None:
    """Every package that is not Python's own is a requirement."""
    owners = packages_distributions()
    own = PACKAGES[distribution].name
    foreign = imported(distribution) - sys.stdlib_module_names - {own}
    used = {owner.lower() for top in foreign for owner in owners[top]}
    assert used <= declared(distribution).keys()


def test_the_transform_needs_msgspec_alone() -> None:
    """Every module can be imported where neither gRPC nor HTTP nor asyncio is."""
    assert declared("ciosidecar-transform").keys() == {"msgspec"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_ALL],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    names = {name for name, _ in modules(PACKAGES["ciosidecar-transform"])}
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == names - {"ciosidecar_transform"}


def test_one_module_chooses_the_compiled_package() -> None:
    """No other imports it, so no distribution requires it; and it requires none."""
    named = {
        name
        for folder in PACKAGES.values()
        for name, file in modules(folder)
        if re.search(r"import\w* .*ciosidecar_native", file.read_text(encoding="utf-8"))
    }
    assert named == set()
    chooser = PACKAGES["ciosidecar-transform"] / "native.py"
    assert "import_module(_NAME)" in chooser.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "server/native/pyproject.toml").read_text("utf-8"))["project"]
    assert "dependencies" not in project
    assert not [name for name in PACKAGES if "ciosidecar-native" in declared(name)]


def test_the_compiled_package_is_of_this_release() -> None:
    """In its own file. Its interface has the number that the transform needs."""
    folder = ROOT / "server" / "native"
    crate = tomllib.loads((folder / "Cargo.toml").read_text("utf-8"))
    assert crate["package"]["version"] == version("ciosidecar-transform")
    needs = f"const INTERFACE: u32 = {native.INTERFACE};"
    assert needs in (folder / "src" / "lib.rs").read_text("utf-8")
    # A version that floats could change what is built from one commit.
    pins = [
        need if isinstance(need, str) else need["version"]
        for need in crate["dependencies"].values()
    ]
    assert pins
    assert all(pin.startswith("=") for pin in pins)


def test_the_transform_has_no_clock() -> None:
    """The time is handed in."""
    assert not imported("ciosidecar-transform") & {"asyncio", "grpc", "time"}
    for _, file in modules(PACKAGES["ciosidecar-transform"]):
        assert not re.search(r"\.(now|utcnow|today)\(", file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize("distribution", PACKAGES)
def test_the_modules_have_no_circle(distribution: str) -> None:
    """Imports for the type checker only do not count; those inside of functions do."""
    files = dict(modules(PACKAGES[distribution]))
    graph = {
        name: {
            path if path in files else path.rpartition(".")[0]
            for path in imports(name, file)
            if path.startswith(PACKAGES[distribution].name + ".")
        }
        - {name}
        for name, file in files.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" <- ".join(circle.args[1]))
