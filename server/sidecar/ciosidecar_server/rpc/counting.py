"""Counts of answered events, by what they have in common. An event costs one append; the rest is done for each batch."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import msgspec
from ciosidecar_transform import AnyDestination, Outcome

from .observer import EventLabels, RpcObserver, WarningLabels

MAX_REF_CHARACTERS = 128
PREPARED = "prepared"
_UNKNOWN_TYPE = "unknown"
_FILTERED = 298
_PARTLY_REFUSED = 207


class DestinationLabel(msgspec.Struct, frozen=True, eq=False):
    """The name of a declared destination in logs and metrics. Compared by identity."""

    destination_ref: str
    """The caller's name, cut and escaped; "" if the caller gives none."""
    api_version: str
    """v1, v2 or template; "" if the destination cannot be used."""


UNKNOWN_DESTINATION = DestinationLabel("", "")


def destination_label(destination_ref: str, destination: AnyDestination | None) -> DestinationLabel:
    """Return the label of a declared destination; None: a destination that cannot be used."""
    version = "" if destination is None else destination.api_version
    return DestinationLabel(printable(destination_ref, MAX_REF_CHARACTERS), version)


def printable(text: str, max_characters: int) -> str:
    """Return a caller's text, cut and escaped: it must not forge a line of the log."""
    return ascii(text[:max_characters])[1:-1]


class EventCounts:
    """The outcomes of the items of one batch that were not reported yet."""

    def __init__(self, observer: RpcObserver, *, delivery: bool) -> None:
        """Begin without outcomes. delivery: whether status 200 means delivered."""
        self._observer = observer
        self._accepted = "delivered" if delivery else "transformed"
        self.outcomes: defaultdict[DestinationLabel, list[Outcome]] = defaultdict(list)
        """The outcomes by destination. Whoever answers an item appends its outcome."""

    def report(self) -> None:
        """Report the outcomes since the last report."""
        if not self.outcomes:
            return
        events: Counter[EventLabels] = Counter()
        warnings: Counter[WarningLabels] = Counter()
        for label, outcomes in self.outcomes.items():
            # Events without warnings share the outcome object of their type.
            for outcome, number in _by_identity(outcomes):
                events[self._labels(label, outcome)] += number
                for warning in outcome.warnings:
                    warnings[WarningLabels(label.destination_ref, warning.code)] += 1
        self.outcomes.clear()
        self._observer.events_answered(events, warnings)

    def _labels(self, label: DestinationLabel, outcome: Outcome) -> EventLabels:
        return EventLabels(
            label.destination_ref,
            outcome.event_type or _UNKNOWN_TYPE,
            label.api_version,
            self._kind(outcome),
            _code(outcome),
        )

    def _kind(self, outcome: Outcome) -> str:
        if outcome.status == _FILTERED:
            return "filtered"
        if outcome.status == _PARTLY_REFUSED:
            return "partly_refused"
        if outcome.error is None:
            return self._accepted
        return "retryable" if outcome.error.retryable else "rejected"


def _by_identity(outcomes: list[Outcome]) -> Iterable[tuple[Outcome, int]]:
    objects = {id(outcome): outcome for outcome in outcomes}
    return ((objects[key], number) for key, number in Counter(map(id, outcomes)).items())


def _code(outcome: Outcome) -> str:
    if outcome.error is not None:
        return str(outcome.error.code)
    return "" if outcome.filtered is None else str(outcome.filtered)
