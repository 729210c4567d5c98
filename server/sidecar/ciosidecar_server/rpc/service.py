"""The calls of SidecarService."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from ciosidecar.v1 import destination_pb2
from ciosidecar.v1 import service_pb2 as pb
from ciosidecar_transform import EVENT_TYPES, Destination, SettingProblem, native
from ciosidecar_transform.requests import BASE_URLS
from ciosidecar_transform.settings.dynamic import AnyDestination
from grpc import aio

from .. import PROTOCOL_VERSION, __version__
from ..delivery.dispatcher import Dispatcher
from ..delivery.probe import probe, wrong_region
from ..server_destinations import ServerDestinations
from ..settings import Settings
from .callers import unary_caller
from .codec import choose_codec, results_writers
from .delivery_worker import DeliveryWorker
from .destinations import (
    REGIONS,
    KnownDestinations,
    problem_messages,
    read_checked,
    region_key,
)
from .errors import ProtocolError, fail
from .flow_control import FlowControl
from .limits import limits
from .memory import give_back_after
from .observer import Caller, NoRpcObserver, RpcObserver, StreamSnapshot
from .open_streams import OpenStreams
from .recent_destinations import RecentDestinations
from .request_message import Batch, UnaryRequest
from .required import (
    check_deliver,
    check_delivery_offered,
    check_destination_request,
    check_transform,
)
from .results_message import EncodedResults
from .session import Draining, Session
from .tap import ItemTap, NoItemTap, StreamTap
from .transform_worker import TransformWorker
from .unary_room import UnaryRoom
from .worker import Collected, process_batch

_FEATURES = (pb.FEATURE_DELIVERY, pb.FEATURE_PROBE)
_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Call = Callable[["Servicer", _Request, Any], Awaitable[_Response]]


def _answering(call: _Call[_Request, _Response]) -> _Call[_Request, _Response]:
    """Return the call with its exceptions turned into statuses that quote no data."""

    @wraps(call)
    async def guarded(self: "Servicer", request: _Request, context: Any) -> _Response:
        begun_at = time.perf_counter()
        code = "CANCELLED"
        try:
            response = await call(self, request, context)
        except Exception as fault:  # noqa: BLE001 - the text of no exception reaches the caller
            code = fault.code.name if isinstance(fault, ProtocolError) else "INTERNAL"
            await fail(context, fault, self._observer)
        else:
            code = "OK"
            return response
        finally:
            duration_s = time.perf_counter() - begun_at
            self._observer.call_ended(call.__name__, code, duration_s)

    return guarded


class Servicer:
    """The methods of SidecarService."""

    def __init__(
        self,
        settings: Settings,
        draining: Draining,
        delivery: Dispatcher,
        destinations: ServerDestinations,
        observer: RpcObserver | None = None,
        tap: ItemTap | None = None,
    ) -> None:
        """Begin without calls.

        Args:
            settings: the settings of the server.
            draining: tells when the server shuts down.
            delivery: the workspaces to deliver to.
            destinations: the destinations that callers name by ref only.
            observer: receives the reports of calls and streams. Optional.
            tap: receives each answered item, while it listens. Optional.
        """
        self._settings = settings
        self.codec = choose_codec()
        """Reads the requests of this service and writes its results."""
        self._observer = observer or NoRpcObserver()
        self._tap = StreamTap(tap or NoItemTap())
        self._streams = OpenStreams(self._observer, self._tap.tap)
        self._draining = draining
        self._dispatcher = delivery
        self._destinations = destinations
        self._calls: set[asyncio.Task[Any]] = set()
        self._room = UnaryRoom(settings.max_unary_bytes)
        self._recent = RecentDestinations()

    async def calls_end(self) -> None:
        """Wait until no stream and no delivery is left; gRPC's own stop returns a moment before."""
        if self._calls:
            await asyncio.wait(set(self._calls))

    def snapshot(self) -> list[StreamSnapshot]:
        """Return the state of every open stream."""
        return self._streams.snapshot()

    @_answering
    async def GetCapabilities(  # noqa: N802 - the contract's name
        self, _request: pb.GetCapabilitiesRequest, _context: Any
    ) -> pb.GetCapabilitiesResponse:
        """Return the version, the features and the limits of the server."""
        return pb.GetCapabilitiesResponse(
            server_version=__version__,
            protocol_version=PROTOCOL_VERSION,
            api_versions=[destination_pb2.API_VERSION_V1, destination_pb2.API_VERSION_V2],
            event_types=EVENT_TYPES,
            features=_FEATURES if self._settings.delivery else (),
            limits=limits(self._settings),
            implementation=native.implementation(),
        )

    @_answering
    async def CheckDestination(  # noqa: N802
        self, request: pb.CheckDestinationRequest, _context: Any
    ) -> pb.CheckDestinationResponse:
        """Check the settings of a destination, and its credentials with `probe`."""
        check_destination_request(request)
        if request.probe:
            check_delivery_offered(self._settings, "probe")
        checked = await read_checked(request.destination, self._destinations.known)
        problems = checked.problems
        answer = pb.CheckDestinationResponse()
        if request.probe and checked.destination is not None:
            key = region_key(checked.config_json)
            problems += await self._probe(checked.destination, key, answer.probe)
        answer.usable = not any(problem.fatal for problem in problems)
        answer.problems.extend(problem_messages(problems, 0))
        return answer

    async def _probe(
        self, destination: AnyDestination, key: str, answer: pb.Probe
    ) -> list[SettingProblem]:
        """Ask Customer.io about the credentials. Return what the answer says of the settings.

        Args:
            destination: the destination that is checked.
            key: the key of the region setting.
            answer: the message to fill.
        """
        if not isinstance(destination, Destination):
            answer.reason = "the settings come from each event: there is nothing to ask with"
            return []
        template = destination.endpoints.batch
        probed = await probe(
            template,
            self._dispatcher.transport,
            self._dispatcher.endpoints,
            self._settings.request_timeout_s,
        )
        answer.credentials_accepted = probed.credentials_accepted
        answer.environment_id = probed.environment_id
        answer.reason = probed.reason
        if probed.region is None:
            return []
        answer.region = REGIONS[probed.region]
        if BASE_URLS[probed.region] == template.base_url:
            return []
        return [wrong_region(key, probed.region)]

    @_answering
    async def Transform(  # noqa: N802
        self, request: UnaryRequest[pb.TransformRequest], context: Any
    ) -> EncodedResults:
        """Transform one batch."""
        batch = check_transform(request)
        with self._room.take(request):
            return await self._transform(request.declared, batch, request.size, context)

    async def _transform(
        self, declared: pb.TransformRequest, batch: Batch, size: int, context: Any
    ) -> EncodedResults:
        known = await self._declared(declared, delivering=False)
        collected = Collected(
            results_writers(self.codec, pb.TransformResponse),
            self._settings.max_message_bytes,
            one_response=False,
        )
        worker = TransformWorker(
            collected.output, self._observer, self._tap, self._recent.templates
        )
        caller = self._caller(context, delivery=False)
        try:
            await process_batch(batch, known, self._settings, worker, self._observer, caller)
        except ProtocolError:
            # Results that do not fit one message were made for nothing: up to one message of them.
            give_back_after(self._settings.max_message_bytes)
            raise
        give_back_after(size)
        return collected.response

    @_answering
    async def Deliver(  # noqa: N802
        self, request: UnaryRequest[pb.DeliverRequest], context: Any
    ) -> EncodedResults:
        """Transform one batch and deliver its requests."""
        check_delivery_offered(self._settings, "delivery")
        batch = check_deliver(request)
        self._note_task()
        with self._room.take(request):
            return await self._deliver(request.declared, batch, request.size, context)

    async def _deliver(
        self, declared: pb.DeliverRequest, batch: Batch, size: int, context: Any
    ) -> EncodedResults:
        known = await self._declared(declared, delivering=True)
        collected = Collected(
            results_writers(self.codec, pb.DeliverResponse), self._settings.max_message_bytes
        )
        worker = DeliveryWorker(
            self._dispatcher,
            known,
            self._settings,
            declared.delivery,
            collected.output,
            FlowControl.unlimited(),
            self._observer,
            self._tap,
        )
        try:
            caller = self._caller(context, delivery=True)
            await process_batch(batch, known, self._settings, worker, self._observer, caller)
            give_back_after(size)
            await worker.finish()
        finally:
            # A call that is cancelled forgets its jobs.
            await asyncio.gather(*worker.abandon(), return_exceptions=True)
        return collected.response

    async def _declared(
        self, request: pb.TransformRequest | pb.DeliverRequest, *, delivering: bool
    ) -> KnownDestinations:
        """Return what a unary call declares. delivering: whether the call delivers."""
        known = KnownDestinations(
            self._settings.max_destinations, self._destinations, self._recent.read
        )
        known.delivering = delivering
        await known.upsert(request.destinations, request.connections)
        return known

    def _caller(self, context: Any, *, delivery: bool) -> Caller:
        """Return the caller of a unary call. Its metadata are read if batches are traced."""
        if self._observer.traces:
            return unary_caller(context, delivery=delivery)
        return Caller("", "", delivery, {})

    def _note_task(self) -> None:
        """Let `calls_end` wait for the running task."""
        if (task := asyncio.current_task()) is not None:
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def TransformStream(  # noqa: N802 - reads and writes itself
        self,
        _requests: Any,
        context: aio.ServicerContext[pb.TransformStreamRequest, pb.TransformStreamResponse],
    ) -> None:
        """Transform or deliver the batches of a stream."""
        self._note_task()
        try:
            await Session(
                context,
                self._settings,
                self._draining,
                self._dispatcher,
                self._destinations,
                self._streams,
                self.codec,
            ).run()
        except asyncio.CancelledError:
            raise  # swallowing it leaks the call in grpc.aio (grpc#43360)
        except Exception as fault:  # noqa: BLE001
            await fail(context, fault, self._observer)
