"""What a workspace reports to an observer: every request, every outcome, and each change of its condition once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from ciosidecar_server.delivery.dispatcher import Dispatcher, shared_name
from ciosidecar_server.delivery.endpoints import TrackApiEndpoints
from ciosidecar_server.delivery.job import Job
from ciosidecar_server.delivery.observer import (
    Attempt,
    Condition,
    NoDeliveryObserver,
    WorkspaceLabel,
    WorkspaceSnapshot,
)
from ciosidecar_server.delivery.outcomes import DeliveryOutcome
from ciosidecar_server.delivery.slots import Slots
from ciosidecar_server.delivery.workspace_queue import WorkspaceQueue
from ciosidecar_server.settings import Settings
from ciosidecar_transform.requests import BASE_URLS, Request, RequestTemplate

from tests.delivery.memory_rate_store import MemoryRates, MemoryRateStore
from tests.delivery.message import Message
from tests.delivery.moved_clock import MovedClock
from tests.delivery.sending import LIMITS, transport
from tests.fake_customerio import FakeCustomerio, Reply, fake_customerio

KEY = "Basic c2l0ZTphLXNlY3JldC1rZXk="
TEMPLATE = RequestTemplate("PUT", BASE_URLS["US"], "v1/customers", {"Authorization": KEY})


class Observer(NoDeliveryObserver):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.conditions: list[Condition] = []
        self.states: list[str] = []
        self.settled: list[tuple[str, int]] = []

    def attempt_ended(self, workspace: WorkspaceLabel, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    def jobs_settled(
        self,
        workspace: WorkspaceLabel,
        jobs: Sequence[Job],
        outcome: DeliveryOutcome,
        queue_s: float,
    ) -> None:
        self.settled += [(workspace.destination_ref, outcome.status)] * len(jobs)

    def condition_changed(
        self, workspace: WorkspaceLabel, condition: Condition, snapshot: WorkspaceSnapshot
    ) -> None:
        self.conditions.append(condition)
        self.states.append(snapshot.state)


class Watched:
    """A workspace whose time stands still, and what it reports."""

    def __init__(self, queue: WorkspaceQueue, clock: MovedClock, observer: Observer) -> None:
        self.queue = queue
        self.clock = clock
        self.observer = observer

    async def send(self, user: str, *, timeout_s: float = 1e-9, ref: str = "shop") -> int:
        """Deliver one request, without another try unless there is time. Return its status."""
        message = Message()
        request = Request(TEMPLATE, f"/api/v1/customers/{user}", b"{}")
        deadline = self.clock.time() + timeout_s
        self.queue.submit([Job(request, (user,), deadline, message, 0, destination_ref=ref)])
        return (await asyncio.wait_for(message.outcome, 10)).status


@asynccontextmanager
async def watched(*answers: Reply) -> AsyncIterator[tuple[FakeCustomerio, Watched]]:
    """A workspace at a Customer.io that gives these answers, and 200 from then on."""
    clock, observer = MovedClock(), Observer()
    async with fake_customerio() as customerio, transport() as to:
        customerio.answers(*answers)
        queue = WorkspaceQueue(
            customerio.url,
            to,
            TrackApiEndpoints(customerio.url),
            LIMITS,
            Slots(10),
            clock,
            observer,
        )
        yield customerio, Watched(queue, clock, observer)
        await queue.aclose()


async def test_every_request_is_reported() -> None:
    """With its status, its jobs and, where it failed, why; the state keeps the last failure."""
    async with watched(Reply(), Reply(400), Reply(204, b"")) as (_, one):
        assert [await one.send(f"u{number}") for number in range(3)] == [200, 400, 200]
        attempts = one.observer.attempts
        assert [attempt.http_status for attempt in attempts] == [200, 400, 204]
        assert [attempt.failure for attempt in attempts] == [
            "",
            "Customer.io refused it with 400",
            "",
        ]
        assert {(attempt.endpoint_path, attempt.number) for attempt in attempts} == {
            ("v1/customers", 1)
        }
        assert [len(attempt.jobs) for attempt in attempts] == [1, 1, 1]
        assert one.observer.settled == [("shop", 200), ("shop", 400), ("shop", 200)]
        last = one.queue.snapshot().last_failure
        assert last is not None
        assert (last.http_status, last.text) == (400, "Customer.io refused it with 400")
        assert one.observer.conditions == []


async def test_the_state_counts_what_waits_and_what_is_sent() -> None:
    """Nothing before and after; the refs of all destinations, the first one in the label."""
    async with watched() as (_, one):
        await one.send("u1", ref="shop")
        await one.send("u2", ref="app")
        await one.send("u3", ref="shop")
        state = one.queue.snapshot()
        assert (state.waiting, state.jobs_in_flight, state.requests_in_flight) == (0, 0, 0)
        assert (state.state, state.rate_per_s, state.full_rate_per_s) == ("ok", 100, 100)
        assert list(state.destination_refs) == ["shop", "app"]
        assert (state.label.destination_ref, state.label.more_destinations) == ("shop", 1)
        assert state.latency_s is not None
        assert one.queue.idle


async def test_refused_credentials_and_their_end_are_reported_once() -> None:
    """However many events come back meanwhile."""
    async with watched(Reply(401)) as (_, one):
        assert [await one.send(f"u{number}") for number in range(3)] == [503, 503, 503]
        one.clock.move(1.0)
        assert await one.send("u9") == 200
        assert one.observer.conditions == [
            Condition.CREDENTIALS_REFUSED,
            Condition.CREDENTIALS_ACCEPTED,
        ]
        assert one.observer.states == ["credentials_refused", "ok"]
        refused, accepted = one.observer.attempts
        assert refused.failure.startswith("not delivered: Customer.io does not accept")
        assert (accepted.http_status, accepted.failure) == (200, "")


async def test_a_pause_a_lowered_rate_and_their_ends_are_reported() -> None:
    """The state shows the worse of both, and how long the pause still lasts."""
    async with watched(Reply(429, headers={"Retry-After": "3"})) as (_, one):
        assert await one.send("u1") == 429
        assert one.observer.conditions == [Condition.PAUSED, Condition.THROTTLED]
        assert one.queue.snapshot().state == "paused"
        assert one.queue.snapshot().pause_s == 3.0
        one.clock.move(3.0)
        assert await one.send("u2") == 200
        assert one.observer.conditions[2:] == [Condition.RESUMED]
        assert one.queue.snapshot().state == "throttled"
        for number in range(4):
            one.clock.move(1.0)
            assert await one.send(f"v{number}") == 200
        assert one.observer.conditions[3:] == [Condition.FULL_RATE]


async def test_a_workspace_that_is_down_is_reported_once() -> None:
    """After five failures in a row, and once more when a request is accepted."""
    async with watched(*[Reply(500)] * 5) as (_, one):
        for number in range(4):
            assert await one.send(f"u{number}") == 500
        assert one.observer.conditions == []
        assert await one.send("u5") == 500
        assert one.observer.conditions == [Condition.DOWN]
        one.clock.move(10.0)
        assert await one.send("u6") == 200
        assert one.observer.conditions == [Condition.DOWN, Condition.UP]
        assert one.observer.states == ["down", "ok"]
        assert [attempt.failure for attempt in one.observer.attempts] == [
            *["Customer.io answered 500"] * 5,
            "",
        ]


async def test_redirects_that_lead_nowhere_are_reported_once() -> None:
    """Until a request is accepted; then another one is new again."""
    elsewhere = Reply(
        301, b'{"meta": {"error": "other region"}}', {"Location": "https://a.example"}
    )
    async with watched(elsewhere, elsewhere, Reply(), elsewhere) as (_, one):
        assert [await one.send("u1"), await one.send("u2")] == [503, 503]
        assert one.observer.conditions == [Condition.OTHER_REGION]
        assert one.queue.snapshot().other_region
        assert await one.send("u3") == 200
        assert not one.queue.snapshot().other_region
        assert await one.send("u4") == 503
        assert one.observer.conditions == [Condition.OTHER_REGION] * 2


@pytest.mark.parametrize("authorization", ["Bearer a-token!", "Basic ?", ""])
def test_any_credentials_have_a_name_for_other_sidecars(authorization: str) -> None:
    """Prepared requests bring whatever they like: what has no site id goes by the address."""
    headers = {"Authorization": authorization} if authorization else {}
    template = RequestTemplate("PUT", BASE_URLS["US"], "v1/customers", headers)
    nameless = RequestTemplate("PUT", BASE_URLS["US"], "v1/customers", {})
    assert shared_name("https://a.example", template) == shared_name("https://a.example", nameless)
    assert shared_name("https://a.example", template) != shared_name("https://b.example", template)


async def test_a_dispatcher_with_a_rate_store_shares_the_rate() -> None:
    """Each workspace by a name that has neither the site id nor the key, and that another key does not change."""
    clock = MovedClock()
    rates = MemoryRates(clock)
    headers = {"Authorization": "Basic c2l0ZTphbm90aGVy"}
    other = RequestTemplate("PUT", BASE_URLS["US"], "v1/customers", headers)
    async with fake_customerio() as customerio:
        settings = Settings(customerio_url=customerio.url, delivery_rate=100)
        dispatcher = Dispatcher(settings, clock, rate_store=MemoryRateStore(rates, 1))
        dispatcher.start()
        for number, template in enumerate((TEMPLATE, other)):
            message = Message()
            request = Request(template, f"/api/v1/customers/u{number}", b"{}")
            job = Job(request, ("u",), clock.time() + 60, message, 0)
            dispatcher.workspace(template).submit([job])
            assert (await asyncio.wait_for(message.outcome, 10)).status == 200
        assert {asked.workspace for asked in rates.asked[1]} == set(rates.workspaces)
        (name,) = rates.workspaces
        assert len(name) == 32
        assert {asked.rate_per_s for asked in rates.asked[1]} == {100}
        state = dispatcher.rate_store_snapshot()
        assert state is not None
        assert state.up
        assert rates.sidecars == {1}
        await dispatcher.aclose()
        assert rates.sidecars == set()
