"""Delivery to every workspace: one dispatcher serves all streams of a process."""

import asyncio
import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from time import perf_counter

from ciosidecar_transform.requests import RequestTemplate

from ..settings import Settings
from .clock import Clock, SystemClock
from .endpoints import TrackApiEndpoints
from .http_transport import HttpTransport
from .observer import DeliveryObserver, NoDeliveryObserver, WorkspaceSnapshot
from .rate_limiter import RateLimit, SendLimits
from .rate_store import RateStore, RateStoreSnapshot
from .shared_rate_limiter import SharedRateLimiter
from .shared_rates import SharedRates
from .slots import Slots
from .walk import TURN_S, Walk
from .workspace_queue import WorkspaceQueue

_LINGER_S = 0.005
# What streams need at the end of the grace to write the last results, and to end.
_TO_REPORT_S = 0.6
_FEW_WORKSPACES = 1_000
_MOST_REMEMBERED = 100_000
# For each new workspace, so that the number of the others falls if they are not worth keeping.
_LOOKED_AT = 2


class Dispatcher:
    """The workspaces that are sent to, by address and credentials."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        observer: DeliveryObserver | None = None,
        rate_store: RateStore | None = None,
    ) -> None:
        """Begin without workspaces.

        Args:
            settings: the settings of the server.
            clock: the time that delivery goes by. Optional. Defaults to the event loop's.
            observer: receives the reports of all workspaces. Optional.
            rate_store: keeps the rates that other sidecars share. Optional. Defaults to rates of this process alone.
        """
        self._clock = clock or SystemClock()
        self._observer = observer or NoDeliveryObserver()
        self.endpoints = TrackApiEndpoints(settings.customerio_url, settings.customerio_eu_url)
        self.transport = HttpTransport(
            connect_timeout_s=settings.connect_timeout_s,
            max_connections=settings.max_connections,
            http2=settings.http2,
        )
        self._limits = SendLimits(
            rate_per_s=settings.delivery_rate,
            concurrency=settings.delivery_concurrency,
            request_timeout_s=settings.request_timeout_s,
            linger_s=_LINGER_S,
        )
        self._rates = (
            None
            if rate_store is None
            else SharedRates(rate_store, self._clock, self._observer, settings.replicas)
        )
        self._slots = Slots(settings.max_connections)
        # The next one to look at first.
        self._workspaces: OrderedDict[tuple[str, str], WorkspaceQueue] = OrderedDict()
        self.draining = False
        """Whether nothing more is sent. An attribute, because it is read for each event."""

    def start(self) -> None:
        """Tell the rate store that this sidecar is there, if there is a store."""
        if self._rates is not None:
            self._rates.start()

    def workspace(self, template: RequestTemplate) -> WorkspaceQueue:
        """Return the workspace that requests of a template go to."""
        key = workspace_key(template)
        workspace = self._workspaces.get(key)
        if workspace is None:
            if len(self._workspaces) >= _FEW_WORKSPACES:
                self._tidy()
            base_url = self.endpoints.real(template.base_url)
            workspace = self._workspaces[key] = WorkspaceQueue(
                base_url,
                self.transport,
                self.endpoints,
                self._limits,
                self._slots,
                self._clock,
                self._observer,
                self._shared_rate(base_url, template),
            )
            if self.draining:
                workspace.drain()
        return workspace

    def _shared_rate(
        self, base_url: str, template: RequestTemplate
    ) -> Callable[[Callable[[], None]], RateLimit] | None:
        """Return what makes the limit that other sidecars share; None without a rate store."""
        rates = self._rates
        if rates is None:
            return None
        name = shared_name(base_url, template)
        return lambda wake: SharedRateLimiter(
            rates, name, self._limits.rate_per_s, self._clock, wake
        )

    def _tidy(self) -> None:
        """Look at two workspaces, in turn. Drop those without jobs, used tokens, trouble or redirects."""
        for _ in range(_LOOKED_AT):
            key, workspace = self._workspaces.popitem(last=False)
            remembered = len(self._workspaces) < _MOST_REMEMBERED
            if workspace.worth_keeping if remembered else not workspace.idle:
                self._workspaces[key] = workspace

    def snapshots(self) -> Iterator[WorkspaceSnapshot]:
        """Yield the state of every workspace there is at the first one, each as it is when its turn comes."""
        for workspace in list(self._workspaces.values()):
            yield workspace.snapshot()

    def rate_store_snapshot(self) -> RateStoreSnapshot | None:
        """Return the state of the rate store; None without a store."""
        return None if self._rates is None else self._rates.snapshot()

    def drain(self, grace_s: float) -> None:
        """Send nothing more. Requests under way have until shortly before the grace is over."""
        self.draining = True
        Walk(list(self._workspaces.values()), WorkspaceQueue.drain)
        reporting_s = max(_TO_REPORT_S, 0.2 * grace_s)
        give_up_at = self._clock.time() + max(0.0, grace_s - reporting_s)
        self._clock.call_at(give_up_at, self._give_up)

    def _give_up(self) -> None:
        Walk(list(self._workspaces.values()), WorkspaceQueue.give_up)

    async def aclose(self) -> None:
        """End everything at once."""
        turn_ends_at = perf_counter() + TURN_S
        for workspace in list(self._workspaces.values()):
            await workspace.aclose()
            if perf_counter() > turn_ends_at:
                await asyncio.sleep(0)
                turn_ends_at = perf_counter() + TURN_S
        if self._rates is not None:
            await self._rates.aclose()
        await self.transport.aclose()


def workspace_key(template: RequestTemplate) -> tuple[str, str]:
    """Return the key of a workspace: the base URL and the credentials of its requests."""
    return template.base_url, template.headers.get("Authorization", "")


def shared_name(base_url: str, template: RequestTemplate) -> str:
    """Return the name of a workspace for other sidecars: a hash of its address and site id, without the API key."""
    credentials = template.headers.get("Authorization", "").removeprefix("Basic ")
    try:
        site_id = base64.b64decode(credentials, validate=True).partition(b":")[0]
    except binascii.Error:
        site_id = b""
    return hashlib.sha256(base_url.encode() + b"\0" + site_id).hexdigest()[:32]
