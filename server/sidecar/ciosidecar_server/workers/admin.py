"""The admin port of the parent: health, readiness and metrics of all workers together."""

import asyncio
from collections.abc import Iterable

import msgspec
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from ..telemetry.admin_address import OFF
from ..telemetry.admin_server import AdminServer
from .group import WorkerGroup
from .metrics_sum import MetricsSum, parse
from .scrape import Answer, WorkerPorts

_INDEX = "ciosidecar\n\n/healthz  alive\n/readyz   ready for new streams\n/metrics  metrics, of all workers\n"


class GroupAdmin:
    """The admin port of the parent."""

    def __init__(self, listen: str, group: WorkerGroup) -> None:
        """Prepare the port.

        Args:
            listen: The address, or "none" for no port.
            group: The workers.
        """
        self._group = group
        self._ports = WorkerPorts(group.workers)
        self._sum = MetricsSum()
        self._one_scrape = asyncio.Lock()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self._index),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
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

    async def _index(self, _request: web.Request) -> web.Response:
        return web.Response(text=_INDEX)

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
        answers = await self._ports.ask("/readyz")
        states = [_readiness(number, answer) for number, answer in answers.items()]
        ready_workers = sum(state["ready"] is True for state in states)
        body = {"ready": ready_workers > 0, "ready_workers": ready_workers, "workers": states}
        if self._group.draining:
            body |= {"ready": False, "reason": "draining: the process ends with its workers"}
        elif not ready_workers:
            body["reason"] = "no worker is ready"
        return web.json_response(body, status=200 if body["ready"] else 503)

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


def _readiness(number: int, answer: Answer | None) -> dict[str, object]:
    """Return what a worker says of its readiness."""
    if answer is None:
        return {"worker": number, "ready": False, "reason": "it does not run or does not answer"}
    told: dict[str, object] = msgspec.json.decode(answer.body)
    return {"worker": number, **told}
