"""The real kustomize, built from its Go module, and the schemas of what it builds."""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml
from filelock import FileLock

from tests.deploy.dockerfile import ROOT
from tests.packages.isolated import give_up

KUBERNETES = ROOT / "deploy" / "kubernetes"
KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.8.1"
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
BUILD_LIMIT_S = 420
_OPERATOR_API = "monitoring.coreos.com/v1"
_TOOLS = Path(sys.prefix) / "tools"
Resource = dict[str, Any]


def _go(*arguments: str, **environment: str) -> str:
    """Run Go in a folder without a module. Skips the test where Go or its module is not there."""
    go = shutil.which("go")
    if go is None:
        give_up("there is no Go (Debian: apt-get install golang)")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [str(go), *arguments],
            cwd=folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=BUILD_LIMIT_S,
            check=False,
        )
    if done.returncode:
        give_up(f"go {' '.join(arguments)}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


@functools.cache
def kustomize() -> Path:
    """Return kustomize, which is built once for an environment, by one of the workers."""
    folder = _TOOLS / KUSTOMIZE.replace("/", "_")
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "kustomize"
    with FileLock(folder / "lock"):
        if not program.exists():
            # A build that is cut off must not leave a part of a program behind.
            with tempfile.TemporaryDirectory(dir=folder) as place:
                _go("install", KUSTOMIZE, GOBIN=place)
                Path(place, "kustomize").replace(program)
    return program


def build(folder: Path) -> list[Resource]:
    """Return the resources of a kustomization.

    Raises:
        CalledProcessError: kustomize refuses it.
    """
    done = subprocess.run(
        [kustomize(), "build", folder],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return list(yaml.safe_load_all(done.stdout))


def build_with(variant: str, component: str, folder: Path) -> list[Resource]:
    """Return the resources of a variant with a component more, from a kustomization that is written to a folder."""
    near = Path(os.path.relpath(KUBERNETES, folder.resolve()))
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(near / variant)],
        "components": [str(near / "components" / component)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return build(folder)


def the_only(resources: list[Resource], kind: str) -> Resource:
    """Return the resource of a kind, of which there is one."""
    (found,) = (resource for resource in resources if resource["kind"] == kind)
    return found


def validate(resource: Resource, version: str) -> None:
    """Check a resource against the schema of a version of Kubernetes, or of prometheus-operator.

    Raises:
        ValidationError: A field is unknown, or has a wrong value.
    """
    if resource["apiVersion"] == _OPERATOR_API:
        # The definition has no schema of the metadata: it is the same for every kind.
        own = {name: value for name, value in resource.items() if name != "metadata"}
        jsonschema.Draft202012Validator(_operator_schema(resource["kind"])).validate(own)
    else:
        checked_with = kubernetes_validate.validate(resource, version, strict=True)
        # The package takes an older schema where it has none of the version.
        assert checked_with == version


@functools.cache
def _operator_schema(kind: str) -> Resource:
    """Return the schema of the definition that prometheus-operator ships for a kind."""
    module = json.loads(_go("mod", "download", "-json", OPERATOR))
    folder = Path(module["Dir"], "example", "prometheus-operator-crd")
    path = folder / f"monitoring.coreos.com_{kind.lower()}s.yaml"
    definition = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)["spec"]
    (schema,) = (
        version["schema"]["openAPIV3Schema"]
        for version in definition["versions"]
        if f"{definition['group']}/{version['name']}" == _OPERATOR_API
    )
    stricter = _strict(schema)
    assert isinstance(stricter, dict)
    return stricter


def _strict(schema: Any) -> Any:
    """Return a schema that refuses fields which it does not name."""
    if isinstance(schema, list):
        return [_strict(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    stricter = {name: _strict(member) for name, member in schema.items()}
    open_to_others = schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and not open_to_others:
        stricter.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        stricter.pop("type", None)
    return stricter
