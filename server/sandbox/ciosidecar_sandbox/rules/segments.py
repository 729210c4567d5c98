"""The calls that add people to manual segments and remove them."""

from typing import Any

from ..identifiers import Identifier
from ..outcome import Effect, applied, dropped, partly
from ..workspace import Workspace


def change_segment(
    workspace: Workspace, segment_id: int, kind: str, ids: list[Any], *, removes: bool
) -> Effect:
    """Add people to a segment or remove them. Ids without a person are ignored.

    Args:
        workspace: The workspace to change.
        segment_id: The segment.
        kind: The kind of the ids: id, email or cio_id.
        ids: Identifiers of people, as sent.
        removes: Remove the people instead of adding them.
    """
    members = workspace.segments.get(segment_id)
    if members is None:
        if removes:
            return dropped(f"segment {segment_id} has no people")
        members = workspace.segments[segment_id] = {}
        if len(workspace.segments) > workspace.keep:
            _forget_oldest(workspace)
    unknown, unchanged = 0, 0
    for value in ids:
        person = workspace.people.find(Identifier(kind, value)) if type(value) is str else None
        if person is None:
            unknown += 1
        elif removes:
            unchanged += person.cio_id not in members
            members.pop(person.cio_id, None)
            person.segments.pop(segment_id, None)
        else:
            unchanged += person.cio_id in members
            members[person.cio_id] = person.segments[segment_id] = None
    remark = f"values that are no person's {kind}: {unknown} of {len(ids)}"
    if unknown == len(ids):
        return dropped(remark)
    if unknown:
        return partly("", [remark])
    if unchanged == len(ids):
        return dropped(
            "none of them was in the segment" if removes else "all were in the segment before"
        )
    return applied()


def _forget_oldest(workspace: Workspace) -> None:
    segment_id, members = workspace.segments.popitem(last=False)
    for cio_id in members:
        person = workspace.people.by_cio_id.get(cio_id)
        if person is not None:
            person.segments.pop(segment_id, None)
