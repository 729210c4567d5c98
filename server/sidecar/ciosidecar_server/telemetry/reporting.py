"""The log and the metrics of one server, put together."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from ..delivery.rate_store import RateStoreSnapshot
from ..rpc.message_bytes import MessageBytes
from ..rpc.observer import StreamSnapshot
from ..settings import Settings
from .activity import Activity
from .admin import AdminSources
from .descriptors import Descriptors
from .destination_names import DestinationNames
from .fan_out import FanOut
from .lifecycle import log_drain_began, log_drain_ended, log_drain_waits, log_started
from .log_lines import LogObserver
from .loop_lag import LoopLag
from .metrics import Metrics, Snapshot
from .observer import Observer
from .readiness import Readiness
from .state import StateReader
from .tap import TapHub
from .workspace_sums import WorkspaceReader

_FIRST_WAIT_S = 1.0
_NEXT_WAIT_S = 10.0
"""How long a drain goes on before its first line about what it waits for, and between two of these lines."""


class Telemetry:
    """What one server reports of itself, from its start to its end."""

    def __init__(
        self, settings: Settings, snapshot: Callable[[], Snapshot], observers: Iterable[Observer]
    ) -> None:
        """Prepare the log and the metrics.

        Args:
            settings: the settings of the server.
            snapshot: returns the state of the server. Called for each reading of the metrics.
            observers: receive the same reports as the log and the metrics.
        """
        self._settings = settings
        self._snapshot = snapshot
        self._log = LogObserver()
        self._drain_began_at: float | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        names = DestinationNames(settings.metrics_destinations)
        self._workspaces = WorkspaceReader(names, lambda: snapshot().workspaces)
        self.message_bytes = MessageBytes()
        """The bytes of messages, which the server counts."""
        self._metrics = Metrics(
            self._workspaces,
            self._streams,
            self._rate_store,
            self._certificate_not_after_s,
            self.message_bytes,
        )
        self.loop_lag = LoopLag(self._metrics.loop_lag.observe)
        self.descriptors = Descriptors()
        self._activity = Activity(names)
        self.tap = TapHub()
        """Receives each answered item, while a tap is open."""
        self.observer = FanOut((self._log, self._metrics, self._activity, *observers))
        """Receives the reports of calls, streams and delivery."""

    def admin_sources(self) -> AdminSources:
        """Return what the admin port shows."""
        readiness = Readiness(self.loop_lag)
        state = StateReader(
            self._activity,
            self.observer.event_sums.hand_on,
            self._workspaces,
            self._streams,
            readiness,
            self.loop_lag,
            self._rate_store,
        )
        return AdminSources(readiness, self._render_metrics, state, self.tap)

    async def _render_metrics(self, accept: str) -> tuple[bytes, str]:
        self.observer.event_sums.hand_on()
        return await self._metrics.render(accept)

    def _rate_store(self) -> RateStoreSnapshot | None:
        return self._snapshot().rate_store

    def _certificate_not_after_s(self) -> float | None:
        return self._snapshot().certificate_not_after_s

    def _streams(self) -> list[StreamSnapshot]:
        return self._snapshot().streams

    def started(self, addresses: Sequence[str]) -> None:
        """Log that the server listens."""
        log_started(self._settings, addresses)

    def drain_began(self) -> None:
        """Log that the server accepts no more work."""
        self._drain_began_at = time.monotonic()
        log_drain_began(self._settings.grace_s, len(self._streams()))
        self._look_later(_FIRST_WAIT_S)

    def _look_later(self, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._drain_timer = loop.call_later(delay_s, self._drain_waits)

    def _drain_waits(self) -> None:
        """Log what the drain waits for, now and then."""
        if streams := self._streams():
            log_drain_waits(streams)
        self._look_later(_NEXT_WAIT_S)

    def ended(self, *, cut: bool) -> None:
        """Log the last summary, and the end of a drain. cut: whether a second signal ended it."""
        self.loop_lag.stop()
        self.descriptors.stop()
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        self.observer.event_sums.stop()
        self._log.summarise()
        if self._drain_began_at is not None:
            log_drain_ended(time.monotonic() - self._drain_began_at, cut=cut)
            self._drain_began_at = None
