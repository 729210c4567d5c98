"""The sidecar's container of a Deployment, started on this machine: its files below a folder, its ports free ones."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from tests.deploy.kustomize import Resource, the_only
from tests.processes import Server, server
from tests.security.pem import NAMES, chain_of

TOKEN = "a-token-of-the-test-0123456789"
NAME = "ciosidecar"


def pod_of(resources: list[Resource]) -> Any:
    """Return the spec of the pods."""
    return the_only(resources, "Deployment")["spec"]["template"]["spec"]


def container_of(pod: Any) -> Any:
    """Return the sidecar's container, which may be among those that start first."""
    found = [*pod["containers"], *pod.get("initContainers", ())]
    (container,) = (each for each in found if each["name"] == NAME)
    return container


def settings_of(resources: list[Resource]) -> str:
    """Return the file of settings."""
    text = the_only(resources, "ConfigMap")["data"]["settings.toml"]
    assert isinstance(text, str)
    return text


class Secrets:
    """The Secrets that an operator makes, and what a caller needs of them."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.root_certificates = self._authority.cert_pem.bytes()
        self.caller = self._authority.issue_cert("a-caller")
        self.rate_store = "redis://127.0.0.1:1/0"

    def files(self, name: str) -> Mapping[str, bytes]:
        """Return the files of a Secret."""
        issued = self._authority.issue_cert(*NAMES)
        return {
            "ciosidecar-tls": {
                "tls.crt": chain_of(issued),
                "tls.key": issued.private_key_pem.bytes(),
                "ca.crt": self.root_certificates,
            },
            "ciosidecar-tokens": {"tokens": f"{TOKEN}\n".encode()},
            "ciosidecar-rate-store": {"url": self.rate_store.encode()},
            "ciosidecar-destinations": {
                "destinations.toml": b'[destinations.shop]\nsiteID = "s"\napiKey = "file:shop"\n',
                "shop": b"an-api-key",
            },
        }[name]


@dataclass(frozen=True)
class Container:
    """What starts the container here."""

    arguments: list[str]
    environment: dict[str, str]
    mounts: dict[str, Path]


def translate(resources: list[Resource], folder: Path, secrets: Secrets) -> Container:
    """Write the volumes of the container below a folder. Its paths become these, and its ports free ones."""
    pod = pod_of(resources)
    container = container_of(pod)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {
        mount["mountPath"]: folder / mount["name"]
        for mount in container["volumeMounts"]
        if mount["name"] in volumes
    }
    assert len(mounts) == len(container["volumeMounts"])

    def here(text: str) -> str:
        for path, place in mounts.items():
            text = text.replace(path, str(place))
        for port in container["ports"]:
            text = text.replace(f'":{port["containerPort"]}"', '"127.0.0.1:0"')
        # Only root may give a socket to any group.
        group = f'"{pod["securityContext"]["fsGroup"]}"'
        return text if os.geteuid() == 0 else text.replace(group, f'"{os.getegid()}"')

    for mount in container["volumeMounts"]:
        volume, place = volumes[mount["name"]], mounts[mount["mountPath"]]
        if "configMap" in volume:
            _as_kubernetes_does(place, {"settings.toml": here(settings_of(resources)).encode()})
        elif "secret" in volume:
            _as_kubernetes_does(place, secrets.files(volume["secret"]["secretName"]))
        else:
            place.mkdir()

    def value_of(variable: Any) -> str:
        if "value" in variable:
            return here(variable["value"])
        source = variable["valueFrom"]["secretKeyRef"]
        return secrets.files(source["name"])[source["key"]].decode()

    own = {each["name"]: value_of(each) for each in container.get("env", ())}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CIOSIDECAR_")}
    return Container([here(each) for each in container["args"]], kept | own, mounts)


def _as_kubernetes_does(place: Path, files: Mapping[str, bytes]) -> None:
    """Write files as the kubelet writes those of a Secret: behind a link that it replaces as a whole."""
    version = place / "..2026_11_27"
    version.mkdir(parents=True)
    (place / "..data").symlink_to(version.name)
    for name, content in files.items():
        (version / name).write_bytes(content)
        (place / name).symlink_to(Path("..data", name))


@contextmanager
def running(container: Container, *further: str) -> Iterator[Server]:
    """Start the container's program, with further arguments, and end it with the block."""
    serve, *arguments = container.arguments
    assert serve == "serve"
    with server(*arguments, *further, env=container.environment) as process:
        assert process.ready_line, process.errors()
        yield process
