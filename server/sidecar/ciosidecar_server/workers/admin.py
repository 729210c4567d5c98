"""The admin port of the parent: health, metrics, the page, the state and the tap, of all workers together."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from importlib.resources import files
from typing import Any

import msgspec
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from .. import __version__
from ..telemetry import admin_server
from ..telemetry.admin_address import OFF
from ..telemetry.admin_server import AdminServer
from ..telemetry.page import page
from .group import Worker, WorkerGroup
from .metrics_sum import MetricsSum, parse
from .scrape import Answer, WorkerPorts
from .state_sum import sum_of_states
from .tap_sum import tap

# Kubernetes gives a probe 1 second, and `ciosidecar health` 2. A worker that hangs must not use them up.
_PROBE_S = 0.7
_STATIC = {"icon.svg": "image/svg+xml", "page.css": "text/css", "page.js": "text/javascript"}


class GroupAdmin:
    """The admin port of the parent."""

    def __init__(self, listen: str, group: WorkerGroup) -> None:
        """Prepare the port.

        Args:
            listen: The address, or "none" for no port.
            group: The workers.
        """
        self._group = group
        self._began_at = time.monotonic()
        self._ports = WorkerPorts(group.workers)
        self._sum = MetricsSum()
        self._one_scrape = asyncio.Lock()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                web.get("/api/state", self._state),
                web.get("/api/tap", self._tap, allow_head=False),
                *(web.get(f"/{name}", _static(name)) for name in _STATIC),
            ]
        )
        self._server = None if listen == OFF else AdminServer(listen, application)

    async def start(self) -> str | None:
        """Listen, if there is an address. Return it, with the port that was taken.

        Raises:
            CannotListen: The address cannot be used.
        """
        if self._server is None:
            return None
        self._ports.start()
        return await self._server.start()

    async def aclose(self) -> None:
        """End the port."""
        if self._server is not None:
            await self._server.aclose()
        await self._ports.aclose()

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=page(await self._read_state()), content_type="text/html")

    async def _state(self, _request: web.Request) -> web.Response:
        return web.json_response(await self._read_state())

    async def _tap(self, request: web.Request) -> web.StreamResponse:
        async with AsyncExitStack() as stack:
            return await tap(request, await self._ports.open(request.path_qs, stack), stack)

    async def _healthz(self, _request: web.Request) -> web.Response:
        """Answer 503 if a worker hangs. A worker that died is no reason: the parent starts it again."""
        answers = await self._ports.ask("/healthz")
        hanging = [
            worker.number
            for worker in self._group.workers
            if worker.ready_line is not None and answers[worker.number] is None
        ]
        if not hanging:
            return web.json_response({"alive": True})
        words = ", ".join(f"worker {number}" for number in hanging)
        return web.json_response({"alive": False, "reason": f"{words} does not answer"}, status=503)

    async def _readyz(self, _request: web.Request) -> web.Response:
        """Answer 200 if at least one worker is ready: clients use those that are."""
        answers = await self._ports.ask("/readyz", _PROBE_S)
        if not any(answers.values()):
            answers = await self._ports.ask("/readyz")
        workers = [_readiness(number, answer) for number, answer in answers.items()]
        ready_workers = sum(worker["ready"] is True for worker in workers)
        reason = self._not_ready(ready_workers)
        body: dict[str, object] = {"ready": reason is None}
        if reason is not None:
            body["reason"] = reason
        body |= {"ready_workers": ready_workers, "workers": workers}
        return web.json_response(body, status=200 if reason is None else 503)

    def _not_ready(self, ready_workers: int) -> str | None:
        """Return why the group is not ready, or None if it is."""
        if self._group.draining:
            return "draining: the process ends with its workers"
        return None if ready_workers else "no worker is ready"

    async def _read_state(self) -> dict[str, Any]:
        """Return the state of all workers, in the form of a single process's."""
        answers = await self._ports.ask("/api/state")
        states: dict[int, dict[str, Any]] = {
            number: msgspec.json.decode(answer.body)
            for number, answer in answers.items()
            if answer is not None and answer.status == web.HTTPOk.status_code
        }
        reason = self._not_ready(sum(state["ready"] for state in states.values()))
        return {
            "version": __version__,
            "pid": os.getpid(),
            "time": round(time.time(), 3),
            "uptime_s": round(time.monotonic() - self._began_at, 1),
            "ready": reason is None,
            "not_ready_reason": reason,
            **sum_of_states(states),
            "workers": [_row(worker, states.get(worker.number)) for worker in self._group.workers],
        }

    async def _metrics(self, _request: web.Request) -> web.Response:
        # An answer that came earlier must not be noted later: the sum would fall.
        async with self._one_scrape:
            answers = await self._ports.ask("/metrics")
            for worker in self._group.workers:
                answer, line = answers[worker.number], worker.ready_line
                families = parse(answer.body) if answer and answer.status == 200 else None
                self._sum.update(worker.number, line.pid if line else None, families)
            body = generate_latest(_Collected(self._sum.collect(self._own(answers))))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_PLAIN_0_0_4})

    def _own(self, answers: dict[int, Answer | None]) -> dict[str, Metric]:
        up = Metric("ciosidecar_worker_up", "1 if the worker answers on its admin port.", "gauge")
        restarts = Metric(
            "ciosidecar_worker_restarts",
            "Times that the worker died and was started again.",
            "counter",
        )
        for worker in self._group.workers:
            labels = {"worker": str(worker.number)}
            up.add_sample(up.name, labels, float(answers[worker.number] is not None))
            restarts.add_sample(f"{restarts.name}_total", labels, worker.restarts)
        return {metric.name: metric for metric in (up, restarts, *self._process.collect())}


class _Collected(Collector):
    """A registry, for prometheus_client, of metrics that are collected already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _row(worker: Worker, state: dict[str, Any] | None) -> dict[str, Any]:
    """Return what /api/state says of a worker. state: the worker's own, None if it did not answer."""
    return {
        "worker": worker.number,
        "pid": worker.ready_line.pid if worker.ready_line else None,
        "listen": worker.listen,
        "restarts": worker.restarts,
        "ready": state is not None and state["ready"],
        "events_per_s": state["events_per_s"] if state else 0.0,
        "streams_open": state["streams_open"] if state else 0,
    }


def _static(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    folder = files(admin_server.__package__).joinpath("static")
    text = folder.joinpath(name).read_text(encoding="utf-8")

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=_STATIC[name])

    return answer


def _readiness(number: int, answer: Answer | None) -> dict[str, object]:
    """Return what a worker says of its readiness."""
    if answer is None:
        return {"worker": number, "ready": False, "reason": "it does not run or does not answer"}
    told: dict[str, object] = msgspec.json.decode(answer.body)
    return {"worker": number, **told}
