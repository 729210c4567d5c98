"""The systemd unit and its settings, looked at by systemd's own tools where they are."""

import dataclasses
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ciosidecar_server.settings import Settings

from tests.deploy.dockerfile import ROOT
from tests.packages.isolated import give_up
from tests.processes import COMMAND, TIMEOUT_S, run

UNIT = ROOT / "deploy" / "systemd" / "ciosidecar.service"
SETTINGS = ROOT / "deploy" / "systemd" / "settings.toml"
# Below 2 is what systemd calls "OK". A service without any of this has 9.6.
MOST_EXPOSURE = 1.5
# What MemoryDenyWriteExecute= asks of the kernel: linux/prctl.h.
DENY_WRITE_EXECUTE = "import ctypes, os, sys; sys.exit(75) if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) else os.execv(sys.argv[1], sys.argv[1:])"


def directives() -> dict[str, str]:
    """The directives of the unit. The last one of a name counts."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    found = (line.partition("=") for line in lines if re.match(r"[A-Z]\w+=", line))
    return {name: value for name, _, value in found}


def analyze(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run systemd-analyze. Skips the test where there is none."""
    if shutil.which("systemd-analyze") is None:
        give_up("there is no systemd-analyze (Debian: apt-get install systemd)")
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is on this machine: systemd looks for it."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/ciosidecar/bin/ciosidecar", "/bin/true"))
    return path


def test_systemd_understands_the_unit(unit: Path) -> None:
    """No unknown directive, no value that it would ignore."""
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_notice_a_mistake(unit: Path) -> None:
    """So that the test above checks something."""
    unit.write_text(
        unit.read_text().replace("ProtectHome=yes", "ProtectHome=perhaps\nProtectHouse=yes")
    )
    done = analyze("verify", "--man=no", unit)
    assert "Failed to parse protect home value" in done.stderr
    assert "ProtectHouse" in done.stderr


def test_the_service_is_hardly_exposed(unit: Path) -> None:
    """By systemd's own measure of what a broken service could do."""
    done = analyze("security", "--offline=true", "--no-pager", unit)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    assert float(level[1]) <= MOST_EXPOSURE


def test_the_settings_are_settings_of_serve() -> None:
    """Each key is one, also those in comments, and what the two files say of time fits together."""
    text = SETTINGS.read_text(encoding="utf-8")
    every = tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE))
    known = {field.name for field in dataclasses.fields(Settings)}
    assert every.keys() <= known
    assert len(every) > len(tomllib.loads(text)) > 0
    given = directives()
    assert int(given["TimeoutStopSec"]) > every["grace_s"] >= Settings().grace_s
    assert every["listen"][0] == f"unix:/run/{given['RuntimeDirectory']}/sidecar.sock"
    assert f"/etc/{given['ConfigurationDirectory']}/{SETTINGS.name}" in given["ExecStart"]


def test_the_unit_asks_for_what_the_sidecar_does() -> None:
    """It says that it is ready, and a dump of its memory is written nowhere."""
    given: dict[str, Any] = directives()
    assert (given["Type"], given["LimitCORE"], given["DynamicUser"]) == ("notify", "0", "yes")
    assert given["ExecReload"] == "kill -HUP $MAINPID"


def test_the_sidecar_runs_without_memory_that_is_written_and_executed(tmp_path: Path) -> None:
    """Python's libraries may need such memory; MemoryDenyWriteExecute=yes would end them."""
    events = '{"event": {"type": "track", "userId": "u", "event": "E"}, "config": {"siteID": "s", "apiKey": "k"}}'
    done = subprocess.run(
        [sys.executable, "-c", DENY_WRITE_EXECUTE, *COMMAND, "transform"],
        input=events,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd=tmp_path,
    )
    if done.returncode == 75:
        pytest.skip("this kernel cannot deny such memory: it is older than Linux 6.3")
    assert (done.returncode, '"status":200' in done.stdout) == (0, True), done.stderr


def test_serve_accepts_the_settings_of_the_unit() -> None:
    """Keys and values, as `serve` reads them."""
    done = run("serve", "--check", "--settings", str(SETTINGS))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"unix:/run/ciosidecar/sidecar.sock" in done.stdout
