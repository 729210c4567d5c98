"""What happened lately: throughput, outcomes by destination, and failures. Without identifiers or bodies."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..delivery.observer import Attempt, WorkspaceLabel
from ..rpc.observer import EventLabels, WarningLabels
from .destination_names import DestinationNames
from .metrics import ENDPOINT_PATHS
from .observer import Observer
from .throughput import Throughput

FAILED = ("rejected", "partly_refused", "retryable")
"""The outcomes of events that failed."""
_MAX_FAILURES = 50


class FailureKind(NamedTuple):
    """What failures have in common that are shown together."""

    destination_ref: str
    code: str
    """The error code of events; "" for a request to Customer.io."""
    endpoint_path: str
    """Of a request to Customer.io; "" for events."""
    http_status: int
    """Of a request to Customer.io; 0 if there was no response."""
    text: str
    """The failure of a request, in the sidecar's words."""


@dataclass(slots=True)
class Failures:
    """How often a failure happened, and when last."""

    first_at: float
    last_at: float
    count: int = 0


@dataclass(slots=True)
class DestinationActivity:
    """The events of one destination."""

    throughput: Throughput
    outcomes: Counter[str] = field(default_factory=Counter)


class Activity(Observer):
    """A listener that keeps what the page and `ciosidecar top` show."""

    def __init__(
        self, names: DestinationNames, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin without events.

        Args:
            names: the labels of the destinations.
            clock: returns seconds that never go back.
        """
        self._clock = clock
        self._names = names
        self.throughput = Throughput(clock)
        self.destinations: dict[str, DestinationActivity] = {}
        """By the label of the destination."""
        self.failures: OrderedDict[FailureKind, Failures] = OrderedDict()
        """The last fifty kinds of failures, the latest last."""

    def events_answered(
        self, events: Mapping[EventLabels, int], warnings: Mapping[WarningLabels, int]
    ) -> None:
        """Count events."""
        del warnings
        # By destination and outcome: the events of a batch differ in their types mostly.
        numbers: dict[tuple[str, str], int] = {}
        for (destination_ref, _, _, outcome, code), number in events.items():
            key = destination_ref, outcome
            numbers[key] = numbers.get(key, 0) + number
            if outcome in FAILED:
                name = self._names.label(destination_ref)
                self._failed(FailureKind(name, code, "", 0, ""), number)
        for (destination_ref, outcome), number in numbers.items():
            self._count(self._names.label(destination_ref), outcome, number)

    def _count(self, name: str, outcome: str, number: int) -> None:
        destination = self.destinations.get(name)
        if destination is None:
            destination = self.destinations[name] = DestinationActivity(Throughput(self._clock))
        destination.outcomes[outcome] += number
        failed = number if outcome in FAILED else 0
        for throughput in (self.throughput, destination.throughput):
            throughput.add(number - failed, failed)

    def attempt_ended(self, workspace: WorkspaceLabel, attempt: Attempt) -> None:
        """Keep a request that failed."""
        if attempt.failure:
            name = self._names.label(workspace.destination_ref)
            # A prepared request may have any path, with identifiers in it.
            path = attempt.endpoint_path if attempt.endpoint_path in ENDPOINT_PATHS else "other"
            self._failed(FailureKind(name, "", path, attempt.http_status, attempt.failure), 1)

    def _failed(self, kind: FailureKind, number: int) -> None:
        now = time.time()
        failures = self.failures.setdefault(kind, Failures(now, now))
        failures.count += number
        failures.last_at = now
        self.failures.move_to_end(kind)
        if len(self.failures) > _MAX_FAILURES:
            self.failures.popitem(last=False)
