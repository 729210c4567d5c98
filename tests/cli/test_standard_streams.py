"""Standard input, output and error that are full, closed, or read by nobody."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.cli.lines import lines_of, track
from tests.processes import COMMAND, TIMEOUT_S

EVENTS = lines_of(*(track(number) for number in range(1, 4)))
SERVERS = ("serve", "sandbox")


def shell(redirections: str, *arguments: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
    """Exit code, stdout and stderr of a command whose streams a shell redirects."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", *COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(
    ("redirection", "why"),
    [(">/dev/full", "No space left on device"), (">&-", "it is closed")],
    ids=["full", "closed"],
)
def test_a_server_that_cannot_say_where_it_listens_ends(
    name: str, redirection: str, why: str
) -> None:
    """No program would learn the address: exit code 1, and one sentence that says so."""
    code, _, errors = shell(redirection, name, "--listen", "127.0.0.1:0")
    assert code == 1
    assert errors == (
        f"ciosidecar: cannot write to standard output: {why}, so no program could learn the"
        " address\n"
    )


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_whose_output_nobody_reads_ends(name: str) -> None:
    """The same for a pipe whose reader went away before the line."""
    command = [*COMMAND, name, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        try:
            assert "standard output has no reader" in process.stderr.read()
            assert process.wait(TIMEOUT_S) == 1
        finally:
            process.kill()


@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "<&- 2>&-"])
def test_a_server_lives_without_the_other_streams(redirection: str) -> None:
    """Closed stdin and stderr: it says where it listens, and drains on SIGTERM."""
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND, "serve"]
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith('{"ready":true')
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()


def test_transform_on_a_full_disk() -> None:
    """Exit code 1, no traceback, and how many lines were written."""
    code, _, errors = shell(">/dev/full", "transform", stdin=EVENTS)
    assert code == 1
    assert "cannot write to standard output: No space left on device; 0 lines written" in (errors)
    assert "Traceback" not in errors


def test_the_lines_that_were_written_are_counted(tmp_path: Path) -> None:
    """A disk that is full after two lines: two are said, and two are there."""
    whole = tmp_path / "whole.jsonl"
    code, _, _ = shell(f">{whole}", "transform", stdin=EVENTS)
    lines = whole.read_bytes().splitlines(keepends=True)
    assert (code, len(lines)) == (0, 3)
    room = sum(map(len, lines[:2])) + 10
    part = tmp_path / "part.jsonl"
    # A limit on files is to the process what a full disk is.
    limited = ["sh", "-c", f'exec prlimit --fsize={room} "$@" >{part}', "sh", *COMMAND]
    done = subprocess.run(
        [*limited, "transform"],
        input=EVENTS,
        stderr=subprocess.PIPE,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1
    assert b"File too large; 2 lines written" in done.stderr
    written = part.read_bytes().splitlines(keepends=True)
    assert [json.loads(line) for line in written[:2]] == [json.loads(line) for line in lines[:2]]


def test_deliver_on_a_full_disk() -> None:
    """Exit code 1, how many lines were written, and which have no answer and may be delivered."""
    with running_sandbox() as sandbox:
        arguments = ("deliver", "--customerio-url", sandbox.url)
        code, _, errors = shell(">/dev/full", *arguments, stdin=EVENTS)
    assert code == 1
    assert "No space left on device; 0 lines written" in errors
    assert "ended after line 0: lines 1 to 3 have no result" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [
        (">&-", 1, "cannot write to standard output: it is closed; 0 lines written"),
        ("<&-", 2, "cannot read standard input: it is closed"),
        ("2>&-", 0, ""),
    ],
    ids=["stdout", "stdin", "stderr"],
)
def test_transform_with_a_closed_stream(redirection: str, code: int, words: str) -> None:
    """Said where there is somebody to say it to; never an abort."""
    found, out, errors = shell(redirection, "transform", stdin=EVENTS)
    assert found == code
    assert words in errors
    assert len(out.splitlines()) == (3 if code == 0 else 0)


@pytest.mark.parametrize(
    "arguments",
    [("check",), ("check", "--json"), ("--help",), ("--version",)],
    ids=["check", "check-json", "help", "version"],
)
def test_what_is_printed_at_once_fails_with_a_sentence(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """A full disk is exit code 1 for what people ask, too."""
    config = tmp_path / "destination.json"
    config.write_text('{"siteID": "site", "apiKey": "key"}')
    more = ("--config", str(config)) if "check" in arguments else ()
    code, _, errors = shell(">/dev/full", *arguments, *more)
    assert code == 1
    assert errors == "ciosidecar: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("serve", "--help"),
        ("completion", "bash"),
        ("check", "--config", "examples/destination.json"),
    ],
    ids=" ".join,
)
def test_what_prints_a_text_may_lose_its_reader(arguments: tuple[str, ...]) -> None:
    """As `ciosidecar --help | head -n 1` does: exit code 0, and no word."""
    command = [*COMMAND, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        try:
            assert process.stderr.read() == b""
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()


def test_the_version_is_one_line() -> None:
    """However long the reason is why the compiled package is not used."""
    code, version, errors = shell("", "--version")
    assert (code, errors) == (0, "")
    assert version.startswith(b"ciosidecar ")
    assert version.count(b"\n") == 1
