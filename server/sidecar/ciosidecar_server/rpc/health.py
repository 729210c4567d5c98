"""gRPC's health service, whose Watch ends when the server drains."""

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse


class HealthService(health_pb2_grpc.HealthServicer):
    """grpc.health.v1.Health for services that serve until the server drains.

    The servicer of grpcio-health-checking keeps a Watch open after NOT_SERVING. Behind a load balancer, the Watch of
    a client is bound to one server. The client would stay down until that server has exited, although others serve.
    """

    def __init__(self, *services: str) -> None:
        """Begin as SERVING. services: the names to know; "" stands for the whole server."""
        self._services = frozenset(services)
        self._drained = asyncio.Event()
        self._stopping = asyncio.Event()
        self._watches = 0

    @property
    def is_watched(self) -> bool:
        """Return whether a client will learn at once that the server drains."""
        return self._watches > 0

    def drain(self) -> None:
        """Say NOT_SERVING to every watcher, and end their calls."""
        self._drained.set()

    def stop(self) -> None:
        """End the calls of those that began to watch a draining server."""
        self._stopping.set()

    async def Check(  # noqa: N802 - the contract's name
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> HealthCheckResponse:
        """Return the status of a service."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return HealthCheckResponse(status=self._status(request.service))

    async def Watch(  # noqa: N802 - the contract's name
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> None:
        """Write the status of a service, and its change when the server drains. Then the call ends.

        A Watch of a draining server stays open until the server takes no more calls: a client whose Watch ends
        watches anew at once.
        """
        if self._drained.is_set():
            await context.write(HealthCheckResponse(status=self._status(request.service)))
            await self._stopping.wait()
            return
        # Counted before the write: its reader may know of SERVING before the write returns here.
        self._watches += 1
        try:
            await context.write(HealthCheckResponse(status=self._status(request.service)))
            await self._drained.wait()
        finally:
            self._watches -= 1
        await context.write(HealthCheckResponse(status=self._status(request.service)))

    def _status(self, service: str) -> Any:
        if service not in self._services:
            return HealthCheckResponse.SERVICE_UNKNOWN
        if self._drained.is_set():
            return HealthCheckResponse.NOT_SERVING
        return HealthCheckResponse.SERVING
