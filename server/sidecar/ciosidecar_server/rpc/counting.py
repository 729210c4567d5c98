"""Counts of answered events, by what they have in common. An event costs one append; the rest is done for each batch."""

from collections import defaultdict
from collections.abc import Iterable
from hashlib import sha256

from ciosidecar_transform import AnyDestination, Outcome
from ciosidecar_transform.pipeline import WITHOUT_WARNINGS

from ..delivery.job import Job
from .observer import EventLabels, RpcObserver, WarningLabels
from .tap import AnsweredItem, StreamTap

_MAX_REF_CHARACTERS = 128
PREPARED = "prepared"
_UNKNOWN_TYPE = "unknown"
_FILTERED = 298
_PARTLY_REFUSED = 207
_MAX_REPORTED = 1_000
"""The outcomes that are reported at once: if all of them differ, that takes 3 ms."""


class DestinationLabel:
    """The name of a declared destination in logs and metrics. Compared by identity."""

    __slots__ = ("api_version", "destination_ref", "labels_of_shared")

    def __init__(self, destination_ref: str, api_version: str) -> None:
        """Name a destination.

        Args:
            destination_ref: the caller's name, cut and escaped; "" if the caller gives none.
            api_version: v1, v2 or template; "" if the destination cannot be used.
        """
        self.destination_ref = destination_ref
        self.api_version = api_version
        self.labels_of_shared: dict[tuple[str, str], EventLabels] = {}
        """The labels of events without warnings, by kind of outcome and type. They are the same in every batch."""


UNKNOWN_DESTINATION = DestinationLabel("", "")
_SHARED = {id(outcome): outcome for outcome in WITHOUT_WARNINGS.values()}
"""The outcomes that many events share, by their identities."""


def destination_label(destination_ref: str, destination: AnyDestination | None) -> DestinationLabel:
    """Return the label of a declared destination; None: a destination that cannot be used."""
    version = "" if destination is None else destination.api_version
    return DestinationLabel(shown_ref(destination_ref), version)


def shown_ref(destination_ref: str) -> str:
    """Return a destination_ref, cut and escaped. Two that begin alike stay two: a cut one ends in a digest."""
    shown = printable(destination_ref, _MAX_REF_CHARACTERS)
    if len(destination_ref) <= _MAX_REF_CHARACTERS:
        return shown
    return f"{shown}~{sha256(destination_ref.encode(errors='replace')).hexdigest()[:8]}"


def printable(text: str, max_characters: int) -> str:
    """Return a caller's text, cut and escaped: it must not forge a line of the log."""
    return ascii(text[:max_characters])[1:-1]


class EventCounts:
    """The outcomes of the items of a batch that were not reported yet."""

    def __init__(
        self, observer: RpcObserver, stream: StreamTap, batch_id: int, *, delivery: bool
    ) -> None:
        """Begin without outcomes.

        Args:
            observer: receives the counts.
            stream: receives each item, while it listens.
            batch_id: the caller's id of the batch.
            delivery: whether status 200 means delivered.
        """
        self._observer = observer
        self._session_id = stream.session_id
        self.batch_id = batch_id
        """The batch of the next items. A batch that is over may be followed by another."""
        self.tap = stream.tap
        self._accepted = "delivered" if delivery else "transformed"
        self.outcomes: defaultdict[DestinationLabel, list[Outcome]] = defaultdict(list)
        """The outcomes by destination. Whoever answers an item appends its outcome."""

    def tell(
        self,
        position: int,
        label: DestinationLabel,
        outcome: Outcome,
        job: Job | None = None,
        http_status: int = 0,
    ) -> None:
        """Tell the tap of an item. Called only while `tap.listening`."""
        item = AnsweredItem(
            self._session_id,
            self.batch_id,
            position,
            label.destination_ref,
            outcome.event_type or _UNKNOWN_TYPE,
            self._kind(outcome),
            _code(outcome),
            outcome.status,
            http_status,
            job,
        )
        self.tap.item_answered(item)

    def report(self) -> None:
        """Report the outcomes since the last report."""
        while self.report_some():
            pass

    def report_some(self) -> bool:
        """Report some of the outcomes since the last report, within milliseconds. Return whether there are more."""
        if not self.outcomes:
            return False
        events: dict[EventLabels, int] = {}
        warnings: dict[WarningLabels, int] = {}
        room = _MAX_REPORTED
        for label in list(self.outcomes):
            outcomes = self.outcomes.pop(label)
            if len(outcomes) > room:
                self.outcomes[label] = outcomes[room:]
                del outcomes[room:]
            room -= len(outcomes)
            for outcome, number in _by_identity(outcomes):
                labels = self._labels(label, outcome)
                events[labels] = events.get(labels, 0) + number
                for warning in outcome.warnings:
                    key = WarningLabels(label.destination_ref, warning.code)
                    warnings[key] = warnings.get(key, 0) + 1
            if room == 0:
                break
        self._observer.events_answered(events, warnings)
        return bool(self.outcomes)

    def _labels(self, label: DestinationLabel, outcome: Outcome) -> EventLabels:
        if id(outcome) not in _SHARED:
            return self._new_labels(label, outcome)
        key = self._accepted, outcome.event_type
        labels = label.labels_of_shared.get(key)
        if labels is None:
            labels = label.labels_of_shared[key] = self._new_labels(label, outcome)
        return labels

    def _new_labels(self, label: DestinationLabel, outcome: Outcome) -> EventLabels:
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
    """Return each outcome object with its number. Events without warnings share the object of their type."""
    if len(outcomes) == 1:
        return ((outcomes[0], 1),)
    # No Counter, which takes as long to make as to count ten.
    numbers: dict[int, int] = {}
    for key in map(id, outcomes):
        numbers[key] = numbers.get(key, 0) + 1
    others = None
    found = []
    for key, number in numbers.items():
        outcome = _SHARED.get(key)
        if outcome is None:
            if others is None:
                others = dict(zip(map(id, outcomes), outcomes, strict=True))
            outcome = others[key]
        found.append((outcome, number))
    return found


def _code(outcome: Outcome) -> str:
    if outcome.error is not None:
        return str(outcome.error.code)
    return "" if outcome.filtered is None else str(outcome.filtered)
