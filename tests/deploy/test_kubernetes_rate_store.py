"""The component of deploy/kubernetes with which all pods keep one rate."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ciosidecar_server.settings import Settings

from tests.deploy.dockerfile import ROOT, stages
from tests.deploy.kustomize import BUILD_LIMIT_S, Resource, build_with, the_only, validate
from tests.deploy.pod import container_of, pod_of, settings_of

VARIANTS = ("service", "sidecar", "example/service", "example/sidecar")
pytestmark = pytest.mark.timeout(BUILD_LIMIT_S + 60)


@pytest.fixture(params=VARIANTS)
def resources(request: pytest.FixtureRequest, tmp_path: Path) -> list[Resource]:
    """The resources of a variant with the component."""
    return build_with(request.param, "rate-store", tmp_path)


def environment_of(resources: list[Resource]) -> dict[str, Any]:
    """The variables of the sidecar's container, each a text or the source of one."""
    variables = container_of(pod_of(resources))["env"]
    return {each["name"]: each.get("value") or each["valueFrom"] for each in variables}


@pytest.mark.parametrize("version", ["1.33", "1.37"])
def test_every_resource_is_valid(resources: list[Resource], version: str) -> None:
    """No field that Kubernetes does not know."""
    for resource in resources:
        validate(resource, version)


def test_the_url_comes_from_a_secret(resources: list[Resource]) -> None:
    """It has a password, so no manifest has it."""
    url = environment_of(resources)["CIOSIDECAR_RATE_STORE"]
    assert url == {"secretKeyRef": {"name": "ciosidecar-rate-store", "key": "url"}}
    assert "rate_store" not in tomllib.loads(settings_of(resources))


def test_the_rate_is_that_of_all_pods(resources: list[Resource]) -> None:
    """The default of a workspace, and as many replicas as there can be pods."""
    environment = environment_of(resources)
    assert float(environment["CIOSIDECAR_DELIVERY_RATE"]) == Settings().delivery_rate
    deployment = the_only(resources, "Deployment")["spec"]
    scalers = [each for each in resources if each["kind"] == "HorizontalPodAutoscaler"]
    pods = scalers[0]["spec"]["maxReplicas"] if scalers else deployment["replicas"]
    surge = deployment["strategy"]["rollingUpdate"]["maxSurge"]
    assert int(environment["CIOSIDECAR_REPLICAS"]) == pods + surge


def test_the_network_policy_lets_pods_reach_redis(resources: list[Resource]) -> None:
    """On Redis's port alone. The policy of the sidecar beside a router limits no egress."""
    policy = the_only(resources, "NetworkPolicy")["spec"]
    if "Egress" in policy["policyTypes"]:
        (rule,) = (
            each for each in policy["egress"] if {"port": 6379, "protocol": "TCP"} in each["ports"]
        )
        assert len(rule["ports"]) == len(rule["to"]) == 1


def test_the_image_has_redis_py() -> None:
    """The image installs the extra: without it, a sidecar with a rate store does not start."""
    installs = [
        each.value for each in stages()[0] if "/opt/ciosidecar/bin/pip install" in each.value
    ]
    assert any("--requirement requirements.txt" in install for install in installs)
    hashed = (ROOT / "deploy" / "docker" / "requirements.txt").read_text()
    assert re.search(r"^redis==", hashed, re.MULTILINE)
