"""The thread that sends the events of a partition, while another one takes the answers."""

import threading
from contextlib import suppress
from typing import Any

from ciosidecar import Destination, SidecarError, SourceConnection, Stream
from ciosidecar_transform import Outcome

from .delivery_answers import DeliveryAnswers
from .delivery_items import DeliveryItem, DeliveryItems
from .delivery_window import DeliveryWindow

_MAX_KNOWN_DESTINATIONS = 1000


class Destinations:
    """The destinations of a partition, one for each config. A stream declares each of them once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Destination] = {}

    def of(self, config: bytes) -> Destination:
        """Return the destination with a config."""
        destination = self._known.get(config)
        if destination is None:
            if len(self._known) >= _MAX_KNOWN_DESTINATIONS:
                self._known.clear()
            destination = self._known[config] = Destination(config)
        return destination


class Feeding(threading.Thread):
    """Sends the events of one round. Sending waits while too many events are outstanding."""

    def __init__(
        self,
        stream: Stream,
        items: DeliveryItems,
        answers: DeliveryAnswers,
        window: DeliveryWindow,
        destinations: Destinations,
    ) -> None:
        """Create the thread, which is not started.

        Args:
            stream: The stream of the round. The thread finishes it.
            items: The events that were not sent yet.
            answers: Names the events that must be sent again, and receives the rows that cannot be read.
            window: The bound of outstanding events, which also ends the round.
            destinations: The destinations of the partition.
        """
        super().__init__(name="ciosidecar-backfill", daemon=True)
        self._stream = stream
        self._items = items
        self._answers = answers
        self._window = window
        self._destinations = destinations
        self._retries = answers.to_resend()
        self.is_done = False
        """True if the stream is finished: nothing more is sent."""
        self.fault: BaseException | None = None
        """The reason why the thread ended early."""

    def run(self) -> None:
        """Send all that must be sent again, and then newer events until the window stops."""
        try:
            if all(self._send(item) for item in self._retries):
                self._send_new()
        except BaseException as fault:  # noqa: BLE001 - raised by the thread that takes the answers
            self.fault = fault
        finally:
            # Also after a fault, so that the answers end.
            with suppress(SidecarError):
                self._stream.finish()
            self.is_done = True

    def _send_new(self) -> None:
        items = self._items
        while not self._window.is_stopped and (item := items.next_item()) is not None:
            if not self._send(item):
                items.hold(item)
                return

    def _send(self, item: DeliveryItem) -> bool:
        """Send an event, or put a row that cannot be read aside. Return False if no more shall be sent."""
        line = item.line
        if isinstance(line, Outcome):
            self._answers.set_aside(item)
            return True
        if not self._window.enter():
            return False
        fields: dict[str, Any] = {"attempt": item.resends} if item.resends else {}
        self._stream.send(
            line.event,
            item,
            destination=self._destinations.of(line.config),
            connection=SourceConnection(line.connection) if line.connection else None,
            **fields,
        )
        return True
