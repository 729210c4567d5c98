"""Manual segments: people put in and taken out by identifier."""

from typing import Any

from ..identifiers import Identifier
from ..outcome import Effect, applied, dropped, partly
from ..workspace import Workspace


def change_segment(
    workspace: Workspace, segment_id: int, kind: str, ids: list[Any], *, removes: bool
) -> Effect:
    """Puts people into a segment or takes them out; ids that match nobody are ignored.

    kind: what the ids are: id, email or cio_id.
    """
    members = workspace.segments.get(segment_id)
    if members is None:
        if removes:
            return dropped(f"nobody is in segment {segment_id}")
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
    if unknown == len(ids):
        return dropped(f"none of the {len(ids)} values is a person's {kind}")
    if unknown:
        return partly("", [f"{unknown} of {len(ids)} values are no person's {kind}"])
    if unchanged == len(ids):
        return dropped("they were not in it" if removes else "they were in it before")
    return applied()


def _forget_oldest(workspace: Workspace) -> None:
    segment_id, members = workspace.segments.popitem(last=False)
    for cio_id in members:
        person = workspace.people.by_cio_id.get(cio_id)
        if person is not None:
            person.segments.pop(segment_id, None)
