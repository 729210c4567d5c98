"""The command `ciosidecar tap`."""

import asyncio
import json
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ..settings import DEFAULT_ADMIN_LISTEN
from .admin_client import AdminAddress, admin_client
from .outcome import Failed, run, say
from .output import Lines

_LOST = b'{"lost":'


def tap(
    *,
    admin: AdminAddress = DEFAULT_ADMIN_LISTEN,
    destination: str | None = None,
    outcome: str | None = None,
    limit: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    bodies: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Print results of a running sidecar as they happen, one line of JSON each, until Ctrl-C.

    A line has time, destination_ref, session_id, batch_id, position, event_type, outcome, code, status,
    http_status, attempts and duration_s. If this command reads too slowly, lines are lost, and a line
    {"lost": N} says how many. The sidecar is never held up.

    Args:
        admin: Address of the sidecar's admin port: the "admin" of its ready line.
        destination: Only results of the destination with this destination_ref; none stands for callers that set none.
        outcome: Only results with these outcomes, separated by commas: transformed, delivered, filtered, rejected,
            partly_refused, retryable; failed stands for the last three.
        limit: End after so many lines.
        bodies: Add the request that was sent, without headers. It is personal data: the sidecar refuses unless it
            was started with --tap-bodies.
    """
    wanted = {
        "destination": destination,
        "outcome": outcome,
        "limit": None if limit is None else str(limit),
        "bodies": "1" if bodies else None,
    }
    run(_tap(admin, {name: value for name, value in wanted.items() if value is not None}, limit))


async def _tap(admin: str, parameters: dict[str, str], limit: int | None) -> None:
    lines = Lines()
    results = 0
    try:
        async with admin_client(admin) as client:
            async for line in client.lines("/api/tap", parameters):
                lines.write(_safe(line))
                results += not line.startswith(_LOST)
        if results != limit:
            say("the sidecar has ended, and the tap with it")
    except asyncio.CancelledError:
        return  # Ctrl-C is the usual end


def _safe(line: bytes) -> bytes:
    """Return a line that cannot drive a terminal, whatever answered."""
    try:
        return (
            json.dumps(json.loads(line), separators=(",", ":")).replace("\x7f", "\\u007f").encode()
            + b"\n"
        )
    except ValueError:
        raise Failed("the admin port answers something that is no JSON") from None
