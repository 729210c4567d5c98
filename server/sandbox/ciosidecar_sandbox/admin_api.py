"""The admin API under /sandbox/: the state of the sandbox as JSON, reset and faults."""

from itertools import islice
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .faults import BadFaults, Faults
from .http import MAX_BODY_BYTES_KEPT, read_json
from .identifiers import Identifier
from .outcome import Outcome, Refusal
from .people import Person
from .representations import (
    event_details,
    object_details,
    object_summary,
    person_details,
    person_summary,
)
from .sent_json import encode
from .workspace import Workspace

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000


class AdminApi:
    """Handlers of the admin API for one workspace and its faults."""

    def __init__(self, workspace: Workspace, faults: Faults) -> None:
        self._workspace = workspace
        self._faults = faults

    def routes(self) -> list[Route]:
        """Return the routes for a Starlette application."""
        return [
            Route("/sandbox/", self.index),
            Route("/sandbox/people", self.people),
            Route("/sandbox/person", self.person),
            Route("/sandbox/events", self.events),
            Route("/sandbox/objects", self.objects),
            Route("/sandbox/object", self.object),
            Route("/sandbox/requests", self.requests),
            Route("/sandbox/arrivals", self.arrivals),
            Route("/sandbox/counters", self.counters),
            Route("/sandbox/reset", self.reset, methods=["POST"]),
            Route("/sandbox/faults", self.faults, methods=["GET", "PUT"]),
        ]

    async def index(self, _request: Request) -> Response:
        """Answer with the paths of the admin API."""
        return _json({"paths": sorted({route.path for route in self.routes()})})

    async def people(self, request: Request) -> Response:
        """Answer with people, newest first; ?q= searches, ?offset= and ?limit= page."""
        offset, limit = _number(request, "offset", 0), _limit(request)
        matches = self._workspace.people.search(request.query_params.get("q", ""))
        page = list(islice(matches, offset, offset + limit + 1))
        return _json(
            {
                "people": [person_summary(person) for person in page[:limit]],
                "total": len(self._workspace.people),
                "next_offset": offset + limit if len(page) > limit else None,
            }
        )

    async def person(self, request: Request) -> Response:
        """Answer with one person, by ?id=, ?email=, ?phone= or ?cio_id=, and the latest events."""
        person = find_person(self._workspace, dict(request.query_params))
        if person is None:
            raise HTTPException(404, "there is no such person")
        return _json(person_details(self._workspace, person, _limit(request)))

    async def events(self, request: Request) -> Response:
        """Answer with events, newest first.

        The parameters name, person (a cio_id), anonymous_id and id filter; before and limit page.
        """
        query = request.query_params
        before = _number(request, "before", 0)
        source = self._workspace.events.kept
        if "person" in query:
            owner = self._workspace.people.by_cio_id.get(query["person"])
            source = (owner.timeline if owner else None) or type(source)()
        matches = (
            event
            for event in reversed(source)
            if (not before or event.number < before)
            and ("name" not in query or event.name == query["name"])
            and ("id" not in query or event.id == query["id"])
            and ("anonymous_id" not in query or event.anonymous_id == query["anonymous_id"])
        )
        limit = _limit(request)
        page = list(islice(matches, limit + 1))
        return _json(
            {
                "events": [event_details(event) for event in page[:limit]],
                "next_before": page[limit - 1].number if len(page) > limit else None,
            }
        )

    async def objects(self, request: Request) -> Response:
        """Answer with objects, newest first; ?type= filters, ?offset= and ?limit= page."""
        offset, limit = _number(request, "offset", 0), _limit(request)
        type_id = request.query_params.get("type")
        matches = (
            object_
            for object_ in reversed(self._workspace.objects.by_cio_object_id.values())
            if type_id is None or object_.object_type_id == type_id
        )
        page = list(islice(matches, offset, offset + limit + 1))
        return _json(
            {
                "objects": [object_summary(object_) for object_ in page[:limit]],
                "total": len(self._workspace.objects),
                "next_offset": offset + limit if len(page) > limit else None,
            }
        )

    async def object(self, request: Request) -> Response:
        """Answer with one object, by ?type= and ?id= or by ?cio_object_id=, and its people."""
        query = request.query_params
        objects = self._workspace.objects
        object_ = objects.find(query.get("type", ""), query.get("id", ""))
        if "cio_object_id" in query:
            object_ = objects.by_cio_object_id.get(query["cio_object_id"])
        if object_ is None:
            raise HTTPException(404, "there is no such object")
        return _json(object_details(self._workspace, object_, _limit(request)))

    async def requests(self, request: Request) -> Response:
        """Answer with rows of the log, newest first.

        The parameters outcome, call and person (a cio_id) filter; before and limit page.
        """
        query = request.query_params
        outcome = query.get("outcome")
        if outcome is not None and outcome not in list(Outcome):
            raise HTTPException(400, f"outcome must be one of {', '.join(Outcome)}")
        before = _number(request, "before", 0)
        matches = (
            row
            for row in self._workspace.log.newest_first(before or None)
            if (outcome is None or row.outcome == outcome)
            and ("call" not in query or row.call == query["call"])
            and ("person" not in query or row.person == query["person"])
        )
        limit = _limit(request)
        page = list(islice(matches, limit + 1))
        return _json(
            {
                "requests": page[:limit],
                "next_before": page[limit - 1].number if len(page) > limit else None,
            }
        )

    async def arrivals(self, request: Request) -> Response:
        """Answer with arrivals in the order of their answers; ?after= and ?limit= page.

        `open` is the number of requests that have no answer yet. `forgotten` is the number of
        arrivals that are kept no more, and `bytes` the memory that the others take.
        """
        store = self._workspace.arrivals
        if store is None:
            raise HTTPException(404, "start the sandbox with --arrivals to keep every arrival")
        after, limit = _number(request, "after", 0), _limit(request)
        forgotten = store.total - len(store.answered)
        page = list(islice(store.after(after), limit))
        return _json(
            {
                "arrivals": page,
                "next_after": max(after, forgotten) + len(page),
                "total": store.total,
                "open": store.open,
                "forgotten": forgotten,
                "bytes": store.bytes,
            }
        )

    async def counters(self, _request: Request) -> Response:
        """Answer with the number of everything in the workspace."""
        return _json(self._workspace.counters())

    async def reset(self, _request: Request) -> Response:
        """Remove everything, and restart the faults with their seed."""
        self._workspace.reset()
        self._faults.begin_anew()
        return _json({})

    async def faults(self, request: Request) -> Response:
        """Answer with the faults in force; PUT {"spec", "seed", "retry_after_s"} replaces them."""
        if request.method == "PUT":
            settings: dict[str, Any] = {"spec": "", "seed": 0, "retry_after_s": None}
            settings |= await _object(request)
            spec, seed, retry_after_s = (
                settings["spec"],
                settings["seed"],
                settings["retry_after_s"],
            )
            if len(settings) > 3 or type(spec) is not str or type(seed) is not int:
                raise HTTPException(
                    400, "faults are {spec: text, seed: whole number, retry_after_s: seconds}"
                )
            is_number = isinstance(retry_after_s, int | float) and type(retry_after_s) is not bool
            if retry_after_s is not None and not is_number:
                raise HTTPException(400, "retry_after_s must be a number of seconds, or null")
            try:
                self._faults.change(spec, seed, retry_after_s)
            except BadFaults as problem:
                raise HTTPException(400, str(problem)) from None
        return _json(self._faults.described())


def find_person(workspace: Workspace, query: dict[str, str]) -> Person | None:
    """Return the person that a query names; None if there is none.

    Args:
        workspace: The workspace to search.
        query: The first of its members id, email, phone and cio_id counts; a cio_id may start with
            cio_. The member "any" is compared with identifiers of each kind.
    """
    for kind in ("id", "email", "phone"):
        if kind in query:
            return workspace.people.find(Identifier(kind, query[kind]))
    if "cio_id" in query:
        return workspace.people.by_cio_id.get(query["cio_id"].removeprefix("cio_"))
    return workspace.people.find_any(query.get("any", ""))


async def _object(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES_KEPT:
            raise HTTPException(413, "the body is too long")
    try:
        value = read_json(bytes(body))
    except Refusal as refusal:
        raise HTTPException(400, refusal.message) from None
    if type(value) is not dict:
        raise HTTPException(400, "the body must be a JSON object")
    return value


def _json(value: Any) -> Response:
    return Response(encode(value), media_type="application/json")


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise HTTPException(400, f"{name} must be a whole number from 0")
    return int(text)


def _limit(request: Request) -> int:
    limit = _number(request, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise HTTPException(400, f"limit must be from 1 to {MAX_LIMIT}")
    return limit
