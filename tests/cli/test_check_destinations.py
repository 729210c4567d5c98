"""`ciosidecar check --destinations`: a whole file, or one destination of it."""

import json
from pathlib import Path

import pytest
from ciosidecar_sandbox.testing import running_sandbox

from tests.processes import run, server

FILE = """
[destinations.shop]
siteID = "site"
apiKey = "file:gone"
[destinations.blog]
siteID = "site"
apiKey = "s3cret"
apiversion = "v2"
deliver_only = true
[destinations.news]
siteID = "site"
apiKey = "s3cret"
datacenter = "MOON"
"""


def write(directory: Path, text: str = FILE) -> str:
    file = directory / "destinations.toml"
    file.write_text(text)
    return str(file)


def test_a_whole_file(tmp_path: Path) -> None:
    """Every destination with its problems and notes by key, whatever is wrong with the others."""
    done = run("check", "--destinations", write(tmp_path))
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [
        "shop: not usable",
        f"error apiKey is in the file {tmp_path}/gone, which cannot be read: No such file or directory",
        "blog: usable",
        "note apiversion is no setting, and is ignored (rule 11.1): did you mean apiVersion?",
        "news: not usable",
        'error datacenter must be "US" or "EU" (rule 11.1)',
    ]
    assert b"s3cret" not in done.stdout + done.stderr


def test_one_of_a_file(tmp_path: Path) -> None:
    """The exit code is its own."""
    file = write(tmp_path)
    done = run("check", "--destinations", file, "--ref", "blog", "--json")
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert answer["usable"] is True
    assert [(one["ref"], one["usable"]) for one in answer["destinations"]] == [("blog", True)]
    failed = run("check", "--destinations", file, "--ref", "nobody")
    assert (failed.returncode, failed.stdout) == (2, b"")
    assert b"has no destination nobody" in failed.stderr


def test_defaults_count(tmp_path: Path) -> None:
    """As they do in serve."""
    defaults = tmp_path / "defaults.json"
    defaults.write_text('{"phoneAsIdentifier": true, "apiVersion": "v2"}')
    file = write(tmp_path, '[destinations.a]\nsiteID = "s"\napiKey = "k"\napiVersion = "v1"\n')
    done = run("check", "--destinations", file, "--destination-defaults", str(defaults))
    assert done.returncode == 1
    assert b"error phoneAsIdentifier needs" in done.stdout
    assert run("check", "--destinations", file).returncode == 0


def test_a_file_without_the_right_shape_is_a_usage_error(tmp_path: Path) -> None:
    """Exit code 2, and where."""
    for text in ("[destinations", "[destination.a]", "destinations = 5"):
        failed = run("check", "--destinations", write(tmp_path, text))
        assert (failed.returncode, failed.stdout) == (2, b"")
        assert str(tmp_path) in failed.stderr.decode()


def test_a_running_sidecar_is_asked_by_ref(tmp_path: Path) -> None:
    """The settings are its own; the command never sees them."""
    text = '[destinations.blog]\nsiteID = "site"\napiKey = "s3cret"\napiversion = "v2"\n'
    flags = ("--listen", "127.0.0.1:0", "--admin-listen", "none")
    with server(*flags, "--destinations", write(tmp_path, text)) as running:
        target = ("--target", running.addresses[0])
        done = run("check", "--ref", "blog", *target)
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, b"usable")
        assert b"did you mean apiVersion?" in done.stdout
        unknown = run("check", "--ref", "nobody", *target)
        assert unknown.returncode == 1
        assert b"error destination_ref names no destination of this server" in unknown.stdout


def test_credentials_of_a_file_are_probed(tmp_path: Path) -> None:
    """Each is asked about."""
    with running_sandbox(site_id="site", api_key="key") as sandbox:
        text = "\n".join(
            f'[destinations.{key}]\nsiteID = "site"\napiKey = "{key}"' for key in ("key", "wrong")
        )
        file = write(tmp_path, text)
        arguments = ("check", "--probe", "--customerio-url", sandbox.url, "--destinations", file)
        done = run(*arguments, "--json")
    assert done.returncode == 1
    probes = {one["ref"]: one["probe"] for one in json.loads(done.stdout)["destinations"]}
    assert probes["key"]["credentials_accepted"] is True
    assert probes["wrong"]["credentials_accepted"] is False


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "give --config FILE"),
        (("--ref", "a"), "--ref needs"),
        (("--config", "a.json", "--destinations", "b.toml"), "--config excludes"),
        (("--config", "a.json", "--ref", "a"), "--config excludes"),
    ],
)
def test_options_that_contradict_each_other(arguments: tuple[str, ...], reason: str) -> None:
    """A usage error that says what to give."""
    failed = run("check", *arguments)
    assert (failed.returncode, failed.stdout) == (2, b"")
    assert reason in failed.stderr.decode()
