"""`ciosidecar check`, and what the command says of itself."""

import json
import platform
from importlib.metadata import version
from pathlib import Path

import pytest
from ciosidecar_transform import native

from tests.processes import run, server


def write(path: Path, config: str) -> str:
    file = path / "destination.json"
    file.write_text(config)
    return str(file)


def test_a_usable_destination(tmp_path: Path) -> None:
    """Exit code 0, and a word."""
    done = run("check", "--config", write(tmp_path, '{"siteID": "site", "apiKey": "key"}'))
    assert (done.returncode, done.stdout) == (0, b"usable\n")


def test_what_is_wrong_is_said_by_key_and_never_by_value(tmp_path: Path) -> None:
    """Exit code 1; every problem on a line of its own; no secret in it."""
    config = '{"siteID": "{{ a || s3cret }}", "datacenter": "MOON", "useNativeSDK": 5}'
    done = run("check", "--config", write(tmp_path, config))
    text = done.stdout.decode()
    assert done.returncode == 1
    assert text.startswith("not usable\n")
    for key in ("error apiKey", "error datacenter", "note siteID", "note useNativeSDK"):
        assert key in text
    assert "s3cret" not in text
    assert "MOON" not in text


def test_keys_that_nobody_reads_are_noted(tmp_path: Path) -> None:
    """A typing mistake does not pass in silence, and does no harm: exit code 0."""
    config = '{"siteID": "site", "apiKey": "key", "datacentre": "EU", "whitelistedEvents": []}'
    done = run("check", "--config", write(tmp_path, config))
    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [
        "usable",
        "note datacentre is no setting, and is ignored (rule 11.1): did you mean datacenter?",
        "note whitelistedEvents is a setting of RudderStack's SDKs: it is ignored here (rule 11.3)",
    ]


def test_the_answer_as_json(tmp_path: Path) -> None:
    """--json prints one object for programs."""
    done = run("check", "--json", "--config", write(tmp_path, '{"siteID": "site"}'))
    found = json.loads(done.stdout)
    assert found["usable"] is False
    (problem,) = found["problems"]
    assert (problem["key"], problem["fatal"]) == ("apiKey", True)


def test_a_running_sidecar_can_be_asked(tmp_path: Path) -> None:
    """--target asks a server that is there already."""
    config = write(tmp_path, '{"siteID": "site", "apiKey": "key"}')
    with server("--listen", "127.0.0.1:0") as running:
        done = run("check", "--config", config, "--target", running.addresses[0])
    assert done.returncode == 0


def test_a_config_that_is_not_there() -> None:
    """Exit code 2 and its name."""
    done = run("check", "--config", "no-such-file")
    assert done.returncode == 2
    assert b"no-such-file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("serve", "transform", "deliver", "check", "sandbox")),
        (("serve",), ("--listen", "--grace", "SIGTERM")),
        (("transform",), ("--config", "--target", "--pack", "--show-secrets")),
        (
            ("deliver",),
            ("--config", "--target", "--customerio-url", "--timeout-s", "--with-requests"),
        ),
        (("check",), ("--config", "--json", "--probe", "--customerio-url")),
    ],
    ids=["all", "serve", "transform", "deliver", "check"],
)
def test_help_teaches(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    """--help names every option and ends with exit code 0."""
    done = run(*arguments, "--help")
    assert done.returncode == 0
    for word in words:
        assert word in done.stdout.decode()


def test_version() -> None:
    """--version prints the release, the versions of what decides how it behaves, and the implementation."""
    done = run("--version")
    python = platform.python_version()
    wire = f"grpcio {version('grpcio')}, protobuf {version('protobuf')}"
    speed = "compiled" if native.module else f"pure Python: {native.reason}"
    expected = f"ciosidecar 0.1.0 (Python {python}, {wire}), {speed}"
    # The line is broken at the width of the terminal.
    assert (done.returncode, done.stdout.decode().split()) == (0, expected.split())
