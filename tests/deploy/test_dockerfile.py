"""The image, as far as it can be tried without a builder: its commands, and its program as process 1."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest

from docs.generate.hashes import build_requirements, runtime_requirements
from tests.deploy.contained import command, signal_first_process
from tests.deploy.dockerfile import DOCKERFILE, ROOT, Image, stages, the_only
from tests.packages.isolated import give_up, require_index

BUILD, FINAL = stages()
OWN = {
    "ciosidecar",
    "ciosidecar-native",
    "ciosidecar-sandbox",
    "ciosidecar-server",
    "ciosidecar-transform",
}
TIMEOUT_S = 60
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """What the first stage makes, in a folder that every user may read."""
    require_index()
    folder = Path(tempfile.mkdtemp(prefix="ciosidecar-image-"))
    try:
        folder.chmod(0o755)
        made = Image(folder)
        made.follow(BUILD)
        yield made
    finally:
        shutil.rmtree(folder)


def test_hadolint_finds_nothing() -> None:
    """The linter of Dockerfiles, with all its rules."""
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        give_up("hadolint is not installed")
    done = subprocess.run(
        [hadolint, "--no-color", "--failure-threshold", "style", DOCKERFILE],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_what_orchestrators_expect() -> None:
    """A version of the base, a user by number, exec form throughout, and a signal that is handled."""
    for stage in (BUILD, FINAL):
        assert re.fullmatch(r"python:3\.\d+(-slim)?-\w+( AS \w+)?", stage[0].value), stage[0]
    # The same Python and the same C library, or what the first makes would not run in the last.
    assert BUILD[0].value.removesuffix(" AS build") == FINAL[0].value.replace("-slim", "")
    assert "-slim-" in FINAL[0].value
    user, _, group = the_only(FINAL, "USER").value.partition(":")
    assert int(user) == int(group) >= 10_000
    assert the_only(FINAL, "STOPSIGNAL").value == "SIGTERM"
    for name in ("ENTRYPOINT", "CMD", "HEALTHCHECK"):
        assert the_only(FINAL, name).arguments
    assert not [each for each in FINAL if each.name == "RUN"]


def test_the_builder_gets_no_more_than_it_copies() -> None:
    """Every source of a COPY is named in .dockerignore, which leaves out all else."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for stage in (BUILD, FINAL)
        for each in stage
        if each.name == "COPY" and not each.value.startswith("--from")
        for source in each.words[:-1]
    }
    assert copied == allowed
    assert all((ROOT / each).exists() for each in allowed)


def test_what_is_installed_is_pinned(image: Image) -> None:
    """Each distribution has the version of constraints.txt. pip and the tests are not among them."""
    pins = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    )
    (packages,) = image.here("/opt/ciosidecar").glob("lib/python3.*/site-packages")
    found = {
        each.name.lower().replace("_", "-").replace(".", "-"): each.version
        for each in distributions(path=[str(packages)])
    }
    found.pop(
        "setuptools", None
    )  # Python 3.11 puts it into each environment, the image's Python does not.
    assert found.keys() >= OWN
    assert {name: version for name, version in found.items() if name not in OWN} == {
        name: pins[name] for name in found.keys() - OWN
    }
    assert not found.keys() & {"pip", "pytest", "twine", "grpcio-tools"}


def hashed(name: str) -> dict[str, list[str]]:
    """The hashes of a committed file of requirements, by distribution and version."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "deploy" / "docker" / name).read_text().splitlines():
        if pin := re.match(r"([a-z0-9.-]+==[^ ]+)", line):
            found[pin[1]] = []
        elif digest := re.fullmatch(r"    --hash=(sha256:[0-9a-f]{64})(?: \\)?", line):
            found[next(reversed(found))].append(digest[1])
        else:
            assert line.startswith("#"), line
    return found


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt"])
def test_every_download_has_a_hash(name: str) -> None:
    """Of the version in constraints.txt, for every file of it, and from no index that the file would name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {line.lower().replace("_", "-") for line in lines}
    found = hashed(name)
    assert found.keys() <= pins, "run make hashes"
    assert all(found.values())


