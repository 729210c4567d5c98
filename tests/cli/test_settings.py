"""Settings of `serve`: flags, the environment and a file, what is refused, and what --check answers."""

import json
import os
import signal
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.processes import run, server

CHECK = ("serve", "--check", "--json")


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without our variables, and with the given ones."""
    others = {name: value for name, value in os.environ.items() if "CIOSIDECAR_" not in name}
    return others | {f"CIOSIDECAR_{name}": value for name, value in variables.items()}


def settings_file(directory: Path, text: str) -> str:
    """A file with settings."""
    path = directory / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def in_effect(*arguments: str, **variables: str) -> dict[str, Any]:
    """What --check --json answers, by setting."""
    done = run(*CHECK, *arguments, env=environment(**variables))
    assert (done.returncode, done.stderr) == (0, b"")
    settings: dict[str, Any] = json.loads(done.stdout)["settings"]
    return settings


def refusal(*arguments: str, **variables: str) -> str:
    """What is said of settings with which `serve` does not start."""
    for command in (("serve", "--listen", "127.0.0.1:0"), ("serve", "--check")):
        done = run(*command, *arguments, env=environment(**variables))
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"Traceback" not in done.stderr
    return " ".join(done.stderr.decode().replace("│", " ").split())


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    """Each value is there with its source."""
    file = settings_file(tmp_path, "grace_s = 1\nworkers = 2\nmax_connections = 3\nhttp2 = true\n")
    settings = in_effect("--settings", file, "--grace", "7", GRACE_S="6", WORKERS="5")
    assert settings["grace_s"] == {"value": 7.0, "source": "flag", "name": "--grace"}
    assert settings["workers"] == {
        "value": 5,
        "source": "environment",
        "name": "CIOSIDECAR_WORKERS",
    }
    assert settings["max_connections"] == {"value": 3, "source": "file", "name": "max_connections"}
    assert settings["http2"]["value"] is True
    assert settings["log_level"] == {"value": "info", "source": "default", "name": None}


@pytest.mark.parametrize("name", ["GRACE", "GRACE_S"])
def test_every_name_counts_in_the_environment(name: str) -> None:
    """An alias too."""
    settings = in_effect(**{name: "3"})
    assert settings["grace_s"] == {
        "value": 3.0,
        "source": "environment",
        "name": f"CIOSIDECAR_{name}",
    }


@pytest.mark.parametrize("key", ["grace", "grace_s", "grace-s"])
def test_every_name_counts_in_a_file(tmp_path: Path, key: str) -> None:
    """With _ or -."""
    settings = in_effect("--settings", settings_file(tmp_path, f"{key} = 3"))
    assert settings["grace_s"]["value"] == 3.0


@pytest.mark.parametrize("text", ["a:1,b:2", "a:1, b:2", "a:1 b:2", " a:1 ,  b:2 "])
def test_a_list_in_the_environment_has_commas_or_blanks(text: str) -> None:
    """Both are usual."""
    local = text.replace("a:", "127.0.0.1:").replace("b:", "127.0.0.1:")
    assert in_effect(LISTEN=local)["listen"]["value"] == ["127.0.0.1:1", "127.0.0.1:2"]


@pytest.mark.parametrize("value", ['["127.0.0.1:1", "127.0.0.1:2"]', '"127.0.0.1:1"'])
def test_a_list_in_a_file_is_an_array_or_one_value(tmp_path: Path, value: str) -> None:
    """As in TOML."""
    settings = in_effect("--settings", settings_file(tmp_path, f"listen = {value}"))
    assert settings["listen"]["value"] == value.strip("[]").replace('"', "").split(", ")


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    """CIOSIDECAR_SETTINGS."""
    file = settings_file(tmp_path, "workers = 2")
    assert in_effect(SETTINGS=file)["workers"]["value"] == 2


def test_an_empty_variable_counts_as_not_set() -> None:
    """Compose files and units pass empty ones on."""
    settings = in_effect(TLS_CERT="", GRACE="", LISTEN=" ", SETTINGS="")
    assert {setting["source"] for setting in settings.values()} == {"default"}


def test_the_answer_is_a_settings_file(tmp_path: Path) -> None:
    """For people it is TOML with the sources as comments, and read again it is the same."""
    done = run("serve", "--check", "--workers", "3", env=environment(GRACE="3"))
    text = done.stdout.decode()
    assert "workers = 3  # flag --workers\n" in text
    assert "grace_s = 3.0  # environment CIOSIDECAR_GRACE\n" in text
    assert "# tls_cert =  # default\n" in text
    again = in_effect("--settings", settings_file(tmp_path, text))
    written = tomllib.loads(text)
    assert {name: setting["value"] for name, setting in again.items()} == {
        name: written.get(name) for name in again
    }


def test_a_checked_server_does_not_start() -> None:
    """A taken port is no obstacle, nor is the own socket."""
    with server("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0") as running:
        settings = in_effect("--listen", running.addresses[0])
        assert settings["listen"]["value"] == running.addresses


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("TLS_KEYS", ": did you mean CIOSIDECAR_TLS_KEY?"),
        ("GRACES", ": did you mean CIOSIDECAR_GRACE_S?"),
        ("NO_DELIVERY", ": did you mean CIOSIDECAR_DELIVERY?"),
        ("WORKER", ": did you mean CIOSIDECAR_WORKERS?"),
        ("CHECK", ""),
        ("QQQ", ""),
    ],
)
def test_an_unknown_variable_is_reported(name: str, near: str) -> None:
    """A line with the nearest name; the server starts all the same."""
    sentence = f"CIOSIDECAR_{name} is in the environment, and is no setting"
    done = run("serve", "--check", env=environment(**{name: "1"}))
    assert done.returncode == 0
    assert f"{sentence}{near}\n" in done.stderr.decode()
    with server(
        "--listen", "127.0.0.1:0", "--admin-listen", "none", env=environment(**{name: "1"})
    ) as running:
        running.signal(signal.SIGTERM)
        code, errors = running.end()
    assert code == 0
    assert sentence in errors


def test_variables_of_others_are_known() -> None:
    """Of other commands, of the sandbox, of examples, and what Kubernetes adds for a Service."""
    names = ["TARGET", "SANDBOX_KEEP", "ADDRESS", "SERVICE_HOST", "SERVICE_PORT_GRPC", "PORT"]
    names += [f"PORT_50550_TCP{suffix}" for suffix in ("", "_PROTO", "_PORT", "_ADDR")]
    done = run("serve", "--check", env=environment(**dict.fromkeys(names, "1")))
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("workers = 2\ngreace_s = 3", ":2: greace_s is no setting: did you mean grace_s?"),
        ("color = 3", ":1: color is no setting"),
        ("check = true", ":1: check is no setting"),
        ('settings = "other.toml"', ":1: settings is no setting"),
        ("[serve]\nworkers = 2", ":1: serve is no setting"),
        ("\n[grace_s]\na = 2", ":2: grace_s must be a value, not a table"),
        ("grace = 1\ngrace_s = 2", ":2: grace and grace_s are the same setting: keep one"),
        ("workers = ", " is not TOML: Invalid value (at end of document)"),
        ("workers = 2\nworkers = 3", " is not TOML: Cannot overwrite a value (at"),
        ('workers = "four"', "workers"),
        ("workers = [1, 2]", "workers"),
        ("workers = 1.5", "file workers must be a whole number"),
        ("\nworkers = 1.5", "settings.toml:2)"),
        ("\ngrace_s = 'x'", "settings.toml:2: it must be a number"),
        ("\n\nlog_level = 'loud'", 'settings.toml:3. Choose from: "debug"'),
        ("http2 = 'maybe'", "http2"),
        ("workers = 0", "--workers (file workers) must be at least 1"),
        ("grace_s = nan", "--grace-s (file grace_s) must be a finite number"),
        ("listen = []", "--listen"),
        ("log_level = 'loud'", "log_level"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """Exit code 2, with the file's line where it can be had."""
    file = settings_file(tmp_path, text)
    done = run("serve", "--check", "--settings", file, env=environment() | {"COLUMNS": "400"})
    assert (done.returncode, done.stdout) == (2, b"")
    assert reason in done.stderr.decode()
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not UTF-8"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """It is named."""
    path = tmp_path / "none.toml"
    if content is not None:
        path.write_bytes(content)
    assert "none.toml" in refusal("--settings", str(path)).replace(" ", "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--max-message-bytes", "10"), "--max-message-bytes must be at least 65536"),
        (("--max-event-bytes", "99999999"), "--max-event-bytes must be at most 67100672"),
        (("--grace", "-1"), "--grace-s must be at least 0"),
        (("--connection-idle-s", "0.99"), "--connection-idle-s must be at least 1"),
        (("--grace=nan",), "--grace-s must be a finite number"),
        (("--delivery-rate", "inf"), "--delivery-rate must be a finite number"),
        (("--delivery-rate", "0"), "--delivery-rate must be greater than 0"),
        (("--customerio-url", "http://me:s3cret@host"), "--customerio-url must be http://"),
    ],
)
def test_values_that_cannot_work_are_refused(arguments: tuple[str, ...], reason: str) -> None:
    """By their flag, and without the value where it may be a secret."""
    sentence = refusal(*arguments)
    assert reason in sentence
    assert "s3cret" not in sentence


def test_the_variable_of_a_wrong_value_is_named() -> None:
    """It is what must be mended."""
    assert "--workers (environment CIOSIDECAR_WORKERS) must be" in refusal(WORKERS="0")
    assert "CIOSIDECAR_WORKERS" in refusal(WORKERS="many")
    assert "CIOSIDECAR_WORKERS must be a whole number" in refusal(WORKERS="1.5")
    assert "--workers must be a whole number" in refusal("--workers", "1e3")
    assert "set the same option" in refusal(GRACE="1", GRACE_S="2")


def test_all_reasons_are_given_at_once() -> None:
    """A line each."""
    sentence = refusal("--workers", "0", "--max-connections", "0")
    assert "--workers must be" in sentence
    assert "--max-connections must be" in sentence


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--tls-client-ca", os.devnull), "TLS needs both"),
        (("--admin-listen", "here"), "--admin-listen 'here' is neither host:port"),
        (("--socket-mode", "rw"), "no --listen is unix:PATH"),
        (("--listen", "0.0.0.0:0"), "can be reached from other machines"),
        (("--listen", "http://127.0.0.1:0"), "http://"),
        (("--auth-token-file", os.devnull), os.devnull),
    ],
)
def test_check_looks_at_files_and_addresses(arguments: tuple[str, ...], reason: str) -> None:
    """What a start would fail for is a refusal here, with the same words."""
    done = run("serve", "--check", *arguments, env=environment())
    assert (done.returncode, done.stdout) == (2, b"")
    assert reason in " ".join(done.stderr.decode().split())


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """--check opens what the settings name."""
    done = run("serve", "--check", "--auth-token-file", str(tmp_path / "none"), env=environment())
    assert done.returncode == 2
    assert f"cannot read --auth-token-file {tmp_path / 'none'}" in done.stderr.decode()


def test_help_shows_defaults_as_they_would_be_given() -> None:
    """No tuple, no None."""
    text = " ".join(run("serve", "--help").stdout.decode().replace("│", " ").split())
    assert "[default: 127.0.0.1:50550]" in text
    assert "[default: 10]" in text
    assert "('" not in text
    assert "None" not in text


def test_help_of_check_says_that_ports_are_not_tried() -> None:
    """A taken port ends a start with exit code 1, and no check."""
    text = " ".join(run("serve", "--help").stdout.decode().replace("│", " ").split())
    assert "Ports are not tried" in text


def test_replicas_without_a_rate_store() -> None:
    """Nothing else reads the number, so that it would be ignored."""
    assert "--replicas needs --rate-store" in refusal("--replicas", "4")
    assert "(environment CIOSIDECAR_REPLICAS) needs --rate-store" in refusal(REPLICAS="4")
