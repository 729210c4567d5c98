"""The compose file: valid by the parts of the specification that it uses, and as closed as it says."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.dockerfile import ROOT
from tests.processes import run

FILE = ROOT / "deploy" / "docker" / "compose.yaml"
GRAFANA = ROOT / "deploy" / "grafana"
TEXTS = {"type": "array", "items": {"type": "string"}}
DURATION = {"type": "string", "pattern": r"^\d+(s|m)$"}
# Of the Compose Specification what is used here: a key that is misspelt is in none of it.
SERVICE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image", "healthcheck", "ports"],
    "properties": {
        "image": {"type": "string", "pattern": r"^[a-z/]+:v?\d+\.\d+\.\d+$"},
        "build": {
            "type": "object",
            "additionalProperties": False,
            "required": ["context", "dockerfile"],
            "properties": {"context": {"type": "string"}, "dockerfile": {"type": "string"}},
        },
        "command": TEXTS,
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "ports": TEXTS,
        "volumes": TEXTS,
        "tmpfs": TEXTS,
        "read_only": {"type": "boolean"},
        "cap_drop": TEXTS,
        "security_opt": TEXTS,
        "ulimits": {"type": "object", "additionalProperties": {"type": "integer"}},
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "stop_grace_period": DURATION,
        "healthcheck": {
            "type": "object",
            "additionalProperties": False,
            "required": ["test", "interval", "timeout", "retries"],
            "properties": {
                "test": {**TEXTS, "minItems": 2, "prefixItems": [{"const": "CMD"}]},
                "interval": DURATION,
                "timeout": DURATION,
                "start_period": DURATION,
                "retries": {"type": "integer", "minimum": 1},
            },
        },
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["condition"],
                "properties": {"condition": {"enum": ["service_healthy", "service_started"]}},
                "additionalProperties": False,
            },
        },
    },
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "required": ["name", "services"],
    "properties": {
        "name": {"type": "string"},
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
    },
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file."""
    found = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_file_is_valid(compose: dict[str, Any]) -> None:
    """No key that compose would not know, and no name of a service or volume that is not there."""
    jsonschema.Draft202012Validator(SCHEMA).validate(compose)
    for service in compose["services"].values():
        assert service.get("depends_on", {}).keys() <= compose["services"].keys()
        for volume in service.get("volumes", []):
            source, target, *_ = volume.split(":")
            assert target.startswith("/")
            assert (FILE.parent / source).is_dir() or source in compose["volumes"]


def test_a_service_is_as_closed_as_can_be(compose: dict[str, Any]) -> None:
    """Read-only, without capabilities, and reachable from this machine only."""
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["ulimits"] == {"core": 0}
        for port in service["ports"]:
            assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port), name
        for volume in service.get("volumes", []):
            source, _, *mode = volume.split(":")
            assert mode == ["ro"] or source in compose["volumes"]


def test_deliveries_go_to_the_sandbox_only(compose: dict[str, Any]) -> None:
    """In both regions: --customerio-eu-url defaults to --customerio-url."""
    command = compose["services"]["sidecar"]["command"]
    urls = [word for word in command if "customerio" in word]
    assert urls == ["--customerio-url=http://sandbox:8089"]
    assert "--allow-host=sandbox" in compose["services"]["sandbox"]["command"]


@pytest.mark.parametrize("service", ["sidecar", "sandbox"])
def test_the_commands_are_understood(compose: dict[str, Any], service: str) -> None:
    """Each option is one of the command's. --help ends it before it listens anywhere."""
    command = compose["services"][service]["command"]
    help_text = run(command[0], "--help").stdout.decode()
    for word in command[1:]:
        assert word.partition("=")[0] in help_text, word


def test_both_images_are_built_from_the_dockerfile(compose: dict[str, Any]) -> None:
    """The paths are relative to the compose file."""
    for name in ("sidecar", "sandbox"):
        build = compose["services"][name]["build"]
        context = (FILE.parent / build["context"]).resolve()
        assert context == ROOT
        assert (context / build["dockerfile"]).is_file()


def test_grafana_finds_prometheus_and_the_dashboards(compose: dict[str, Any]) -> None:
    """What provisions Grafana names the service and the folder of the compose file."""
    (source,) = _provisioned("datasources")["datasources"]
    service, _, port = source["url"].removeprefix("http://").partition(":")
    assert f"127.0.0.1:{port}:{port}" in compose["services"][service]["ports"]
    (provider,) = _provisioned("dashboards")["providers"]
    assert (
        f"../grafana:{provider['options']['path']}:ro" in compose["services"]["grafana"]["volumes"]
    )


def _provisioned(kind: str) -> Any:
    (file,) = (GRAFANA / "provisioning" / kind).iterdir()
    return yaml.safe_load(Path(file).read_text(encoding="utf-8"))
