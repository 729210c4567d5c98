"""The recipes of docs/retries.md deliver everything in order to a Customer.io that often fails."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ciosidecar_sandbox.testing import running_sandbox
from ciosidecar_server.testing import server

from tests.docs.pages import Example, examples
from tests.docs.test_other_languages import _BY_NAME, _RUN

PAGE = "docs/retries.md"
FENCES = {"python": "python", "go": "go", "typescript": "js", "java": "java"}
PEOPLE, STEPS = 5, 3


def recipe(name: str) -> Example:
    """The program in one language, with its output."""
    (example,) = examples(PAGE, FENCES[name])
    assert example.output is not None
    return example


@contextmanager
def command(name: str, code: str, folder: Path) -> Iterator[tuple[list[str], Path]]:
    """The command that runs a program, and where."""
    if name == "python":
        program = folder / "recipe.py"
        program.write_text(code)
        yield [sys.executable, str(program)], folder
        return
    language = _BY_NAME[name]
    language.require()
    language.make()
    with _RUN[name](code) as made:
        yield made, language.directory


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FENCES)
def test_a_recipe_delivers_everything_in_order(name: str, tmp_path: Path) -> None:
    """Half of the requests fail. Each event arrives once, after the earlier ones of its person."""
    example = recipe(name)
    with (
        running_sandbox(fault="503=0.5", seed=7) as sandbox,
        server(customerio_url=sandbox.url) as sidecar,
        command(name, example.code.replace("127.0.0.1:50550", sidecar.address), tmp_path) as (
            run,
            folder,
        ),
    ):
        done = subprocess.run(
            run,
            cwd=folder,
            env=os.environ | {"CIOSIDECAR_ADDRESS": sidecar.address},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == (example.output or "").strip()
        people = list(sandbox.workspace.people)
        arrived = {person.id: [entry.name for entry in person.timeline or ()] for person in people}
    steps = [f"Step {step}" for step in range(STEPS)]
    assert arrived == {f"u{number}": steps for number in range(PEOPLE)}
