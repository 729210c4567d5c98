"""The sidecar as the manifests of deploy/kubernetes start it: its settings, probes, drain and metrics."""

import asyncio
import json
import signal
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import pytest
from ciosidecar import Answer, AsyncClient, Client, Tls
from ciosidecar_sandbox.testing import running_sandbox

from tests.deploy.kustomize import BUILD_LIMIT_S, KUBERNETES, Resource, build, the_only
from tests.deploy.pod import TOKEN, Container, Secrets, container_of, pod_of, running, translate
from tests.fake_customerio import HOLD, fake_customerio
from tests.ports import free_port
from tests.processes import COMMAND, TIMEOUT_S, Server
from tests.security.pem import NAMES, chain_of
from tests.security.watching import wait_until

VARIANTS = ("example/service", "example/sidecar")
CONFIG = {"siteID": "site", "apiKey": "key"}
# What the sidecar may take to end after its grace: a worker is killed then (docs/operations/workers.md).
OVERDUE_S = 5
pytestmark = pytest.mark.timeout(BUILD_LIMIT_S + 120)


@pytest.fixture(scope="module", params=VARIANTS)
def resources(request: pytest.FixtureRequest) -> list[Resource]:
    """The resources of a variant, with all components."""
    return build(KUBERNETES / request.param)


@pytest.fixture(scope="module")
def secrets() -> Secrets:
    """The Secrets that the manifests do not have."""
    return Secrets()


@pytest.fixture
def container(resources: list[Resource], secrets: Secrets, tmp_path: Path) -> Container:
    """The container, with its files on this machine."""
    return translate(resources, tmp_path, secrets)


def connection(address: str, secrets: Secrets) -> dict[str, Any]:
    """What a caller needs to connect: nothing at a socket."""
    if address.startswith("unix:"):
        return {}
    tls = Tls(
        root_certificates=secrets.root_certificates,
        private_key=secrets.caller.private_key_pem.bytes(),
        certificate_chain=chain_of(secrets.caller),
        server_name=NAMES[0],
    )
    return {"tls": tls, "token": TOKEN}


def status(url: str) -> int:
    """What an admin port answers."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=10) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


def probed(container: Any, probe: str) -> str:
    """The path of a probe, which asks the admin port."""
    get = container[probe]["httpGet"]
    (port,) = (each for each in container["ports"] if each["name"] == get["port"])
    assert port["containerPort"] == 50549
    return str(get["path"])


def test_serve_accepts_all_settings(container: Container) -> None:
    """Each argument, variable and key, and each file that they name; nothing is remarked."""
    done = subprocess.run(
        [*COMMAND, *container.arguments, "--check", "--json"],
        env=container.environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)


def test_the_probes_succeed_and_callers_are_served(
    resources: list[Resource], container: Container, secrets: Secrets
) -> None:
    """On a real process, with the paths of the manifests and the Secrets as the kubelet writes them."""
    manifest = container_of(pod_of(resources))
    with running(container) as process:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe in manifest:
                assert status(process.admin + probed(manifest, probe)) == 200
        (address,) = process.addresses
        with Client(address, **connection(address, secrets)) as client:
            assert client.transform([{"type": "track", "userId": "u", "event": "E"}], CONFIG)[0].ok


async def test_the_drain_fits_into_the_grace_period(
    resources: list[Resource], container: Container, secrets: Secrets
) -> None:
    """Also while Customer.io never answers. Meanwhile the pod is alive and not ready."""
    pod = pod_of(resources)
    manifest = container_of(pod)
    pre_stop_s = manifest.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    grace_s = pod["terminationGracePeriodSeconds"] - pre_stop_s
    async with fake_customerio() as customerio:
        customerio.answers(then=HOLD)
        with running(container, "--customerio-url", customerio.url) as process:
            (address,) = process.addresses
            client = AsyncClient(address, **connection(address, secrets))
            async with client, client.stream(CONFIG, deliver=True) as stream:
                await stream.send({"type": "track", "userId": "u", "event": "E"})
                await customerio.arrived(1)
                began = time.monotonic()
                process.signal(signal.SIGTERM)
                await asyncio.to_thread(
                    wait_until, lambda: status(f"{process.admin}/readyz") == 503
                )
                assert status(process.admin + probed(manifest, "livenessProbe")) == 200
                answer = await anext(aiter(stream))
                assert answer.result.error is not None
                assert answer.result.error.retryable
                code, _ = await asyncio.to_thread(process.end)
                assert code == 0
                assert time.monotonic() - began < grace_s


def test_the_times_add_up(resources: list[Resource]) -> None:
    """preStop, the drain and what a worker may take to end after it are over before the kubelet kills."""
    pod = pod_of(resources)
    container = container_of(pod)
    data = the_only(resources, "ConfigMap")["data"]
    grace_s = tomllib.loads(data["settings.toml"])["grace_s"]
    pre_stop_s = (
        container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    )
    assert pre_stop_s + grace_s + OVERDUE_S < pod["terminationGracePeriodSeconds"]


def test_a_rolling_update_loses_nothing(tmp_path: Path) -> None:
    """Pods are added and drained as the Deployment says, while a caller streams: every event is delivered or comes back."""
    resources, secrets = build(KUBERNETES / "example/service"), Secrets()
    strategy = the_only(resources, "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 1, "maxUnavailable": 0}
    port = free_port(in_a_row=3)
    addresses = [f"127.0.0.1:{port + number}" for number in range(3)]
    updated = threading.Event()
    sent: list[str] = []

    def events() -> Iterator[dict[str, Any]]:
        while not updated.is_set():
            sent.append(f"E{len(sent)}")
            yield {"type": "track", "userId": f"u{len(sent) % 50}", "event": sent[-1]}
            updated.wait(0.002)

    with running_sandbox() as sandbox, ThreadPoolExecutor(1) as caller:

        def pod(number: int) -> AbstractContextManager[Server]:
            new = translate(resources, tmp_path / str(number), secrets)
            listen = ("--listen", addresses[number % 3])
            return running(new, "--customerio-url", sandbox.url, *listen)

        def drain(process: Server) -> None:
            process.signal(signal.SIGTERM)
            assert process.end()[0] == 0

        def call() -> tuple[list[Answer], int]:
            client = Client(addresses, **connection(addresses[0], secrets))
            with client, client.stream(CONFIG, deliver=True) as stream:
                return list(stream.map(events())), stream.reconnects

        with pod(0) as old, pod(1) as other:
            calling = caller.submit(call)
            try:
                wait_until(lambda: len(sent) > 100)
                with pod(2):
                    drain(old)
                    with pod(3):
                        drain(other)
                        after = len(sent)
                        wait_until(lambda: len(sent) > after + 100)
                        updated.set()
                        answers, moves = calling.result(timeout=TIMEOUT_S)
            finally:
                updated.set()
        # Events that waited when a pod began to drain come back, as from a sidecar that is stopped.
        codes = {answer.result.error.code for answer in answers if answer.result.error}
        assert codes <= {"DRAINING"}
        assert [answer.result.position for answer in answers] == list(range(len(sent)))
        delivered = {event.name for event in sandbox.workspace.events.kept}
        returned = {sent[answer.result.position] for answer in answers if not answer.result.ok}
    assert delivered == set(sent) - returned
    assert moves >= 1
