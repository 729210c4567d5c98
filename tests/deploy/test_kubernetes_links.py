"""What the manifests of deploy/kubernetes say to each other, and to the image, the alerts and the defaults."""

import tomllib
from typing import Any

import pytest
import yaml
from ciosidecar_server.settings import Settings

from tests.deploy.dockerfile import ROOT, stages
from tests.deploy.dockerfile import the_only as the_only_instruction
from tests.deploy.kustomize import BUILD_LIMIT_S, KUBERNETES, Resource, build, the_only
from tests.deploy.pod import container_of, pod_of, settings_of

VARIANTS = ("example/service", "example/sidecar")
ADMIN = 50549
pytestmark = pytest.mark.timeout(BUILD_LIMIT_S + 60)


@pytest.fixture(scope="module", params=VARIANTS)
def resources(request: pytest.FixtureRequest) -> list[Resource]:
    """The resources of a variant, with all components."""
    return build(KUBERNETES / request.param)


def labels_of(resources: list[Resource]) -> dict[str, str]:
    """Return the labels of the pods."""
    labels = the_only(resources, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert isinstance(labels, dict)
    return labels


def test_the_pod_keeps_to_the_strictest_standard(resources: list[Resource]) -> None:
    """`restricted` of the Pod Security Standards, and a read-only root besides. Every container has requests."""
    pod = pod_of(resources)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert pod["automountServiceAccountToken"] is False
    assert all(not {"hostPath"} & volume.keys() for volume in pod["volumes"])
    for container in [*pod["containers"], *pod.get("initContainers", ())]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security.get("runAsUser", pod["securityContext"].get("runAsUser")) >= 10_000
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_the_user_is_that_of_the_image(resources: list[Resource]) -> None:
    """By number, and the group of its files."""
    user, _, group = the_only_instruction(stages()[-1], "USER").value.partition(":")
    pod = pod_of(resources)
    context = pod["securityContext"] | container_of(pod)["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(user), int(group))
    assert pod["securityContext"]["fsGroup"] == int(group)


@pytest.mark.parametrize("variant", ["service", "sidecar"])
def test_the_image_is_that_of_the_compose_file(variant: str) -> None:
    """Until a kustomization names a registry of its own."""
    compose = yaml.safe_load((ROOT / "deploy/docker/compose.yaml").read_text(encoding="utf-8"))
    image = container_of(pod_of(build(KUBERNETES / variant)))["image"]
    assert image == compose["services"]["sidecar"]["image"]


def test_both_variants_run_the_same_container() -> None:
    """But for what a place beside a router, or behind a Service, asks for."""
    service, sidecar = (container_of(pod_of(build(KUBERNETES / each))) for each in VARIANTS)
    own = {"lifecycle", "readinessProbe", "restartPolicy", "volumeMounts", "env", "ports"}
    differing = {"resources", "securityContext"}
    for name in (service.keys() | sidecar.keys()) - own - differing:
        assert service[name] == sidecar[name], name
    assert service["resources"]["limits"] == sidecar["resources"]["limits"]


def test_the_ports_are_those_of_the_settings(resources: list[Resource]) -> None:
    """The kubelet and Prometheus reach the admin port, and callers the port for gRPC or the socket."""
    pod = pod_of(resources)
    container = container_of(pod)
    settings = tomllib.loads(settings_of(resources))
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert settings["admin_listen"] == f":{ports['admin']}" == f":{ADMIN}"
    (listen,) = settings["listen"]
    if "grpc" in ports:
        assert listen == f":{ports['grpc']}"
        (port,) = the_service(resources, "ciosidecar")["ports"]
        assert port["port"] == port["targetPort"] == ports["grpc"]
        return
    (router,) = pod["containers"]
    assert router["env"] == [{"name": "CIOSIDECAR_TARGET", "value": listen}]
    assert settings["socket_group"] == str(pod["securityContext"]["fsGroup"])
    mounted = {
        mount["mountPath"] for mount in router["volumeMounts"] if mount in container["volumeMounts"]
    }
    assert listen.removeprefix("unix:").rpartition("/")[0] in mounted


def the_service(resources: list[Resource], name: str) -> Any:
    """Return the spec of a Service, which is headless and selects the pods."""
    (found,) = (
        each for each in resources if each["kind"] == "Service" and each["metadata"]["name"] == name
    )
    spec = found["spec"]
    assert spec["clusterIP"] == "None"
    assert spec["selector"].items() <= labels_of(resources).items()
    return spec


def test_what_selects_pods_selects_these(resources: list[Resource]) -> None:
    """The Deployment itself, the budget, the policy, and what spreads the pods."""
    labels = labels_of(resources)
    deployment = the_only(resources, "Deployment")["spec"]
    selectors = [
        deployment["selector"],
        the_only(resources, "PodDisruptionBudget")["spec"]["selector"],
        the_only(resources, "NetworkPolicy")["spec"]["podSelector"],
        *(each["labelSelector"] for each in pod_of(resources)["topologySpreadConstraints"]),
    ]
    for selector in selectors:
        assert selector["matchLabels"]
        assert selector["matchLabels"].items() <= labels.items()


def test_only_prometheus_reaches_the_admin_port(resources: list[Resource]) -> None:
    """Every port of the pod is in the policy, and the admin port for one kind of pod alone."""
    pod = pod_of(resources)
    containers = [*pod["containers"], *pod.get("initContainers", ())]
    ports = {port["containerPort"] for each in containers for port in each["ports"]}
    rules = the_only(resources, "NetworkPolicy")["spec"]["ingress"]
    assert {port["port"] for rule in rules for port in rule["ports"]} == ports
    (admin,) = (rule for rule in rules if ADMIN in [port["port"] for port in rule["ports"]])
    assert len(admin["ports"]) == len(admin["from"]) == 1
    assert admin["from"][0].keys() == {"namespaceSelector", "podSelector"}


def test_prometheus_finds_the_pods(resources: list[Resource]) -> None:
    """From the monitor by the Service to the admin port; tests of the backlog scrape its path."""
    monitor = the_only(resources, "ServiceMonitor")["spec"]
    service = the_only_of(resources, "Service", monitor["selector"]["matchLabels"])
    (port,) = the_service(resources, service["metadata"]["name"])["ports"]
    (endpoint,) = monitor["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == (port["name"], "/metrics")
    assert port["targetPort"] == ADMIN


def the_only_of(resources: list[Resource], kind: str, labels: dict[str, str]) -> Resource:
    """Return the resource of a kind that has labels."""
    (found,) = (
        each
        for each in resources
        if each["kind"] == kind and labels.items() <= each["metadata"].get("labels", {}).items()
    )
    return found


def test_the_alerts_are_those_of_the_plain_prometheus(resources: list[Resource]) -> None:
    """All of them, and no other: `make gen` writes them."""
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))
    assert the_only(resources, "PrometheusRule")["spec"] == alerts


def test_all_pods_together_keep_within_the_rate(resources: list[Resource]) -> None:
    """Also while a rolling update has one more of them."""
    deployment = the_only(resources, "Deployment")["spec"]
    scalers = [each for each in resources if each["kind"] == "HorizontalPodAutoscaler"]
    most = scalers[0]["spec"]["maxReplicas"] if scalers else deployment["replicas"]
    pods = most + deployment["strategy"]["rollingUpdate"]["maxSurge"]
    rate = tomllib.loads(settings_of(resources))["delivery_rate"]
    assert 0.9 * Settings().delivery_rate < pods * rate <= Settings().delivery_rate


def test_the_autoscaler_scales_the_deployment() -> None:
    """Whose own number of replicas would be set anew by each `kubectl apply`."""
    resources = build(KUBERNETES / "example/service")
    deployment = the_only(resources, "Deployment")
    target = the_only(resources, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    assert "replicas" not in deployment["spec"]


def test_the_memory_is_enough_for_what_was_measured(resources: list[Resource]) -> None:
    """docs/scaling/kubernetes.md: 7 streams full of events of 60 kB, at the bytes of the manifests."""
    limit = container_of(pod_of(resources))["resources"]["limits"]["memory"]
    assert tomllib.loads(settings_of(resources))["max_outstanding_bytes"] == 16 << 20
    assert 1024 * int(limit.removesuffix("Gi")) >= 80 + 7 * 119
