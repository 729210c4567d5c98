"""The manifests of deploy/kubernetes, as kustomize builds them and as Kubernetes would check them."""

import copy
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from tests.deploy.kustomize import BUILD_LIMIT_S, KUBERNETES, Resource, build, the_only, validate

VARIANTS = ("service", "sidecar", "example/service", "example/sidecar")
# The oldest in which a sidecar container is stable, and the newest that has schemas here.
VERSIONS = ("1.33", "1.37")
pytestmark = pytest.mark.timeout(BUILD_LIMIT_S + 60)


@pytest.fixture(scope="module", params=VARIANTS)
def resources(request: pytest.FixtureRequest) -> list[Resource]:
    """The resources of a variant."""
    return build(KUBERNETES / request.param)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_resource_is_valid(resources: list[Resource], version: str) -> None:
    """No field that Kubernetes does not know, and no value of a wrong type."""
    for resource in resources:
        validate(resource, version)


MISTAKES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a misspelled field of a pod": (
        "Deployment",
        lambda it: it["spec"]["template"]["spec"].update(terminationGracePeriodSecond=1),
    ),
    "a misspelled field of a container": (
        "Deployment",
        lambda it: it["spec"]["template"]["spec"]["containers"][0].update(readynessProbe={}),
    ),
    "a text for a number": ("PodDisruptionBudget", lambda it: it["spec"].update(minAvailable=[])),
    "a misspelled field of a policy": (
        "NetworkPolicy",
        lambda it: it["spec"]["ingress"][0].update(form=[]),
    ),
    "a misspelled field of a monitor": (
        "ServiceMonitor",
        lambda it: it["spec"]["endpoints"][0].update(scrapeTimeOut="1s"),
    ),
    "a misspelled field of a rule": (
        "PrometheusRule",
        lambda it: it["spec"]["groups"][0]["rules"][0].update(expression="1"),
    ),
    "a number for a text": (
        "PrometheusRule",
        lambda it: it["spec"]["groups"][0]["rules"][0].update(alert=1),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_noticed(mistake: str) -> None:
    """So that the test above checks something."""
    kind, spoil = MISTAKES[mistake]
    resource = copy.deepcopy(the_only(build(KUBERNETES / "example/service"), kind))
    validate(resource, VERSIONS[-1])
    spoil(resource)
    with pytest.raises(jsonschema.ValidationError):
        validate(resource, VERSIONS[-1])
