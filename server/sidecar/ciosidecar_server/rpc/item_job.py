"""The job of an item of a batch, with what its batch needs to answer the item."""

from typing import TYPE_CHECKING

from ciosidecar_transform import Outcome
from msgspec import Struct

from ..delivery.job import Job
from ..delivery.outcomes import DeliveryOutcome
from .counting import DestinationLabel

if TYPE_CHECKING:
    from .flow_control import Outstanding


class ItemJob(Job, eq=False, kw_only=True):
    """A job, and the answer to its item once the job is settled."""

    label: DestinationLabel
    """The name of its destination in logs and metrics."""
    outcome: Outcome
    """The outcome of the transform; once the job is settled, that of the item."""
    tag: bytes = b""
    """The caller's tag of the item."""
    again: bool = False
    """Whether the caller says that it has sent the item before."""
    delivery: DeliveryOutcome | None = None
    """The outcome of the delivery, once the job is settled."""
    outstanding: "Outstanding | None" = None
    """Where the job is counted among the outstanding jobs of its stream."""


class UnsentItem(Struct, gc=False):
    """An item that became no job, and its answer."""

    position: int
    tag: bytes
    outcome: Outcome
