"""The settings of Prometheus, looked at by its own tool."""

import shutil
import subprocess
from typing import Any

import yaml

from tests.deploy.dockerfile import ROOT
from tests.packages.isolated import give_up

CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"


def test_promtool_accepts_the_settings() -> None:
    """With the files of alerts that are there."""
    if shutil.which("promtool") is None:
        give_up("there is no promtool (Debian: apt-get install prometheus)")
    done = subprocess.run(
        ["promtool", "check", "config", CONFIG],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for rules in CONFIG.parent.glob("alerts*.yaml"):
        assert rules.name in done.stdout


def test_the_sidecar_of_the_compose_file_is_scraped() -> None:
    """By its name and the admin port there."""
    compose: Any = yaml.safe_load((ROOT / "deploy/docker/compose.yaml").read_text())
    jobs = {job["job_name"]: job for job in yaml.safe_load(CONFIG.read_text())["scrape_configs"]}
    (target,) = jobs["ciosidecar"]["static_configs"][0]["targets"]
    service, _, port = target.partition(":")
    assert f"--admin-listen=0.0.0.0:{port}" in compose["services"][service]["command"]
