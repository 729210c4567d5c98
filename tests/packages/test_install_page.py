"""docs/install.md, followed from a copy of the checkout: what it says to enter, in an empty folder."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packages.isolated import ROOT, give_up, require_index, run

PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
STEP_WITHIN_S = 400
COPIED = ("client", "server", "protos", "LICENSE", "constraints.txt")
MADE_HERE = ("node_modules", "dist", "build", "target", "__pycache__", "*.egg-info", ".tools")
GO_PROGRAM = """package main

import (
	"fmt"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

func main() {
	_ = ciosidecar.NewDestination("shop", nil)
	fmt.Println("true")
}
"""
NODE_PROGRAM = "console.log(typeof require('ciosidecar').Client)"
JAVA_PROGRAM = """import dev.ciosidecar.CiosidecarClient;

public class Found {
  public static void main(String[] arguments) {
    System.out.println(CiosidecarClient.DEFAULT_ADDRESS);
  }
}
"""
# They build clients, and take what the machine has.
pytestmark = [pytest.mark.serial, pytest.mark.timeout(3 * STEP_WITHIN_S)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, without what was built in it."""
    folder = tmp_path_factory.mktemp("copy") / "checkout"
    folder.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(*MADE_HERE))
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def need(*programs: str) -> None:
    """Skip the test where a program is missing; with REQUIRE_ALL set, fail it."""
    if missing := [program for program in programs if shutil.which(program) is None]:
        give_up(f"{' and '.join(missing)} not found on this machine")


def section(title: str) -> str:
    """A section of the page."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def follow(title: str, checkout: Path, folder: Path, **further: str) -> str:
    """Enter the commands of a section in a folder. Returns what they printed."""
    (commands,) = re.findall(r"```sh\n(.*?)```", section(title), re.DOTALL)
    script = "set -e\n" + commands.replace("CHECKOUT", str(checkout))
    # Crates that `make setup` has compiled are not compiled again.
    further["CARGO_TARGET_DIR"] = str(ROOT / "server" / "native" / "target")
    done = run("sh", "-c", script, cwd=folder, limit_s=STEP_WITHIN_S, **further)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def sidecar(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the commands for the sidecar were entered, and what they printed."""
    require_index()
    folder = tmp_path_factory.mktemp("sidecar")
    return folder, follow("The sidecar", checkout, folder)


def test_the_sidecar(sidecar: tuple[Path, str]) -> None:
    """The command runs, with the sandbox. It says that it is not compiled, and why."""
    folder, said = sidecar
    assert re.search(r"^ciosidecar \d+\.\d+\.\d+ \(Python ", said, re.MULTILINE)
    assert "pure Python: ciosidecar-native is not installed" in " ".join(said.split())
    done = run(folder / "venv/bin/ciosidecar", "sandbox", "--help", cwd=folder)
    assert "--fault" in done.stdout


def test_the_compiled_package(checkout: Path, sidecar: tuple[Path, str]) -> None:
    """The command says that it is compiled."""
    need("cargo")
    assert follow("The compiled package", checkout, sidecar[0]).rstrip().endswith(", compiled")


def test_the_python_client(checkout: Path, tmp_path: Path) -> None:
    """It is there, and nothing of the sidecar is."""
    require_index()
    assert re.search(
        r"^\d+\.\d+\.\d+\n\Z", follow("The Python client", checkout, tmp_path), re.MULTILINE
    )
    done = run(tmp_path / "venv/bin/python", "-c", "import ciosidecar_server", cwd=tmp_path)
    assert "ModuleNotFoundError" in done.stderr


def test_the_go_client(checkout: Path, tmp_path: Path) -> None:
    """A program of another module runs with it."""
    need("go")
    (tmp_path / "main.go").write_text(GO_PROGRAM)
    assert run("go", "mod", "init", "example.com/program", cwd=tmp_path).returncode == 0
    follow("The Go client", checkout, tmp_path)
    done = run("go", "run", ".", cwd=tmp_path, limit_s=STEP_WITHIN_S)
    assert (done.stdout, done.returncode) == ("true\n", 0), done.stderr


def test_the_typescript_client(checkout: Path, tmp_path: Path) -> None:
    """A program of another package runs with it, also once the checkout is gone: it is no link."""
    need("node", "npm")
    (tmp_path / "package.json").write_text('{"name": "program", "private": true}')
    follow("The TypeScript client", checkout, tmp_path)
    assert not (tmp_path / "node_modules/ciosidecar").is_symlink()
    done = run("node", "-e", NODE_PROGRAM, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("function\n", 0), done.stderr


def test_the_java_client(checkout: Path, tmp_path: Path) -> None:
    """It is in the local repository under the coordinates of the page. A program compiles with it."""
    need("java", "javac", "mvn")
    repository = tmp_path / "repository"
    mine = Path.home() / ".m2" / "repository"
    if mine.is_dir():  # a copy, so that the test installs nothing for the user of this machine
        subprocess.run(["cp", "-a", mine, repository], check=True, timeout=STEP_WITHIN_S)
    options = f"{os.environ.get('MAVEN_OPTS', '')} -Dmaven.repo.local={repository}".strip()
    follow("The Java client", checkout, tmp_path, MAVEN_OPTS=options)
    text = section("The Java client")
    group, artifact, release = (
        re.findall(f"<{tag}>(.*?)</{tag}>", text)[0] for tag in ("groupId", "artifactId", "version")
    )
    place = repository / group.replace(".", "/") / artifact / release
    (tmp_path / "Found.java").write_text(JAVA_PROGRAM)
    jar = place / f"{artifact}-{release}.jar"
    done = run("java", "-cp", jar, tmp_path / "Found.java", cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("127.0.0.1:50550\n", 0), done.stderr


@pytest.mark.parametrize("page", ["python", "go-data-plane", "node", "java"])
def test_the_page_of_a_client_leads_to_installing(page: str) -> None:
    """Each links its own section, which is there."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    (anchor,) = set(re.findall(r"\(install\.md#(the-\w+-client)\)", text))
    assert f"](#{anchor})" in PAGE
