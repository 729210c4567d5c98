"""docs/operations/settings.md is made from the code, and its examples run."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from ciosidecar_server.settings import Settings

from docs.generate.settings import page
from tests.docs.pages import ROOT, examples
from tests.processes import run, server

PAGE = "docs/operations/settings.md"
DIRECTORY = "/etc/ciosidecar/"
KEYS = {"SHOP_API_KEY": "an-example-api-key"}
COMMANDS = [example.code.strip() for example in examples(PAGE, "sh")]


@pytest.fixture
def documented(tmp_path: Path) -> Path:
    """A directory with the files of the page."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "blog-api-key").write_text("another-api-key\n")
    for example in examples(PAGE, "toml"):
        name = re.match(rf"# {DIRECTORY}(\w+\.toml)\n", example.code)
        assert name is not None, example
        text = example.code.replace(DIRECTORY, f"{tmp_path}/")
        # The page's directory of a socket is not there, and its port may be taken.
        text = text.replace("/run/ciosidecar", str(tmp_path)).replace(":50550", ":0")
        (tmp_path / name[1]).write_text(text)
    return tmp_path


def test_the_page_is_what_the_code_makes_it() -> None:
    """`make gen` was run."""
    assert page() == (ROOT / PAGE).read_text(encoding="utf-8")


def test_every_setting_has_a_row_with_its_names_and_meaning() -> None:
    """By flag, variable and key."""
    rows = re.findall(r"^\| `--(.*) \|$", page(), re.MULTILINE)
    assert len(rows) == len(fields(Settings))
    for field, row in zip(fields(Settings), rows, strict=True):
        flag, variable, key, _, meaning = row.split(" | ", 4)
        assert flag.startswith(field.name.replace("_", "-"))
        assert f"`CIOSIDECAR_{field.name.upper()}`" in variable
        assert f"`{field.name}`" in key
        assert meaning.endswith(".")


@pytest.mark.parametrize("command", [one for one in COMMANDS if "50550" not in one])
def test_a_command_of_the_page_does_what_it_says(documented: Path, command: str) -> None:
    """It runs as copied, with the page's files; a server comes up."""
    words = command.replace(DIRECTORY, f"{documented}/").split()
    variables = dict(word.split("=") for word in words if re.match(r"[A-Z_]+=", word))
    arguments = words[len(variables) + 1 :]
    if arguments[0] == "serve" and "--check" not in arguments:
        with server(*arguments[1:], "--admin-listen", "none", env=os.environ | KEYS) as running:
            assert len(running.addresses) == 2
        return
    done = run(*arguments, env=os.environ | KEYS | variables)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_example_of_a_caller_prints_what_the_page_says(documented: Path) -> None:
    """With a server that knows the page's destinations; it answers for the command too."""
    (example,) = examples(PAGE, "python")
    flags = ("--settings", str(documented / "settings.toml"), "--admin-listen", "none")
    defaults = ("--destination-defaults", str(documented / "defaults.toml"))
    with server(*flags, *defaults, env=os.environ | KEYS) as running:
        address = running.addresses[0]
        code = example.code.replace("127.0.0.1:50550", address)
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        assert (ran.stdout, ran.stderr) == (example.output, "")
        (command,) = (one for one in COMMANDS if "50550" in one)
        done = run(*command.replace("127.0.0.1:50550", address).split()[1:])
        assert done.returncode == 0
