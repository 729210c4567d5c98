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
from ..settings import Settings
from ..transform import EVENT_TYPES, read_destination
from .batches import answer_batch
from .destinations import KnownDestinations, config_json, problem_messages
from .failures import ProtocolError, fail
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

    def __init__(self, settings: Settings, draining: Draining) -> None:
        self._settings = settings
        self._draining = draining

    @_answering
    async def GetCapabilities(  # noqa: N802 - the contract's name
        self, _request: pb.GetCapabilitiesRequest, _context: Any
    ) -> pb.GetCapabilitiesResponse:
        """What this server is and can do."""
        return pb.GetCapabilitiesResponse(
            server_version=__version__,
            protocol_version=PROTOCOL_VERSION,
            api_versions=[destination_pb2.API_VERSION_V1],
            event_types=EVENT_TYPES,
            limits=limits(self._settings),
        )

    @_answering
    async def CheckDestination(  # noqa: N802
        self, request: pb.CheckDestinationRequest, _context: Any
    ) -> pb.CheckDestinationResponse:
        """Whether a destination's settings can work."""
        if request.probe:
            raise ProtocolError(
                "probe", "this server does not probe", grpc.StatusCode.UNIMPLEMENTED
            )
        destination, problems = read_destination(config_json(request.destination))
        return pb.CheckDestinationResponse(
            usable=destination is not None,
            problems=problem_messages(problems, request.destination.number),
        )

    @_answering
    async def Transform(  # noqa: N802
        self, request: pb.TransformRequest, _context: Any
    ) -> pb.TransformResponse:
        """One batch in, one batch out."""
        known = KnownDestinations(self._settings.max_destinations)
        known.upsert(request.destinations)
        async for response in answer_batch(
            request.batch, known, self._settings, pb.TransformResponse, None
        ):
            give_back_after(request)
            return response
        raise AssertionError("a batch without limit has one response")

    async def TransformStream(  # type: ignore[override]  # noqa: N802 - reads and writes itself
        self,
        _requests: Any,
        context: aio.ServicerContext[pb.TransformStreamRequest, pb.TransformStreamResponse],
    ) -> None:
        """Batches in, results out, until the caller or the server has enough."""
        try:
            await Stream(context, self._settings, self._draining).run()
        except asyncio.CancelledError:
            raise  # swallowing it leaks the call in grpc.aio (grpc#43360)
        except Exception as fault:  # noqa: BLE001
            await fail(context, fault)
