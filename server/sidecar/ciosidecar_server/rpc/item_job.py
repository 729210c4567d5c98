"""The job of an item of a batch, with what its batch needs to answer the item."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ciosidecar_transform import Outcome
from msgspec import Struct

from ..delivery.dispatcher import workspace_key
from ..delivery.job import Job
from ..delivery.outcomes import DeliveryOutcome
from .counting import DestinationLabel

if TYPE_CHECKING:
    from ciosidecar_transform.requests import RequestTemplate

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


def by_workspace(jobs: Sequence[ItemJob]) -> Mapping[tuple[str, str], Sequence[ItemJob]]:
    """Return the jobs of each workspace, in their order, by the key of the workspace."""
    found: dict[tuple[str, str], list[ItemJob]] = {}
    of_template: dict[RequestTemplate, list[ItemJob]] = {}
    last: RequestTemplate | None = None
    for job in jobs:
        template = job.request.template
        if template is not last:
            last = template
            those = of_template.get(template)
            if those is None:
                those = of_template[template] = found.setdefault(workspace_key(template), [])
            add = those.append
        add(job)
    return found


def size_of(jobs: Sequence[ItemJob]) -> int:
    """Return the outstanding bytes that jobs count for."""
    size = 0
    for job in jobs:
        size += job.size
    return size
