"""Each answered item, told to a listener that may come and go."""

from typing import NamedTuple, Protocol

from ..delivery.job import Job


class AnsweredItem(NamedTuple):
    """An item of a batch, and its outcome."""

    session_id: str
    """The stream of the item; "" for a unary call."""
    batch_id: int
    position: int
    destination_ref: str
    """The caller's name of the destination, cut and escaped."""
    event_type: str
    outcome: str
    """As in EventLabels."""
    code: str
    """The error code, or the filter reason; "" if there is none."""
    status: int
    http_status: int
    """The status of Customer.io's last response; 0 if there was none."""
    job: Job | None
    """The delivery of the item; None if nothing was to be delivered."""


class ItemTap(Protocol):
    """A listener to answered items."""

    listening: bool
    """False while nobody listens. Nothing is reported then, so that an item costs one look at this attribute."""

    def item_answered(self, item: AnsweredItem) -> None:
        """Note an answered item. Called in the event loop; MUST NOT raise or block."""


class NoItemTap:
    """A listener that never listens."""

    listening = False

    def item_answered(self, item: AnsweredItem) -> None:
        """Ignore the item."""


class StreamTap(NamedTuple):
    """The listener to the items of one stream, or of one unary call."""

    tap: ItemTap
    session_id: str = ""
