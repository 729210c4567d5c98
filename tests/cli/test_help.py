"""`--help` on a terminal of 80 columns, and the completion of shells."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ciosidecar_server.cli.commands import app
from ciosidecar_server.cli.examples import examples

from tests.packages.isolated import give_up
from tests.processes import run

NAMES = sorted(name for name in app if not name.startswith("-"))
COMMANDS = pytest.mark.parametrize("name", NAMES)
SHELLS = ("bash", "zsh", "fish")
COMPLETE_IN_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_ciosidecar
printf '%s\\n' "${COMPREPLY[@]}"
"""


def help_of(*words: str) -> str:
    """The help of a command, as a terminal of 80 columns without colours gets it."""
    done = run(*words, "--help", env=os.environ | {"COLUMNS": "80", "TERM": "dumb"})
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_list_of_commands_says_what_each_does(words: tuple[str, ...]) -> None:
    """Each command has the first words of its own help beside its name."""
    done = run(*words, env=os.environ | {"COLUMNS": "200", "TERM": "dumb"})
    lines = done.stdout.decode().splitlines()
    for name in NAMES:
        (line,) = [line for line in lines if re.match(rf"│ {name} ", line)]
        assert len(line.strip("│ ").removeprefix(name).split()) > 3, line


@COMMANDS
def test_help_fits_and_ends_with_examples(name: str) -> None:
    """No line is wider than the terminal, and each line of an example is in one piece."""
    lines = [line.rstrip() for line in help_of(name).splitlines()]
    assert max(map(len, lines)) <= 80
    shown = lines[lines.index("Examples:") + 1 :]
    expected = [line.removeprefix("    ") for line in examples(name).splitlines()[2:]]
    assert [line.removeprefix(" ") for line in shown if line] == expected


@COMMANDS
def test_examples_are_given_once(name: str) -> None:
    """At the end of the help, and not in its text too."""
    assert "Example:" not in help_of(name)


@COMMANDS
def test_an_option_without_a_default_shows_none(name: str) -> None:
    """Nothing such as `[default: ]`."""
    words = " ".join(help_of(name).replace("│", " ").split())
    assert "[default: ]" not in words


@COMMANDS
def test_each_command_has_its_exit_codes_in_the_docs(name: str) -> None:
    """A row of docs/operations/commands.md."""
    page = Path(__file__).parents[2] / "docs" / "operations" / "commands.md"
    assert re.search(rf"^\| `{name}` \|", page.read_text(), re.MULTILINE)


@COMMANDS
def test_an_example_has_only_options_of_its_command(name: str) -> None:
    """A renamed option is renamed in the examples too."""
    options = set(re.findall(r"--[a-z][\w-]*", help_of(name).partition("Examples:")[0]))
    text = examples(name)
    assert set(re.findall(r"--[a-z][\w-]*", text)) <= options
    assert f"ciosidecar {name}" in text


def test_the_commands_are_listed() -> None:
    """With the first sentence of each."""
    text = help_of()
    for name in NAMES:
        assert re.search(rf"^│ {name} +\w", text, re.MULTILINE), name


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    """A shell that is on this machine."""
    name = str(request.param)
    if shutil.which(name) is None:
        give_up(f"there is no {name} (Debian: apt-get install {name})")
    return name


def script(shell: str, folder: Path) -> Path:
    """What `ciosidecar completion` prints, in a file."""
    done = run("completion", shell)
    assert (done.returncode, done.stderr) == (0, b"")
    path = folder / f"_ciosidecar.{shell}"
    path.write_bytes(done.stdout)
    return path


def output(*command: str | Path) -> str:
    """What a program of a shell prints, without anything on stderr."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_shell_reads_its_completion(shell: str, tmp_path: Path) -> None:
    """Without an error."""
    output(shell, "-n", script(shell, tmp_path))


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["serv"], {"serve"}),
        (["serve", "--list"], {"--listen"}),
        (["serve", "--log-level", ""], {"debug", "info", "warning", "error"}),
        (["check", "--pro"], {"--probe"}),
        (["completion", ""], set(SHELLS)),
        (["nonsense", "--x"], set()),
    ],
)
def test_bash_completes(typed: list[str], offered: set[str], tmp_path: Path) -> None:
    """Commands, options, and the values of an option that has few."""
    path = str(script("bash", tmp_path))
    shell = ("bash", "--norc", "--noprofile", "-c", COMPLETE_IN_BASH, "bash")
    found = output(*shell, path, "ciosidecar", *typed)
    assert set(found.split()) == offered


def test_fish_completes(tmp_path: Path) -> None:
    """An option of a command."""
    if shutil.which("fish") is None:
        give_up("there is no fish (Debian: apt-get install fish)")
    path = script("fish", tmp_path)
    program = f"source {path}; complete -C 'ciosidecar serve --list'"
    assert output("fish", "--no-config", "-c", program).startswith("--listen")


def test_another_shell_is_refused() -> None:
    """By name, as any other value that is not a choice."""
    done = run("completion", "tcsh")
    assert done.returncode != 0
    assert b"tcsh" in done.stdout + done.stderr
