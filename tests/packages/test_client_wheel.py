"""The Python client's wheel, installed by pip beside protobuf 6 and beside protobuf 7."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "client" / "python"
LIMIT_S = 200
PROGRAM = """
import google.protobuf
import ciosidecar
message = ciosidecar.v1.TransformStreamRequest(
    open=ciosidecar.v1.OpenStream(client_name="test", max_receive_bytes=65536)
)
message.open.destinations.add(reference_id=1, config_json=b"{}")
assert ciosidecar.v1.TransformStreamRequest.FromString(message.SerializeToString()) == message
print(google.protobuf.__version__)
"""


def run(*command: str | Path, **further: str) -> subprocess.CompletedProcess[str]:
    """Runs a program without the repository's constraints."""
    environment = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    return subprocess.run(
        list(map(str, command)),
        env=environment | further,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def lowest() -> list[str]:
    """The oldest packages that the client says it runs with."""
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]
    return [each.partition(",")[0].replace(">=", "==") for each in project["dependencies"]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's wheel. Its build needs hatchling, which pip must be able to fetch."""
    place = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", place, "hatchling")
    if done.returncode:
        pytest.skip(f"pip reaches no package index here: {done.stderr.strip()[-300:]}")
    done = run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", place, CLIENT)
    assert done.returncode == 0, done.stderr
    (found,) = place.glob("ciosidecar-*.whl")
    return found


@pytest.mark.timeout(3 * LIMIT_S)
@pytest.mark.parametrize(
    ("major", "requirements"),
    [("6", lowest()), ("7", ["protobuf>=7,<8"])],
    ids=["protobuf 6, all as old as may be", "protobuf 7"],
)
def test_the_wheel_runs_beside_protobuf(
    wheel: Path, tmp_path: Path, major: str, requirements: list[str]
) -> None:
    """Installed into an environment of its own, imported, and a message parsed."""
    python = tmp_path / "bin" / "python"
    assert run(sys.executable, "-m", "venv", tmp_path).returncode == 0
    installed = run(python, "-m", "pip", "install", "-q", wheel, *requirements)
    assert installed.returncode == 0, installed.stderr
    done = run(python, "-W", "error", "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{major}.")
