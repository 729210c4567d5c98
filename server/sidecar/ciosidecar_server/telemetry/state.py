"""The state of the process as /api/state, the page and `ciosidecar top` show it. docs/operations/admin.md documents it."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from .. import __version__
from ..delivery.rate_store import RateStoreSnapshot
from ..rpc.observer import StreamSnapshot
from .activity import FAILED, Activity, DestinationActivity
from .destination_names import operator_name
from .logging import line_counts
from .loop_lag import LoopLag
from .metric_families import STATES
from .readiness import Readiness
from .workspace_sums import Sums, WorkspaceReader, WorkspaceSum

MAX_STREAMS = 500
_KEPT_S = 0.5
State = dict[str, Any]


class StateReader:
    """Puts the state together, twice a second at most: however many ask, the event loop is not held up."""

    def __init__(
        self,
        activity: Activity,
        complete_activity: Callable[[], None],
        workspaces: WorkspaceReader,
        streams: Callable[[], Sequence[StreamSnapshot]],
        readiness: Readiness,
        loop_lag: LoopLag,
        rate_store: Callable[[], RateStoreSnapshot | None] = lambda: None,
    ) -> None:
        self._activity = activity
        self._complete_activity = complete_activity
        self._workspaces = workspaces
        self._streams = streams
        self._readiness = readiness
        self._loop_lag = loop_lag
        self._rate_store = rate_store
        self._began_at = time.monotonic()
        self._read_at = float("-inf")
        self._state: State = {}

    async def read(self) -> State:
        """Return the state."""
        if time.monotonic() - self._read_at < _KEPT_S:
            return self._state
        workspaces = await self._workspaces.read()
        now = time.monotonic()
        if now - self._read_at >= _KEPT_S:
            self._state, self._read_at = self._read(now - self._began_at, workspaces), now
        return self._state

    def _read(self, uptime_s: float, workspaces: Sums) -> State:
        streams = self._streams()
        self._complete_activity()
        activity = self._activity
        accepted, failed = activity.throughput.series()
        events_per_s, failed_per_s = activity.throughput.per_s()
        reason = self._readiness.reason()
        lines = line_counts()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "time": round(time.time(), 3),
            "uptime_s": round(uptime_s, 1),
            "ready": reason is None,
            "not_ready_reason": reason,
            "event_loop_lag_s": round(self._loop_lag.worst_s(), 3),
            "log_lines_waiting": lines.waiting,
            "log_lines_dropped": lines.dropped,
            "events_per_s": round(events_per_s + failed_per_s, 1),
            "failed_per_s": failed_per_s,
            "throughput": {"interval_s": 5, "accepted_per_s": accepted, "failed_per_s": failed},
            "rate_store": _rate_store_state(self._rate_store()),
            "destinations": _destinations(activity, workspaces),
            "streams_open": len(streams),
            "streams": [_stream(stream) for stream in streams[-MAX_STREAMS:]],
            "failures": _failures(activity),
        }


def _rate_store_state(store: RateStoreSnapshot | None) -> State | None:
    if store is None:
        return None
    return {
        "up": store.up,
        "sidecars": store.sidecars,
        "last_error": store.last_error,
        "fallback_s": round(store.fallback_s, 1),
    }


def _destinations(activity: Activity, workspaces: Sums) -> list[State]:
    """Return the destinations, those in the worst state first."""
    names = dict.fromkeys((*activity.destinations, *workspaces))
    destinations = [
        _destination(name, activity.destinations.get(name), workspaces.get(name, WorkspaceSum()))
        for name in names
    ]
    return sorted(
        destinations,
        key=lambda row: (-_badness(row["state"]), -row["failed_per_s"], row["destination_ref"]),
    )


def _badness(state: str) -> int:
    return STATES.index(state) if state in STATES else -1


def _destination(name: str, events: DestinationActivity | None, workspaces: WorkspaceSum) -> State:
    accepted_per_s, failed_per_s = events.throughput.per_s() if events else (0.0, 0.0)
    outcomes = dict(sorted(events.outcomes.items())) if events else {}
    latest = workspaces.last_failure
    latency_s = workspaces.latency_s
    return {
        "destination_ref": name,
        "state": max(workspaces.states, key=_badness, default="idle"),
        "workspaces": workspaces.workspaces,
        "more_destinations": workspaces.more_destinations,
        "other_region": workspaces.other_region > 0,
        "urls": sorted(workspaces.urls),
        "rate_per_s": round(workspaces.rate_per_s, 1) if workspaces.workspaces else 0.0,
        "full_rate_per_s": round(workspaces.full_rate_per_s, 1),
        "pause_s": round(workspaces.pause_s, 1),
        "waiting": workspaces.waiting,
        "in_flight": workspaces.in_flight,
        "requests_in_flight": workspaces.requests_in_flight,
        "latency_s": None if latency_s is None else round(latency_s, 4),
        "events_per_s": round(accepted_per_s + failed_per_s, 1),
        "failed_per_s": failed_per_s,
        "outcomes": outcomes,
        "failed": sum(outcomes.get(outcome, 0) for outcome in FAILED),
        "last_failure": None
        if latest is None
        else {"time": round(latest.at, 3), "http_status": latest.http_status, "text": latest.text},
    }


def _stream(stream: StreamSnapshot) -> State:
    info, counts, unread_s = stream
    return {
        "session_id": info.session_id,
        "client_name": info.client_name,
        "client_version": info.client_version,
        "peer": info.peer,
        "delivery": info.delivery,
        "destination_ref": operator_name(info.destination_ref),
        "destinations": info.destinations,
        "age_s": round(counts.duration_s, 1),
        "batches": counts.batches,
        "items": counts.items,
        "results": counts.results,
        "unread_s": round(unread_s, 1),
    }


def _failures(activity: Activity) -> list[State]:
    """Return the failures, the latest first."""
    return [
        {
            **kind._asdict(),
            "count": failures.count,
            "first_time": round(failures.first_at, 3),
            "last_time": round(failures.last_at, 3),
        }
        for kind, failures in reversed(activity.failures.items())
    ]
