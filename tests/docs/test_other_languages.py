"""The programs in Go, TypeScript and Java on the pages run, and print what the pages say."""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path

import pytest
from ciosidecar_sandbox.testing import running_sandbox
from ciosidecar_server.testing import server

from tests.docs.pages import ROOT, Example, examples
from tests.polyglot.languages import LANGUAGES, Language

TIMEOUT_S = 120
_BY_NAME = {language.name: language for language in LANGUAGES}


def _built(name: str) -> Language:
    """The language, with its client built once; skips the test where its tools are not here."""
    _BY_NAME[name].require()
    return _made(name)


@cache
def _made(name: str) -> Language:
    _BY_NAME[name].make()
    return _BY_NAME[name]


@contextmanager
def _file_in(directory: Path, name: str, code: str) -> Iterator[Path]:
    """A program in a folder of its own below a client's `build`, which nobody commits."""
    directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="documented", dir=directory) as folder:
        path = Path(folder) / name
        path.write_text(code, encoding="utf-8")
        yield path


@contextmanager
def _go(code: str) -> Iterator[list[str]]:
    client = ROOT / "client" / "go"
    with _file_in(client / "build", "main.go", code) as path:
        yield ["go", "run", f"./{path.parent.relative_to(client)}"]


@contextmanager
def _typescript(code: str) -> Iterator[list[str]]:
    with _file_in(ROOT / "client" / "node" / "build", "program.mjs", code) as path:
        yield ["node", str(path)]


@contextmanager
def _java(code: str) -> Iterator[list[str]]:
    target = ROOT / "client" / "java" / "target"
    name = re.search(r"public (?:final )?class (\w+)", code)
    assert name is not None, "a program is a public class"
    libraries = target.joinpath("test-classpath.txt").read_text()
    with _file_in(target, f"{name[1]}.java", code) as path:
        yield ["java", "-cp", f"{target / 'classes'}:{libraries}", str(path)]


_RUN: dict[str, Callable[[str], AbstractContextManager[list[str]]]] = {
    "go": _go,
    "typescript": _typescript,
    "java": _java,
}
_PAGES = {
    # Those of docs/go-data-plane.md and client/go/README.md are run by the Go client's own tests.
    "go": [("README.md", "go")],
    "typescript": [("README.md", "js"), ("docs/node.md", "js"), ("client/node/README.md", "js")],
    "java": [("README.md", "java"), ("docs/java.md", "java"), ("client/java/README.md", "java")],
}
# In TypeScript, this program names the type of its attachments.
_JAVASCRIPT_ONLY = "await stream.send(event, job)"
_WHOLE_PROGRAM = {"go": "package main", "typescript": "import ", "java": "import "}
PROGRAMS = [
    pytest.param(name, example, id=f"{name}-{example.page}:{example.line}")
    for name, pages in _PAGES.items()
    for page, fence in pages
    for example in examples(page, fence)
    if example.code.startswith(_WHOLE_PROGRAM[name])
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A sidecar that delivers to a sandbox."""
    with running_sandbox() as sandbox, server(customerio_url=sandbox.url) as sidecar:
        yield sidecar.address


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "example"), PROGRAMS)
def test_a_program_runs_and_prints_what_the_page_says(
    name: str, example: Example, address: str
) -> None:
    """Line by line, but for white space at the ends."""
    language = _built(name)
    with _RUN[name](example.code) as command:
        done = subprocess.run(
            command,
            cwd=language.directory,
            env=os.environ | {"CIOSIDECAR_ADDRESS": address},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    if example.output is not None:
        said = [line.rstrip() for line in example.output.strip().splitlines()]
        assert [line.rstrip() for line in done.stdout.strip().splitlines()] == said


@pytest.mark.timeout(600)
def test_the_programs_for_node_are_valid_typescript_too() -> None:
    """Strict, and with the types of the browser, which a project has unless it says otherwise."""
    language = _built("typescript")
    programs = [
        example for page, fence in _PAGES["typescript"] for example in examples(page, fence)
    ]
    with ExitStack() as stack:
        paths = [
            stack.enter_context(_file_in(language.directory / "build", "program.mts", example.code))
            for example in programs
            if _JAVASCRIPT_ONLY not in example.code
        ]
        assert len(paths) == len(programs) - 1
        command = ["node_modules/.bin/tsc", "--ignoreConfig", "--noEmit", "--strict"]
        done = subprocess.run(
            [*command, "--module", "nodenext", "--types", "node", *map(str, paths)],
            cwd=language.directory,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert done.returncode == 0, done.stdout


def test_there_are_programs_in_each_language() -> None:
    """A fence that is named otherwise would make the test above say nothing."""
    for name in _RUN:
        assert any(param.values[0] == name for param in PROGRAMS)