def test_nothing_that_the_packages_require_is_missing() -> None:
    """A new dependency of a package needs `make hashes`."""
    for name, required in (
        ("requirements.txt", runtime_requirements()),
        ("requirements-build.txt", build_requirements()),
    ):
        pinned = {pin.partition("==")[0] for pin in hashed(name)}
        assert {re.split(r"[^a-z0-9-]", each)[0] for each in required} <= pinned


def test_pip_installs_nothing_without_a_hash() -> None:
    """Each `pip install` takes hashes, or only the wheels that the stage built itself."""
    installs = [
        words
        for each in BUILD
        if each.name == "RUN"
        for words in each.value.split("&&")
        if "pip install" in words or "pip wheel" in words
    ]
    assert len(installs) == 4
    for words in installs:
        assert "--require-hashes" in words or "--no-deps" in words, words
    (own,) = (words for words in installs if "wheels/" in words)
    assert "--no-index" in own


def test_another_file_than_the_hashed_one_is_refused(tmp_path: Path) -> None:
    """A package whose hash is none of the committed ones is not installed."""
    require_index()
    lines = f"msgspec==0.22.0 --hash=sha256:{'0' * 64}\n"
    (tmp_path / "requirements.txt").write_text(lines)
    words = ("download", "--no-deps", "--require-hashes", "-r", "requirements.txt")
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "requirements.txt"]


def test_modules_are_compiled(image: Image) -> None:
    """Nothing can be written at run time, so each start would compile them all anew."""
    (package,) = image.here("/opt/ciosidecar").glob("lib/python3.*/site-packages/ciosidecar_server")
    for module in package.rglob("*.py"):
        assert list((module.parent / "__pycache__").glob(f"{module.stem}.*.pyc")), module


def program(image: Image, words: list[str]) -> list[str]:
    """A command line of the Dockerfile, with the program in the image's folder."""
    return [str(image.here("/opt/ciosidecar/bin") / words[0]), *words[1:]]


def environment(image: Image) -> dict[str, str]:
    """The image's variables; PATH has the image's programs first. Ports that nobody else has."""
    own = {
        name: value
        for each in FINAL
        if each.name == "ENV"
        for name, _, value in _assigned(each.words)
    }
    assert own["PATH"] == "/opt/ciosidecar/bin:$PATH"
    return own | {
        "PATH": f"{image.here('/opt/ciosidecar/bin')}:/usr/bin:/bin",
        "CIOSIDECAR_LISTEN": "127.0.0.1:0",
        "CIOSIDECAR_ADMIN_LISTEN": "127.0.0.1:0",
    }


def _assigned(words: list[str]) -> list[tuple[str, str, str]]:
    return [word.partition("=") for word in words]


def test_the_program_is_a_good_first_process(image: Image) -> None:
    """As process 1 on a read-only root, without rights and home, it serves, is healthy, and ends at SIGTERM."""
    words = [*the_only(FINAL, "ENTRYPOINT").arguments, *the_only(FINAL, "CMD").arguments]
    user = the_only(FINAL, "USER").value
    started = command(program(image, words), environment(image), user)
    with subprocess.Popen(
        started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline() or "{}")
            assert ready.get("pid") == 1, process.stderr and process.stderr.read()
            check = program(image, the_only(FINAL, "HEALTHCHECK").arguments)
            assert health(check, ready["admin"], image).returncode == 0
            signal_first_process(process, signal.SIGTERM)
            _, errors = process.communicate(timeout=TIMEOUT_S)
            assert (process.returncode, "Traceback" in errors) == (0, False), errors
        finally:
            process.kill()
    assert health(check, ready["admin"], image).returncode == 1


def health(check: list[str], admin: str, image: Image) -> "subprocess.CompletedProcess[bytes]":
    """The health check of the image, for a port that it cannot know here."""
    return subprocess.run(
        check,
        env=environment(image) | {"CIOSIDECAR_ADMIN": admin},
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_other_commands_need_a_writable_tmp_and_say_so(image: Image) -> None:
    """`transform` starts a sidecar on a socket in /tmp. Without /tmp, it is an error and no traceback."""
    user = the_only(FINAL, "USER").value
    started = command(program(image, ["ciosidecar", "transform"]), environment(image), user)
    done = subprocess.run(
        started,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1, os.linesep.join((done.stdout, done.stderr))
    assert "no directory for temporary files can be written" in done.stderr
    assert "Traceback" not in done.stderr
