"""`ciosidecar check --probe`: what Customer.io says of a destination's credentials."""

import json
from pathlib import Path

import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.fake_customerio import nobody
from tests.processes import run, server


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A file with the settings of a destination in the US."""
    file = tmp_path / "destination.json"
    file.write_text('{"siteID": "site", "apiKey": "s3cret"}')
    return str(file)


def test_credentials_that_are_accepted(config: str) -> None:
    """Said, with the region and the workspace's number; exit code 0."""
    with running_sandbox() as sandbox:
        done = run("check", "--config", config, "--probe", "--customerio-url", sandbox.url)
    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [
        "usable",
        "credentials accepted",
        "region US",
        "environment id 1",
    ]


def test_credentials_that_are_refused(config: str) -> None:
    """With Customer.io's reason, and without the credentials; exit code 1."""
    with running_sandbox(site_id="another", api_key="one") as sandbox:
        done = run("check", "--config", config, "--probe", "--customerio-url", sandbox.url)
    assert done.returncode == 1
    assert b"usable\ncredentials not confirmed: Customer.io answered 401" in done.stdout
    assert b"s3cret" not in done.stdout + done.stderr


def test_nobody_there_is_not_acceptance(config: str) -> None:
    """A closed port: the reason, exit code 1."""
    with nobody() as address:
        url = f"http://{address}"
        done = run("check", "--config", config, "--probe", "--customerio-url", url)
    assert done.returncode == 1
    assert b"credentials not confirmed: " in done.stdout
    assert b"region" not in done.stdout


def test_the_answer_as_json(config: str) -> None:
    """--json carries a probe, accepted or not; without --probe there is none."""
    with running_sandbox() as sandbox:
        done = run(
            "check", "--json", "--config", config, "--probe", "--customerio-url", sandbox.url
        )
    assert json.loads(done.stdout)["probe"] == {
        "credentials_accepted": True,
        "region": "US",
        "environment_id": 1,
        "reason": "",
    }
    unasked = run("check", "--json", "--config", config)
    assert "probe" not in json.loads(unasked.stdout)


def test_settings_that_cannot_work_are_not_asked_about(tmp_path: Path) -> None:
    """Nobody is asked, and that is said; exit code 1."""
    file = tmp_path / "destination.json"
    file.write_text('{"siteID": "site"}')
    with running_sandbox() as sandbox:
        arguments = ("check", "--config", str(file), "--probe", "--customerio-url", sandbox.url)
        done, as_json = run(*arguments), run(*arguments, "--json")
        assert sandbox.workspace.log.by_outcome.total() == 0
    assert (done.returncode, as_json.returncode) == (1, 1)
    assert b"credentials not confirmed: Customer.io was not asked" in done.stdout
    probe = json.loads(as_json.stdout)["probe"]
    assert (probe["credentials_accepted"], probe["region"]) == (False, None)
    assert "not asked" in probe["reason"]


@pytest.mark.parametrize(
    ("key", "region"), [("datacenter", "EU"), ("region", "eu"), ("datacenterEU", True)]
)
def test_a_workspace_in_the_us_takes_nothing_in_the_eu(
    tmp_path: Path, key: str, region: object
) -> None:
    """Customer.io's overview: its requests will fail there. An error under the key that says EU."""
    file = tmp_path / "destination.json"
    file.write_text(json.dumps({"siteID": "site", "apiKey": "key", key: region}))
    with running_sandbox() as sandbox:
        arguments = ("check", "--config", str(file), "--probe", "--customerio-url", sandbox.url)
        done, as_json = run(*arguments), run(*arguments, "--json")
    assert (done.returncode, as_json.returncode) == (1, 1)
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "not usable"
    assert lines[1].startswith(f"error {key} the workspace is in the US")
    assert lines[2:] == ["credentials accepted", "region US", "environment id 1"]
    found = json.loads(as_json.stdout)
    assert found["usable"] is False
    assert [(one["key"], one["fatal"]) for one in found["problems"]] == [(key, True)]


def test_a_running_sidecar_asks_where_it_was_told_to(config: str) -> None:
    """--target, and its own --customerio-url; naming both here is a usage error that says why."""
    with (
        running_sandbox() as sandbox,
        server("--listen", "127.0.0.1:0", "--customerio-url", sandbox.url) as running,
    ):
        target = ("check", "--config", config, "--probe", "--target", running.addresses[0])
        assert run(*target).returncode == 0
        both = run(*target, "--customerio-url", sandbox.url)
    assert both.returncode == 2
    assert b"exclude each other" in both.stderr
