"""The workspaces of many destinations: no walk over all of them keeps the event loop for long."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from ciosidecar.v1 import service_pb2 as pb
from ciosidecar_server.delivery.dispatcher import Dispatcher
from ciosidecar_server.rpc.codec import choose_codec, results_writers
from ciosidecar_server.rpc.counting import UNKNOWN_DESTINATION
from ciosidecar_server.rpc.delivery_worker import DeliveryWorker
from ciosidecar_server.rpc.destinations import KnownDestinations
from ciosidecar_server.rpc.flow_control import FlowControl
from ciosidecar_server.rpc.item_job import ItemJob
from ciosidecar_server.rpc.observer import NoRpcObserver
from ciosidecar_server.rpc.tap import NoItemTap, StreamTap
from ciosidecar_server.rpc.worker import Collected
from ciosidecar_server.server_destinations import ServerDestinations
from ciosidecar_server.settings import Settings
from ciosidecar_transform import Outcome
from ciosidecar_transform.requests import RequestTemplate

MANY = 20_000
URL = "http://127.0.0.1:9"


def template(number: int) -> RequestTemplate:
    return RequestTemplate("POST", URL, "v2/batch", {"Authorization": f"Basic {number}"})


def dispatcher_of(number: int) -> Dispatcher:
    """A dispatcher whose workspaces are all worth keeping."""
    dispatcher = Dispatcher(Settings(customerio_url=URL))
    for one in range(number):
        workspace = dispatcher.workspace(template(one))
        workspace._health.on_throttled(None, float("inf"))
    assert sum(1 for _ in dispatcher.snapshots()) == number
    return dispatcher


async def longest_share(work: Callable[[], None]) -> float:
    """The part of a work's CPU time that its longest turn of the event loop took."""
    whole_s = begun_s = time.process_time()
    work()
    longest_s = time.process_time() - begun_s
    # A walk that is over leaves a loop with nothing to do, whose turns take no time.
    idle = 0
    while idle < 100:
        begun_s = time.process_time()
        await asyncio.sleep(0)
        took_s = time.process_time() - begun_s
        longest_s = max(longest_s, took_s)
        idle = idle + 1 if took_s < 0.000_5 else 0
    return longest_s / (time.process_time() - whole_s)


async def test_a_drain_takes_turns() -> None:
    """Its first look at all workspaces, the last one, and the end."""
    dispatcher = dispatcher_of(MANY)
    for work in (lambda: dispatcher.drain(10.0), dispatcher._give_up):
        assert await longest_share(work) < 0.7
    ended = asyncio.ensure_future(dispatcher.aclose())
    turns = 0
    while not ended.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 5


async def test_a_full_stream_looks_at_its_workspaces_in_turns() -> None:
    """For jobs to send back, while it reads no further. One job of a workspace never is one of them."""
    dispatcher = Dispatcher(Settings(customerio_url=URL))
    workspaces = [dispatcher.workspace(template(one)) for one in range(MANY)]
    flow = FlowControl(MANY, 1)
    nothing: Any = None
    outcome = Outcome(200, [])

    def count_one_of_each() -> None:
        for workspace in workspaces:
            job = ItemJob(
                *(nothing, (), 0.0, nothing, 0), label=UNKNOWN_DESTINATION, outcome=outcome
            )
            flow.count(workspace, [job])

    count_one_of_each()
    assert flow.over_share() == []
    count_one_of_each()
    assert len(flow.over_share()) == MANY
    worker = DeliveryWorker(
        dispatcher,
        KnownDestinations(MANY, ServerDestinations(Settings())),
        Settings(),
        pb.DeliveryOptions(),
        Collected(results_writers(choose_codec(), pb.DeliverResponse), 1_000).output,
        flow,
        NoRpcObserver(),
        StreamTap(NoItemTap()),
    )
    looking: list[asyncio.Future[None]] = []
    share = await longest_share(lambda: looking.append(asyncio.ensure_future(worker._make_room())))
    assert looking[0].done()
    assert share < 0.7
    worker.abandon()
