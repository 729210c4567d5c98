"""The real server, compiled and in pure Python: the same bytes; a panic is one event's error."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from ciosidecar import v1
from ciosidecar_transform import read_destination, transform

from tests.conftest import batch, destination
from tests.native.events import cases
from tests.native.implementations import require_compiled
from tests.packages.isolated import ROOT
from tests.processes import Server, server

pytestmark = pytest.mark.timeout(400)
TRANSFORM = "/ciosidecar.v1.SidecarService/Transform"
BUILD_WITHIN_S = 300
WHERE = "    let mut parts = Parts::of_day(text.number(4, 4)?, 1, 1);"


@contextmanager
def running(choice: str, before: Path | None = None) -> Iterator[tuple[Server, grpc.Channel]]:
    """A server with a choice, and a channel to it. before: a folder whose packages come first."""
    path = {} if before is None else {"PYTHONPATH": str(before)}
    environment = {**os.environ, "CIOSIDECAR_NATIVE": choice, **path}
    with (
        server("--listen", "127.0.0.1:0", env=environment) as process,
        grpc.insecure_channel(process.addresses[0]) as channel,
    ):
        yield process, channel


def requests() -> list[bytes]:
    """The worked cases as messages, one for each config, but not those that depend on the clock."""
    by_config: dict[str, list[bytes]] = {}
    for event, config in cases():
        if transformed(event, config, 1_790_000_000) == transformed(event, config, 2_000_000_000):
            by_config.setdefault(config, []).append(event.encode())
    return [
        v1.TransformRequest(
            destinations=[destination(config=config.encode())],
            batch=batch(*events),
        ).SerializeToString()
        for config, events in by_config.items()
    ]


def transformed(event: str, config: str, now: int) -> str:
    """What an event becomes at a time."""
    usable, _ = read_destination(config.encode())
    return "" if usable is None else repr(transform(event.encode(), usable, now=now))


def in_order(response: bytes) -> bytes:
    """A response with its headers in order: protobuf writes a map in an order that each process draws anew."""
    message = v1.TransformResponse.FromString(response)
    return bytes(message.SerializeToString(deterministic=True))


def test_without_the_compiled_package_every_byte_is_the_same() -> None:
    """All worked cases, v1 and v2, with the details of each."""
    require_compiled()
    answers = []
    for choice in ("require", "never"):
        with running(choice) as (_, channel):
            call: Any = channel.unary_unary(TRANSFORM)
            answers.append([in_order(call(request, timeout=60)) for request in requests()])
    assert len(answers[0]) > 20
    assert answers[0] == answers[1]


@pytest.fixture(scope="module")
def panics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a compiled package that panics where it reads a time of the year 2222."""
    require_compiled()
    if shutil.which("cargo") is None:
        (pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip)("cargo is not here")
    folder = tmp_path_factory.mktemp("panics")
    crate = folder / "crate"
    built = shutil.ignore_patterns("target")
    shutil.copytree(ROOT / "server" / "native", crate, ignore=built)
    source = crate / "src" / "leaves" / "time_text.rs"
    text = source.read_text("utf-8")
    assert text.count(WHERE) == 1
    fault = '\n    assert!(parts.year != 2222, "secret of {:?}", parts.year);'
    source.write_text(text.replace(WHERE, WHERE + fault), "utf-8")
    done = subprocess.run(
        ["cargo", "build", "--quiet", "--target-dir", folder / "target"],
        cwd=crate,
        capture_output=True,
        text=True,
        timeout=BUILD_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    library = folder / "target" / "debug" / "libciosidecar_native.so"
    shutil.copy(library, folder / "ciosidecar_native.abi3.so")
    return folder


def test_a_panic_is_the_error_of_its_event_alone(panics: Path) -> None:
    """INTERNAL, again and again. What the panic said is neither in the result nor in the log, and the server goes on."""
    event = {"type": "track", "userId": "u", "event": "E", "timestamp": "2222-01-02"}
    cursed, good = json.dumps(event), json.dumps(event | {"timestamp": "2022-01-02"})
    request = v1.TransformRequest(
        destinations=[destination()],
        batch=batch(good.encode(), cursed.encode(), good.encode()),
    )
    with running("require", panics) as (process, channel):
        call = channel.unary_unary(
            TRANSFORM,
            request_serializer=v1.TransformRequest.SerializeToString,
            response_deserializer=v1.TransformResponse.FromString,
        )
        for _ in range(3):
            results = call(request, timeout=60).results
            assert list(results.statuses) == [200, 500, 200]
            (detail,) = results.details
            assert detail.error.code == v1.ErrorCode.ERROR_CODE_INTERNAL
            assert "secret" not in detail.error.message
        log = process.errors()
    assert "internal error in an event: RuntimeError at " in log
    assert "secret" not in log
    assert "panicked" not in log
