"""The calls of SidecarService."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

import grpc
from ciosidecar.v1 import destination_pb2, service_pb2_grpc
from ciosidecar.v1 import service_pb2 as pb
from grpc import aio

from .. import PROTOCOL_VERSION, __version__
from ..delivery.delivery import Delivery
from ..delivery.probe import probe, wrong_region
from ..settings import Settings
from ..transform import EVENT_TYPES, Destination, SettingProblem
from ..transform.dynamic import AnyDestination
from ..transform.request import BASE_URLS
from .batches import answer_batch
from .destinations import (
    REGIONS,
    KnownDestinations,
    problem_messages,
    read_checked,
    region_key,
)
from .failures import fail
from .limits import limits
from .memory import give_back_after
from .stream import Draining, Stream

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Call = Callable[["Servicer", _Request, Any], Awaitable[_Response]]


def _answering(call: _Call[_Request, _Response]) -> _Call[_Request, _Response]:
    """Turns exceptions into statuses that say no more than the caller may know."""

    @wraps(call)
    async def guarded(self: "Servicer", request: _Request, context: Any) -> _Response:
        try:
            return await call(self, request, context)
        except Exception as fault:  # noqa: BLE001 - whatever it is, its text stays here
            await fail(context, fault)

    return guarded


class Servicer(service_pb2_grpc.SidecarServiceServicer):
    """SidecarService over one Settings."""

    def __init__(self, settings: Settings, draining: Draining, delivery: Delivery) -> None:
        self._settings = settings
        self._draining = draining
        self._delivery = delivery
        self._streams: set[asyncio.Task[Any]] = set()

    async def streams_end(self) -> None:
        """Returns when no stream is left; gRPC's own stop returns a moment before."""
        if self._streams:
            await asyncio.wait(set(self._streams))

    @_answering
    async def GetCapabilities(  # noqa: N802 - the contract's name
        self, _request: pb.GetCapabilitiesRequest, _context: Any
    ) -> pb.GetCapabilitiesResponse:
        """What this server is and can do."""
        return pb.GetCapabilitiesResponse(
            server_version=__version__,
            protocol_version=PROTOCOL_VERSION,
            api_versions=[destination_pb2.API_VERSION_V1, destination_pb2.API_VERSION_V2],
            event_types=EVENT_TYPES,
            features=[pb.FEATURE_DELIVERY, pb.FEATURE_PROBE],
            limits=limits(self._settings),
        )

    @_answering
    async def CheckDestination(  # noqa: N802
        self, request: pb.CheckDestinationRequest, _context: Any
    ) -> pb.CheckDestinationResponse:
        """Whether a destination's settings can work."""
        destination, problems = await read_checked(request.destination)
        answer = pb.CheckDestinationResponse()
        if request.probe and destination is not None:
            key = region_key(request.destination)
            problems += await self._probe(destination, key, answer.probe)
        answer.usable = not any(problem.fatal for problem in problems)
        answer.problems.extend(problem_messages(problems, 0))
        return answer

    async def _probe(
        self, destination: AnyDestination, key: str, answer: pb.Probe
    ) -> list[SettingProblem]:
        """Asks Customer.io; answers what that says of the settings. key: of the region."""
        if not isinstance(destination, Destination):
            answer.reason = "the settings come from each event: there is nothing to ask with"
            return []
        template = destination.endpoints.batch
        found = await probe(
            template,
            self._delivery.transport,
            self._delivery.hosts,
            self._settings.request_timeout_s,
        )
        answer.credentials_accepted = found.credentials_accepted
        answer.environment_id = found.environment_id
        answer.reason = found.reason
        if found.region is None:
            return []
        answer.region = REGIONS[found.region]
        if BASE_URLS[found.region] == template.base_url:
            return []
        return [wrong_region(key, found.region)]

    @_answering
    async def Transform(  # noqa: N802
        self, request: pb.TransformRequest, _context: Any
    ) -> pb.TransformResponse:
        """One batch in, one batch out."""
        known = KnownDestinations(self._settings.max_destinations)
        await known.upsert(request.destinations, request.connections)
        async for response in answer_batch(
            request.batch, known, self._settings, pb.TransformResponse, None
        ):
            give_back_after(request)
            return response
        raise AssertionError("a batch without limit has one response")

    async def Deliver(self, _request: pb.DeliverRequest, context: Any) -> pb.DeliverResponse:  # noqa: N802
        """Refuse the call: delivery is on streams only."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "use TransformStream with delivery")
        raise AssertionError  # abort raises

    async def TransformStream(  # type: ignore[override]  # noqa: N802 - reads and writes itself
        self,
        _requests: Any,
        context: aio.ServicerContext[pb.TransformStreamRequest, pb.TransformStreamResponse],
    ) -> None:
        """Batches in, results out, until the caller or the server has enough."""
        if (task := asyncio.current_task()) is not None:
            self._streams.add(task)
            task.add_done_callback(self._streams.discard)
        try:
            await Stream(context, self._settings, self._draining, self._delivery).run()
        except asyncio.CancelledError:
            raise  # swallowing it leaks the call in grpc.aio (grpc#43360)
        except Exception as fault:  # noqa: BLE001
            await fail(context, fault)
