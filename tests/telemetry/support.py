"""Servers in processes of their own whose log and metrics a test reads, and callers of them."""

import asyncio
import json
import signal
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ciosidecar import v1
from grpc import aio
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import opened
from tests.delivery.caller import Caller
from tests.fake_customerio import WITHIN_S, FakeCustomerio
from tests.processes import Server, server

Line = dict[str, Any]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@asynccontextmanager
async def delivering_server(customerio_url: str, *arguments: str) -> AsyncIterator[Server]:
    """Yield a server that delivers to a fake Customer.io."""
    listen = ("--listen", "127.0.0.1:0", "--customerio-url", customerio_url)
    with server(*listen, *arguments) as running:
        yield running


@asynccontextmanager
async def stream_of(
    running: Server, *configs: tuple[str, bytes], delivery: bool = True
) -> AsyncIterator[Caller]:
    """Yield a stream with the destinations under 1, 2, … each with its ref."""
    options = {"delivery": v1.DeliveryOptions()} if delivery else {}
    async with aio.insecure_channel(running.addresses[0]) as channel:
        call, _ = await opened(
            v1.SidecarServiceStub(channel),
            client_name="router",
            client_version="7.1",
            destinations=[
                v1.Destination(reference_id=number, destination_ref=ref, config_json=config)
                for number, (ref, config) in enumerate(configs, 1)
            ],
            **options,
        )
        caller = Caller(call)
        try:
            yield caller
        finally:
            await caller.vanish()


async def log_of(running: Server) -> list[Line]:
    """Drain a server. Return the lines of its log."""
    running.signal(signal.SIGTERM)
    code, errors = await asyncio.wait_for(asyncio.to_thread(running.end_in_full), WITHIN_S)
    assert code == 0
    return [json.loads(line) for line in errors.splitlines()]


def named(lines: list[Line], message: str) -> list[Line]:
    """Return the lines whose message begins with these words."""
    return [line for line in lines if line["message"].startswith(message)]


async def exposition(running: Server, accept: str = "") -> tuple[str, str]:
    """Return the metrics of a server, and their content type."""
    request = urllib.request.Request(f"{running.admin}/metrics", headers={"Accept": accept})

    def ask() -> tuple[str, str]:
        with urllib.request.urlopen(request, timeout=WITHIN_S) as response:
            return response.read().decode(), response.headers["Content-Type"]

    return await asyncio.to_thread(ask)


async def metrics_of(running: Server) -> Samples:
    """Return every sample by its name and labels, as Prometheus's own parser reads them."""
    text, _ = await exposition(running)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the value of a sample; 0 if there is none."""
    return samples.get((f"ciosidecar_{name}", tuple(sorted(labels.items()))), 0.0)


async def until_answered(customerio: FakeCustomerio, number: int) -> None:
    """Wait until the fake Customer.io has so many requests."""
    await asyncio.wait_for(customerio.arrived(number), WITHIN_S)
