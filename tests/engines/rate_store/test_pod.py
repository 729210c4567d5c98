"""A pod of the component deploy/kubernetes/components/rate-store, with a real Redis."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.kustomize import BUILD_LIMIT_S, build_with
from tests.deploy.pod import Secrets, running, translate
from tests.engines.rate_store.checking import checked
from tests.engines.rate_store.redis_server import redis_server
from tests.processes import Server
from tests.security.watching import wait_until

pytestmark = pytest.mark.timeout(BUILD_LIMIT_S + 120)


def store_of(process: Server) -> Any:
    """What the admin port says of the rate store."""
    with urllib.request.urlopen(f"{process.admin}/api/state", timeout=20) as answer:
        return json.load(answer)["rate_store"]


@pytest.mark.parametrize(("variant", "replicas"), [("service", 7), ("sidecar", 3)])
def test_the_pod_shares_its_rate(variant: str, replicas: int, tmp_path: Path) -> None:
    """With the manifests' own variables; the URL is that of the Secret, and its password is masked."""
    folders = [tmp_path / name for name in ("kustomization", "pod", "redis")]
    for folder in folders:
        folder.mkdir()
    kustomization, pod, data = folders
    with redis_server(data, "--requirepass", "s3cret") as redis:
        secrets = Secrets()
        secrets.rate_store = f"redis://:s3cret@127.0.0.1:{redis.port}/0"
        container = translate(build_with(variant, "rate-store", kustomization), pod, secrets)
        done, answer = checked(*container.arguments, env=container.environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert answer["rate_store"] == {"works": True, "error": None}
        assert answer["settings"]["delivery_rate"]["value"] == 900
        assert b"s3cret" not in done.stdout
        with running(container) as process:
            wait_until(lambda: store_of(process)["up"])
            assert store_of(process)["sidecars"] == replicas
