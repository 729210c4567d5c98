"""The route /api/tap: its parameters, and the stream of lines."""

import asyncio
from typing import Any

from aiohttp import hdrs, web

from ..rpc.counting import shown_ref
from .activity import FAILED
from .admin_server import UNBOUNDED
from .destination_names import NO_REF, operator_name
from .tap import MAX_TAPS, OUTCOMES, TapFilter, TapHub, TooManyTaps

FAILED_TOGETHER = "failed"
"""Stands for every outcome of an event that failed."""
_WRITE_WITHIN_S = 30.0
_MAX_LIMIT = 1_000_000_000
_PARAMETERS = ("destination", "outcome", "limit", "bodies")


class WrongParameter(Exception):
    """A parameter of /api/tap that cannot be used. The text says why."""


def read_filter(query: Any) -> TapFilter:
    """Return what a reader wants. query: the parameters of the URL.

    Raises:
        WrongParameter: A parameter is unknown or cannot be used.
    """
    for name in query:
        if name not in _PARAMETERS:
            raise WrongParameter(f"unknown parameter; there are {', '.join(_PARAMETERS)}")
    limit = query.get("limit")
    if limit is not None and not (
        limit.isascii() and limit.isdecimal() and 0 < int(limit[:20]) <= _MAX_LIMIT
    ):
        raise WrongParameter("limit must be a number of lines, 1 or more")
    bodies = query.get("bodies", "0")
    if bodies not in ("0", "1"):
        raise WrongParameter("bodies must be 0 or 1")
    return TapFilter(
        _destinations(query.get("destination")),
        _outcomes(query.get("outcome", "")),
        None if limit is None else int(limit),
        bodies == "1",
    )


def _destinations(name: str | None) -> frozenset[str]:
    """Return the names in lines that a name stands for. It may be as a line shows it, or as the caller wrote it."""
    if name is None:
        return frozenset()
    if name == NO_REF:  # a caller's own "none" has another name in lines
        return frozenset((NO_REF,))
    return frozenset((name, operator_name(shown_ref(name))))


def _outcomes(text: str) -> frozenset[str]:
    names = {name.strip() for name in text.split(",")} - {""}
    if FAILED_TOGETHER in names:
        names = names - {FAILED_TOGETHER} | set(FAILED)
    if names - set(OUTCOMES):
        raise WrongParameter(f"outcome must be among {', '.join((*OUTCOMES, FAILED_TOGETHER))}")
    return frozenset(names)


class TapRoute:
    """The handler of /api/tap."""

    def __init__(self, hub: TapHub, *, bodies_allowed: bool) -> None:
        """Prepare. bodies_allowed: whether the server was started with --tap-bodies."""
        self._hub = hub
        self._bodies_allowed = bodies_allowed

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer a line for each item, until the reader goes."""
        try:
            wanted = read_filter(request.query)
        except WrongParameter as problem:
            return _error(400, str(problem))
        if wanted.bodies and not self._bodies_allowed:
            return _error(
                403,
                "bodies are personal data: this sidecar shows them only if it was started with --tap-bodies",
            )
        try:
            tap = self._hub.open(wanted)
        except TooManyTaps:
            return _error(503, f"{MAX_TAPS} taps are open already; end one of them")
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "application/x-ndjson"})
        response[UNBOUNDED] = True
        try:
            await response.prepare(request)
            async for lines in tap.chunks():
                async with asyncio.timeout(_WRITE_WITHIN_S):
                    await response.write(lines)
        except (TimeoutError, ConnectionError):
            # The reader is gone, or has taken nothing for half a minute: its place is free for another.
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._hub.close(tap)
        return response


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
