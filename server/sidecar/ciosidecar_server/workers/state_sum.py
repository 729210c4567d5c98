"""States of all workers as that of one sidecar, for /api/state, the page and `ciosidecar top`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from ..telemetry.metric_families import STATES

State = dict[str, Any]
_MAX_STREAMS = 500
_MAX_FAILURES = 50
_MAX_URLS = 3
_FAILURE_KEY = ("destination_ref", "code", "endpoint_path", "http_status", "text")
_RATES = ("rate_per_s", "full_rate_per_s", "events_per_s", "failed_per_s")
_LINES = ("log_lines_waiting", "log_lines_dropped")
_COUNTS = ("waiting", "in_flight", "requests_in_flight", "failed")


def sum_of_states(states: Mapping[int, State]) -> State:
    """Return the members of a state that follow from those of the workers.

    Args:
        states: The states by the worker's number, of the workers that answered.
    """
    found = list(states.values())
    streams = [
        stream | {"worker": number}
        for number, state in states.items()
        for stream in state["streams"]
    ]
    return {
        "event_loop_lag_s": max((state["event_loop_lag_s"] for state in found), default=0.0),
        **{name: sum(state[name] for state in found) for name in _LINES},
        "events_per_s": _total(found, "events_per_s"),
        "failed_per_s": _total(found, "failed_per_s"),
        "throughput": {
            "interval_s": 5,
            "accepted_per_s": _series(found, "accepted_per_s"),
            "failed_per_s": _series(found, "failed_per_s"),
        },
        "rate_store": _rate_store([state["rate_store"] for state in found if state["rate_store"]]),
        "destinations": _destinations(row for state in found for row in state["destinations"]),
        "streams_open": sum(state["streams_open"] for state in found),
        "streams": streams[-_MAX_STREAMS:],
        "failures": _failures(row for state in found for row in state["failures"]),
    }


def _total(rows: Iterable[State], name: str) -> float:
    return round(float(sum(row[name] for row in rows)), 1)


def _rate_store(stores: Sequence[State]) -> State | None:
    """Join what the workers see of the rate store: it is up if all of them reach it."""
    if not stores:
        return None
    return {
        "up": all(store["up"] for store in stores),
        "sidecars": max(store["sidecars"] for store in stores),
        "last_error": max(store["last_error"] for store in stores),
        "fallback_s": max(store["fallback_s"] for store in stores),
    }


def _series(states: Iterable[State], name: str) -> list[float]:
    """Add up series that end at the same time. Those of a younger worker are shorter."""
    backwards = (reversed(state["throughput"][name]) for state in states)
    sums = [round(sum(together), 1) for together in zip_longest(*backwards, fillvalue=0.0)]
    return sums[::-1]


def _destinations(rows: Iterable[State]) -> list[State]:
    """Join the rows of each destination, those in the worst state first."""
    by_ref = defaultdict(list)
    for row in rows:
        by_ref[row["destination_ref"]].append(row)
    return sorted(
        (_destination(ref, together) for ref, together in by_ref.items()),
        key=lambda row: (-_badness(row["state"]), -row["failed_per_s"], row["destination_ref"]),
    )


def _badness(state: str) -> int:
    return STATES.index(state) if state in STATES else -1


def _destination(ref: str, rows: Sequence[State]) -> State:
    outcomes: Counter[str] = Counter()
    for row in rows:
        outcomes.update(row["outcomes"])
    latencies = [row["latency_s"] for row in rows if row["latency_s"] is not None]
    failures = [row["last_failure"] for row in rows if row["last_failure"] is not None]
    return {
        "destination_ref": ref,
        "state": max((row["state"] for row in rows), key=_badness),
        # A workspace is not two because two workers send to it.
        "workspaces": max(row["workspaces"] for row in rows),
        "more_destinations": max(row["more_destinations"] for row in rows),
        "other_region": any(row["other_region"] for row in rows),
        "urls": sorted({url for row in rows for url in row["urls"]})[:_MAX_URLS],
        "pause_s": max(row["pause_s"] for row in rows),
        **{name: _total(rows, name) for name in _RATES},
        **{name: sum(row[name] for row in rows) for name in _COUNTS},
        "latency_s": max(latencies, default=None),
        "outcomes": dict(sorted(outcomes.items())),
        "last_failure": max(failures, key=lambda failure: failure["time"], default=None),
    }


def _failures(rows: Iterable[State]) -> list[State]:
    """Join failures of one kind, the latest first."""
    by_kind: dict[tuple[Any, ...], State] = {}
    for row in rows:
        kind = tuple(row[name] for name in _FAILURE_KEY)
        known = by_kind.get(kind)
        if known is not None:
            row |= {
                "count": known["count"] + row["count"],
                "first_time": min(known["first_time"], row["first_time"]),
                "last_time": max(known["last_time"], row["last_time"]),
            }
        by_kind[kind] = row
    latest = sorted(by_kind.values(), key=lambda row: -row["last_time"])
    return latest[:_MAX_FAILURES]
