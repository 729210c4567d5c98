"""The log lines of a server: its streams, the conditions of its workspaces, refused events, defects."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from ..delivery.observer import Condition, WorkspaceLabel, WorkspaceSnapshot
from ..delivery.rate_store import RateStoreSnapshot
from ..rpc.observer import EventLabels, StreamCounts, StreamInfo, WarningLabels
from .destination_names import operator_name
from .faults import kind_and_place
from .logging import get_logger
from .observer import Observer

SUMMARY_S = 60.0
FIRST_S = 1.0
"""How long the first refusals of a destination and code are gathered before their line."""
_MAX_SUMMARISED = 100
_FURTHER = "further changes of workspaces"
_FURTHER_OF_STORE = "further changes of the rate store"
_MAX_CHANGES = 20
"""Lines about one condition between two summaries. An outage may reach 10,000 workspaces in a second."""
_REFUSED = ("rejected", "partly_refused", "retryable")
_OTHER = "other"
_DRAINING = "DRAINING"
_RefusalKey = tuple[str, str, str]
"""The name of the destination, the outcome and the code of refused events."""

_log = get_logger("ciosidecar")

CONDITIONS = {
    Condition.PAUSED: ("warning", "workspace paused: Customer.io asks to wait (Retry-After)"),
    Condition.RESUMED: ("info", "workspace resumed: the pause is over"),
    Condition.THROTTLED: (
        "warning",
        "workspace throttled: Customer.io answered 429, the rate is lower",
    ),
    Condition.FULL_RATE: ("info", "workspace at its full rate again"),
    Condition.DOWN: ("error", "workspace down: five requests to Customer.io in a row failed"),
    Condition.UP: ("info", "workspace up again: Customer.io accepts requests"),
    Condition.CREDENTIALS_REFUSED: (
        "error",
        "credentials refused: Customer.io does not accept the destination's siteID and apiKey in this region",
    ),
    Condition.CREDENTIALS_ACCEPTED: ("info", "credentials accepted again by Customer.io"),
    Condition.OTHER_REGION: (
        "warning",
        "workspace is in Customer.io's other region: set its destination's region",
    ),
}
"""The level and the message of each condition."""
STORE_DOWN = ("warning", "rate store down: this sidecar keeps to its share of the rate")
STORE_UP = ("info", "rate store up again: the rate is shared")


class LogObserver(Observer):
    """A listener that writes log lines."""

    def __init__(self) -> None:
        self._refused: Counter[_RefusalKey] = Counter()
        self._announced: set[_RefusalKey] = set()
        self._changes: Counter[tuple[str, str]] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._first_timer: asyncio.TimerHandle | None = None

    def stream_opened(self, stream: StreamInfo) -> None:
        """Log that a stream opened."""
        fields = stream._asdict() | {"destination_ref": operator_name(stream.destination_ref)}
        _log.info("stream opened", **fields)

    def stream_closed(self, stream: StreamInfo, counts: StreamCounts, reason: str) -> None:
        """Log that a stream closed, with what it carried."""
        _log.info(
            "stream closed",
            session_id=stream.session_id,
            client_name=stream.client_name,
            client_version=stream.client_version,
            peer=stream.peer,
            delivery=stream.delivery,
            batches=counts.batches,
            items=counts.items,
            results=counts.results,
            duration_s=round(counts.duration_s, 3),
            reason=reason,
        )

    def stream_stalled(self, stream: StreamInfo, counts: StreamCounts) -> None:
        """Log that a caller does not read, with the numbers that tell how much it has not read."""
        _log.warning(
            "the caller does not read its results: the stream stands still",
            session_id=stream.session_id,
            client_name=stream.client_name,
            client_version=stream.client_version,
            peer=stream.peer,
            destination_ref=operator_name(stream.destination_ref),
            items=counts.items,
            results=counts.results,
        )

    def stream_read(self, stream: StreamInfo, unread_s: float) -> None:
        """Log that a caller reads again."""
        _log.info(
            "the caller reads its results again",
            session_id=stream.session_id,
            client_name=stream.client_name,
            peer=stream.peer,
            destination_ref=operator_name(stream.destination_ref),
            unread_s=round(unread_s, 1),
        )

    def condition_changed(
        self, workspace: WorkspaceLabel, condition: Condition, snapshot: WorkspaceSnapshot
    ) -> None:
        """Log that a workspace accepts less, or more, than before; beyond twenty such lines, count it."""
        level, event = CONDITIONS[condition]
        if not self._has_own_line(level, event):
            return
        fields: dict[str, object] = {
            "destination_ref": operator_name(workspace.destination_ref),
            "base_url": workspace.base_url,
            "rate_per_s": round(snapshot.rate_per_s, 1),
            "waiting": snapshot.waiting,
        }
        if workspace.more_destinations:
            fields["more_destinations"] = workspace.more_destinations
        if snapshot.pause_s:
            fields["pause_s"] = round(snapshot.pause_s, 1)
        if level != "info" and snapshot.last_failure is not None:
            fields["http_status"] = snapshot.last_failure.http_status
            fields["failure"] = snapshot.last_failure.text
        getattr(_log, level)(event, **fields)

    def _has_own_line(self, level: str, event: str) -> bool:
        """Count a change. Return whether it is one of the first since the last summary."""
        self._changes[level, event] += 1
        self._summarise_soon()
        return self._changes[level, event] <= _MAX_CHANGES

    def rate_store_changed(self, snapshot: RateStoreSnapshot) -> None:
        """Log that the rate store went away, or is back; beyond twenty such lines, count it."""
        level, event = STORE_UP if snapshot.up else STORE_DOWN
        if self._has_own_line(level, event):
            fields: dict[str, object] = {"sidecars": snapshot.sidecars}
            if not snapshot.up:
                fields["error"] = snapshot.last_error
            getattr(_log, level)(event, **fields, fallback_s=round(snapshot.fallback_s, 1))

    def events_answered(
        self, events: Mapping[EventLabels, int], warnings: Mapping[WarningLabels, int]
    ) -> None:
        """Count refused events: for a line within a second if they are the first, else for the summary."""
        del warnings  # metrics count them
        for labels, number in events.items():
            if labels.outcome in _REFUSED:
                self._count(labels, number)

    def _count(self, labels: EventLabels, number: int) -> None:
        key = (operator_name(labels.destination_ref), labels.outcome, labels.code)
        if key not in self._refused and len(self._refused) >= _MAX_SUMMARISED:
            key = (_OTHER, labels.outcome, _OTHER)
        self._refused[key] += number
        if key not in self._announced and self._first_timer is None:
            loop = asyncio.get_running_loop()
            self._first_timer = loop.call_later(FIRST_S, self._announce)
        self._summarise_soon()

    def _announce(self) -> None:
        """Log the first refusals of a destination and code. The summary counts those that follow."""
        self._first_timer = None
        first = {key: number for key, number in self._refused.items() if key not in self._announced}
        self._announced |= first.keys()
        for key, number in first.items():
            self._refused[key] = 0  # It keeps its place among those that are told apart.
            _log_refused(key, number)

    def _summarise_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SUMMARY_S, self.summarise)

    def summarise(self) -> None:
        """Log what was counted since the last summary: refused events, and changes without a line of their own."""
        for timer in (self._timer, self._first_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._first_timer = None
        changes, self._changes = self._changes, Counter()
        for (level, event), number in changes.items():
            if number > _MAX_CHANGES:
                of_store = (level, event) in (STORE_DOWN, STORE_UP)
                message = _FURTHER_OF_STORE if of_store else _FURTHER
                getattr(_log, level)(message, change=event, changes=number - _MAX_CHANGES)
        refused, self._refused = +self._refused, Counter()
        for key, number in refused.most_common():
            _log_refused(key, number)
        # A code that goes on has one line a minute. After a minute without it, it is logged at once again.
        self._announced = set(refused)
        if refused:
            self._summarise_soon()

    def internal_fault(self, fault: BaseException, log_id: str = "") -> None:
        """Log a defect with its place, and without its text."""
        kind, place = kind_and_place(fault)
        _log.error("internal error", fault=kind, place=place, **({"id": log_id} if log_id else {}))


def _log_refused(key: _RefusalKey, number: int) -> None:
    destination_ref, outcome, code = key
    # Every drain hands events back: that is no reason to worry.
    log = _log.info if code == _DRAINING else _log.warning
    log("events failed", destination_ref=destination_ref, outcome=outcome, code=code, events=number)
