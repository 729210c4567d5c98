"""The addresses of the page, and what answers at each."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from ..faults import Faults
from ..people import Person
from ..workspace import Workspace
from . import views
from .live import MAX_VIEWERS, LiveLog, cursor
from .query import (
    address,
    after_these,
    next_page,
    number,
    page_before,
    path_number,
    wanted_rows,
)
from .rendering import page

_STATIC = Path(__file__).parent / "static"


def page_routes(
    workspace: Workspace, faults: Faults, stopping: asyncio.Event
) -> Sequence[BaseRoute]:
    """Routes of Starlette, to be mounted at /.

    stopping: set when the server stops; open streams end by it.
    """
    site = _Site(workspace, faults, stopping)
    return [
        Route("/", site.log),
        Route("/requests/{number}", site.request),
        Route("/people", site.people),
        Route("/people/{cio_id}", site.person),
        Route("/objects", site.objects),
        Route("/objects/{cio_object_id}", site.object),
        Route("/events", site.events),
        Route("/events/{number}", site.event),
        Route("/live", site.live),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]


class _Site:
    """The pages, over one workspace and its faults."""

    def __init__(self, workspace: Workspace, faults: Faults, stopping: asyncio.Event) -> None:
        self._workspace, self._faults, self._stopping = workspace, faults, stopping
        self._viewers = 0

    def _page(self, template: str, here: str, status: int = 200, **more: Any) -> Response:
        frame = views.frame(self._workspace, self._faults)
        return page(template, {"here": here, "q": "", **frame, **more}, status)

    def _missing(self, here: str, what: str, why: str, **more: Any) -> Response:
        return self._page("missing.html", here, 404, what=what, why=why, **more)

    async def log(self, request: Request) -> Response:
        """The request log; with ?id=, ?email=, … the person instead."""
        named = views.named_person(self._workspace, request.query_params.get)
        if named is not None:
            return self._to_person(named)
        wanted, before = wanted_rows(request), number(request, "before")
        found = views.log_page(self._workspace, wanted, before)
        person = self._workspace.people.by_cio_id.get(wanted.person)
        live = {**wanted._asdict(), "after": cursor(self._workspace.log)}
        return self._page(
            "log.html",
            "requests",
            found=found,
            wanted=wanted,
            before=before,
            person=person,
            title_of=views.person_title,
            origin=f"{request.url.scheme}://{request.url.netloc}",
            live=address("/live", live) if before is None else "",
            older=after_these("/", found, wanted._asdict()),
        )

    async def live(self, request: Request) -> Response:
        """Rows of the log as they come."""
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if self._viewers >= MAX_VIEWERS:
            return PlainTextResponse("too many pages are watching; close one", 503)
        query = request.query_params
        return LiveLog(
            self._workspace.log,
            wanted_rows(request),
            after=request.headers.get("last-event-id", query.get("after", "")),
            frame=lambda: views.frame(self._workspace, self._faults),
            stopping=self._stopping,
            watched=self._watched,
        )

    def _watched(self, change: int) -> None:
        self._viewers += change

    async def request(self, request: Request) -> Response:
        """One row of the log."""
        row = views.log_row(self._workspace, path_number(request))
        if row is None:
            return self._missing(
                "requests",
                "There is no such request.",
                "The sandbox keeps the latest ones only, and forgets all of them when it is reset"
                " or ends.",
            )
        return self._page(
            "request.html",
            "requests",
            row=row,
            person=self._workspace.people.by_cio_id.get(row.person),
            title_of=views.person_title,
            siblings=views.same_request(self._workspace, row),
            is_excerpt=views.is_excerpt(row),
            newest=self._workspace.log.written,
        )

    async def people(self, request: Request) -> Response:
        """The list of people; with ?id=, ?email=, … the person instead."""
        named = views.named_person(self._workspace, request.query_params.get)
        if named is not None:
            return self._to_person(named)
        q = request.query_params.get("q", "").strip()
        offset = number(request, "offset") or 0
        found = views.take(self._workspace.people.search(q), offset)
        return self._page(
            "people.html",
            "people",
            found=found,
            q=q,
            title_of=views.person_title,
            newer=page_before("/people", offset, {"q": q}),
            older=next_page("/people", offset, found, {"q": q}),
        )

    def _to_person(self, named: Person | str) -> Response:
        if isinstance(named, Person):
            return RedirectResponse(f"/people/{named.cio_id}")
        return self._nobody(f"Nobody has the {named}.", "")

    def _nobody(self, what: str, cio_id: str) -> Response:
        return self._missing(
            "people",
            what,
            "They may have been deleted, suppressed or merged into someone else, or never have been"
            " identified.",
            log_of=cio_id,
        )

    async def person(self, request: Request) -> Response:
        """One person, with a screenful of the timeline."""
        cio_id = request.path_params["cio_id"].removeprefix("cio_")
        person = self._workspace.people.by_cio_id.get(cio_id)
        if person is None:
            return self._nobody("There is no such person.", cio_id)
        before = number(request, "before")
        found = views.event_page(person.timeline or (), "", before)
        return self._page(
            "person.html",
            "people",
            person=person,
            title=views.person_title(person),
            relationships=list(views.related_objects(self._workspace, person)),
            found=found,
            before=before,
            older=after_these(f"/people/{person.cio_id}", found, {}, "#timeline"),
        )

    async def objects(self, request: Request) -> Response:
        """The list of objects; with ?type= and ?id= the object instead."""
        query = request.query_params
        object_type_id, offset = query.get("type", ""), number(request, "offset") or 0
        if "id" in query:
            one = self._workspace.objects.find(object_type_id, query["id"])
            if one is None:
                return self._no_object()
            return RedirectResponse(f"/objects/{one.cio_object_id}")
        found = views.take(views.objects(self._workspace, object_type_id), offset)
        return self._page(
            "objects.html",
            "objects",
            found=found,
            object_type_id=object_type_id,
            newer=page_before("/objects", offset, {"type": object_type_id}),
            older=next_page("/objects", offset, found, {"type": object_type_id}),
        )

    def _no_object(self) -> Response:
        why = "It may have been deleted, or never have been identified."
        return self._missing("objects", "There is no such object.", why)

    async def object(self, request: Request) -> Response:
        """One object, with a screenful of its people."""
        objects = self._workspace.objects.by_cio_object_id
        one = objects.get(request.path_params["cio_object_id"])
        if one is None:
            return self._no_object()
        offset = number(request, "offset") or 0
        found = views.take(views.related_people(self._workspace, one), offset)
        here = f"/objects/{one.cio_object_id}"
        return self._page(
            "object.html",
            "objects",
            object=one,
            found=found,
            title_of=views.person_title,
            newer=page_before(here, offset, {}),
            older=next_page(here, offset, found, {}),
        )

    async def events(self, request: Request) -> Response:
        """The latest events."""
        name, before = request.query_params.get("name", "").strip(), number(request, "before")
        found = views.event_page(self._workspace.events.kept, name, before)
        return self._page(
            "events.html",
            "events",
            found=found,
            name=name,
            names=views.event_names(self._workspace),
            before=before,
            people=self._workspace.people.by_cio_id,
            title_of=views.person_title,
            older=after_these("/events", found, {"name": name}),
        )

    async def event(self, request: Request) -> Response:
        """One event with all of its data."""
        one = views.event(self._workspace, path_number(request))
        if one is None:
            why = "The sandbox keeps the latest ones only, and those it accepted."
            return self._missing("events", "There is no such event.", why)
        person = self._workspace.people.by_cio_id.get(one.person or "")
        return self._page(
            "event.html", "events", event=one, person=person, title_of=views.person_title
        )
