"""A command line that cannot be understood: exit code 2, and one line that says what is wrong and where to look."""

import os

import pytest

from tests.processes import run

WRONG = (
    ("servee", "There is no command 'servee'. Did you mean serve? See: ciosidecar --help"),
    ("bench", "The commands are serve, transform, deliver, backfill, check, health, top, tap,"),
    ("serve --bogus", "Unknown option: --bogus. See: ciosidecar serve --help"),
    ("deliver --confg x", "Unknown option: --confg. Did you mean --config? See:"),
    ("transform a b", "'b' is one argument too many. See: ciosidecar transform --help"),
    ("transform --config", "--config requires an argument. See: ciosidecar transform --help"),
    ("deliver --timeout-s x", "Invalid value for --timeout-s: it must be a number. See:"),
    ("serve --log-level loud", 'Choose from: "debug", "info", "warning", "error". See:'),
    ("completion tcsh", 'Choose from: "bash", "zsh", "fish". See: ciosidecar completion --help'),
    ("backfill x --output y --partitions 2.5", "--partitions must be a whole number. See:"),
    ("tap --limit 1.5", "must be a whole number. See: ciosidecar tap --help"),
)


@pytest.mark.parametrize(("words", "says"), WRONG, ids=[words for words, _ in WRONG])
def test_a_wrong_command_line(words: str, says: str) -> None:
    """The line is whole, however narrow the terminal is."""
    done = run(*words.split(), env=os.environ | {"COLUMNS": "40"})
    assert (done.returncode, done.stdout) == (2, b"")
    line = done.stderr.decode()
    assert line.startswith("ciosidecar: ")
    assert line.index("\n") == len(line) - 1
    assert says in line


def test_a_wrong_value_of_the_environment() -> None:
    """The variable is named, because the command line shows nothing wrong."""
    done = run("serve", env=os.environ | {"CIOSIDECAR_GRACE_S": "soon"})
    assert done.returncode == 2
    assert b"Invalid value for CIOSIDECAR_GRACE_S from env: it must be a number." in done.stderr
