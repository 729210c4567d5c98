"""--customerio-url: the URL of a host, and nothing else. Anything more would be lost without a word."""

import os
from pathlib import Path

import pytest
from ciosidecar_server.cli.outcome import Failed
from ciosidecar_server.cli.urls import check_url

from tests.processes import run, server

WRONG = {
    "path": "http://127.0.0.1:8089/api",
    "path-of-a-proxy": "https://proxy.example.com/customerio/",
    "query": "http://127.0.0.1:8089?a=s3cret",
    "empty-query": "http://127.0.0.1:8089?",
    "fragment": "http://127.0.0.1:8089#a",
    "user": "http://s3cret@127.0.0.1:8089",
    "user-and-password": "http://me:s3cret@127.0.0.1:8089",
    "no-user": "http://@127.0.0.1:8089",
    "other-letters": "http://b\u00fccher.example:8089",
    "encoded-host": "http://b%C3%BCcher.example:8089",
    "blank-inside": "http://127.0.0.1 :8089",
    "blank-before": " http://127.0.0.1:8089",
    "blank-after": "http://127.0.0.1:8089 ",
    "line-feed": "http://127.0.0.1:8089\n",
    "tab": "http://127.0.0\t.1:8089",
    "backslash": "http://127.0.0.1:8089\\a",
    "no-scheme": "127.0.0.1:8089",
    "other-scheme": "ftp://127.0.0.1:8089",
    "no-host": "http://:8089",
    "empty-label": "http://a..b:8089",
    "no-port": "http://127.0.0.1:",
    "port-0": "http://127.0.0.1:0",
    "port-too-large": "http://127.0.0.1:65536",
    "other-digits": "http://127.0.0.1:\u0663",
    "half-an-address": "http://[::1",
    "no-address": "http://[1:2]:8089",
    "empty": "",
}


@pytest.mark.parametrize("url", WRONG.values(), ids=WRONG)
def test_more_than_a_host_is_a_usage_error(url: str) -> None:
    """It names the flag and says what is right; no secret is repeated."""
    with pytest.raises(Failed) as refusal:
        check_url(url, "--customerio-eu-url")
    assert refusal.value.code == 2
    words = str(refusal.value)
    assert words.startswith("--customerio-eu-url must be http://host:port or https://host:port")
    assert "s3cret" not in words


@pytest.mark.parametrize("flag", ["--customerio-url", "--customerio-eu-url"])
@pytest.mark.parametrize("wrong", ["path", "user-and-password", "other-letters", "blank-after"])
def test_serve_does_not_start_with_more_than_a_host(flag: str, wrong: str) -> None:
    """Exit code 2, and no ready line."""
    failed = run("serve", "--listen", "127.0.0.1:0", f"{flag}={WRONG[wrong]}")
    assert (failed.returncode, failed.stdout) == (2, b"")
    assert f"{flag} must be" in failed.stderr.decode()


@pytest.mark.parametrize("command", ["deliver", "check"])
def test_other_commands_do_not_either(command: str) -> None:
    """deliver and check --probe go by the same rule, by flag and by environment."""
    arguments = (command, "--config", os.devnull, *(["--probe"] if command == "check" else []))
    environment = os.environ | {"CIOSIDECAR_CUSTOMERIO_URL": WRONG["path"]}
    for failed in (
        run(*arguments, "--customerio-url", WRONG["path"]),
        run(*arguments, env=environment),
    ):
        assert failed.returncode == 2
        assert b"no path" in failed.stderr


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8089",
        "http://127.0.0.1:8089/",
        "HTTP://LOCALHOST:1",
        "https://xn--bcher-kva.example",
        "https://track.customer.io.",
        "http://sandbox_1:65535",
        "http://[::1]:8089",
    ],
)
def test_the_url_of_a_host_is_taken(url: str) -> None:
    """With a slash at the end or without, with a port or without."""
    check_url(url)


def test_serve_starts_with_the_url_of_a_host() -> None:
    """Nothing is sent there before somebody delivers."""
    with server("--listen", "127.0.0.1:0", "--customerio-url", "http://[::1]:9/") as running:
        assert running.ready_line["ready"]


@pytest.mark.parametrize("command", ["check", "transform", "deliver"])
def test_a_target_that_is_no_address_is_a_usage_error(command: str, tmp_path: Path) -> None:
    """One sentence that says what an address is, and exit code 2."""
    config = tmp_path / "config.json"
    config.write_text('{"siteID": "site", "apiKey": "key"}')
    ran = run(command, "--config", str(config), "--target", "http://127.0.0.1:50550", stdin=b"")
    assert ran.returncode == 2
    assert b"Traceback" not in ran.stderr
    assert b"--target" in ran.stderr
    assert b"host:port" in ran.stderr
