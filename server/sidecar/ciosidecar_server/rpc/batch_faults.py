"""Faults of the sidecar while it writes the results of a batch: each costs at most that batch's items their outcome."""

from typing import TYPE_CHECKING

from ciosidecar_transform.pipeline import internal_error

from .observer import RpcObserver
from .results_message import NewResults, ResultsWriters

if TYPE_CHECKING:
    from ciosidecar_transform import Outcome


class BatchFaults:
    """The faults of one batch, and how its other results are written after each.

    After the first fault, the plain writer writes the same results. After the second, it writes INTERNAL for each item.
    """

    def __init__(self, writers: ResultsWriters, observer: RpcObserver) -> None:
        self._writers = writers
        self._observer = observer
        self.new_results: NewResults = writers.chosen
        """Makes the messages of the results that are not written."""
        self.outcome: Outcome | None = None
        """The outcome of each item that is not answered; None: its own."""

    def note(self, fault: Exception) -> None:
        """Report a fault. Raise it after the second: nothing simpler is left to do."""
        self._observer.internal_fault(fault)
        if self.outcome is not None:
            raise fault
        if self.new_results is self._writers.plain:
            self.outcome = internal_error(fault, [])
        self.new_results = self._writers.plain
