"""The routes of the web page and their handlers."""

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
    requested_filter,
)
from .rendering import page

_STATIC = Path(__file__).parent / "static"


def page_routes(
    workspace: Workspace, faults: Faults, stopping: asyncio.Event
) -> Sequence[BaseRoute]:
    """Return the routes for a Starlette application.

    Args:
        workspace: The workspace to show.
        faults: The faults to show.
        stopping: Ends open streams when it is set.
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
    """Handlers of the pages for one workspace and its faults."""

    def __init__(self, workspace: Workspace, faults: Faults, stopping: asyncio.Event) -> None:
        self._workspace, self._faults, self._stopping = workspace, faults, stopping
        self._viewers = 0

    def _page(self, template: str, here: str, status: int = 200, **more: Any) -> Response:
        frame = views.frame(self._workspace, self._faults)
        return page(template, {"here": here, "q": "", **frame, **more}, status)

    def _missing(self, here: str, what: str, why: str, **more: Any) -> Response:
        return self._page("missing.html", here, 404, what=what, why=why, **more)

    async def log(self, request: Request) -> Response:
        """Show the log; with ?id=, ?email=, ?phone= or ?cio_id=, redirect to the person."""
        named = views.named_person(self._workspace, request.query_params.get)
        if named is not None:
            return self._to_person(named)
        row_filter, before = requested_filter(request), number(request, "before")
        shown = views.log_page(self._workspace, row_filter, before)
        person = self._workspace.people.by_cio_id.get(row_filter.person)
        live = {**row_filter._asdict(), "after": cursor(self._workspace.log)}
        return self._page(
            "log.html",
            "requests",
            shown=shown,
            row_filter=row_filter,
            before=before,
            person=person,
            title_of=views.person_title,
            origin=f"{request.url.scheme}://{request.url.netloc}",
            live=address("/live", live) if before is None else "",
            older=after_these("/", shown, row_filter._asdict()),
        )

    async def live(self, request: Request) -> Response:
        """Stream new rows of the log."""
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if self._viewers >= MAX_VIEWERS:
            return PlainTextResponse("too many pages watch the log; close one", 503)
        query = request.query_params
        return LiveLog(
            self._workspace.log,
            requested_filter(request),
            after=request.headers.get("last-event-id", query.get("after", "")),
            frame=lambda: views.frame(self._workspace, self._faults),
            stopping=self._stopping,
            watched=self._watched,
        )

    def _watched(self, change: int) -> None:
        self._viewers += change

    async def request(self, request: Request) -> Response:
        """Show one row of the log."""
        row = views.log_row(self._workspace, path_number(request))
        if row is None:
            return self._missing(
                "requests",
                "There is no such request.",
                "The sandbox keeps only the latest requests, and removes all of them when it is reset"
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
        """Show the people; with ?id=, ?email=, ?phone= or ?cio_id=, redirect to the person."""
        named = views.named_person(self._workspace, request.query_params.get)
        if named is not None:
            return self._to_person(named)
        q = request.query_params.get("q", "").strip()
        offset = number(request, "offset") or 0
        shown = views.take(self._workspace.people.search(q), offset)
        return self._page(
            "people.html",
            "people",
            shown=shown,
            q=q,
            title_of=views.person_title,
            newer=page_before("/people", offset, {"q": q}),
            older=next_page("/people", offset, shown, {"q": q}),
        )

    def _to_person(self, named: Person | str) -> Response:
        if isinstance(named, Person):
            return RedirectResponse(f"/people/{named.cio_id}")
        return self._no_person(f"No person has the {named}.", "")

    def _no_person(self, what: str, cio_id: str) -> Response:
        return self._missing(
            "people",
            what,
            "The person may have been deleted, suppressed or merged into another person, or was never"
            " identified.",
            log_of=cio_id,
        )

    async def person(self, request: Request) -> Response:
        """Show one person with a page of the timeline."""
        cio_id = request.path_params["cio_id"].removeprefix("cio_")
        person = self._workspace.people.by_cio_id.get(cio_id)
        if person is None:
            return self._no_person("There is no such person.", cio_id)
        before = number(request, "before")
        shown = views.event_page(person.timeline or (), "", before)
        return self._page(
            "person.html",
            "people",
            person=person,
            title=views.person_title(person),
            relationships=list(views.related_objects(self._workspace, person)),
            shown=shown,
            before=before,
            older=after_these(f"/people/{person.cio_id}", shown, {}, "#timeline"),
        )

    async def objects(self, request: Request) -> Response:
        """Show the objects; with ?type= and ?id=, redirect to the object."""
        query = request.query_params
        object_type_id, offset = query.get("type", ""), number(request, "offset") or 0
        if "id" in query:
            object_ = self._workspace.objects.find(object_type_id, query["id"])
            if object_ is None:
                return self._no_object()
            return RedirectResponse(f"/objects/{object_.cio_object_id}")
        shown = views.take(views.objects(self._workspace, object_type_id), offset)
        return self._page(
            "objects.html",
            "objects",
            shown=shown,
            object_type_id=object_type_id,
            newer=page_before("/objects", offset, {"type": object_type_id}),
            older=next_page("/objects", offset, shown, {"type": object_type_id}),
        )

    def _no_object(self) -> Response:
        why = "The object may have been deleted, or was never identified."
        return self._missing("objects", "There is no such object.", why)

    async def object(self, request: Request) -> Response:
        """Show one object with a page of its people."""
        objects = self._workspace.objects.by_cio_object_id
        object_ = objects.get(request.path_params["cio_object_id"])
        if object_ is None:
            return self._no_object()
        offset = number(request, "offset") or 0
        shown = views.take(views.related_people(self._workspace, object_), offset)
        here = f"/objects/{object_.cio_object_id}"
        return self._page(
            "object.html",
            "objects",
            object=object_,
            shown=shown,
            title_of=views.person_title,
            newer=page_before(here, offset, {}),
            older=next_page(here, offset, shown, {}),
        )

    async def events(self, request: Request) -> Response:
        """Show the latest events."""
        name, before = request.query_params.get("name", "").strip(), number(request, "before")
        shown = views.event_page(self._workspace.events.kept, name, before)
        return self._page(
            "events.html",
            "events",
            shown=shown,
            name=name,
            names=views.event_names(self._workspace),
            before=before,
            people=self._workspace.people.by_cio_id,
            title_of=views.person_title,
            older=after_these("/events", shown, {"name": name}),
        )

    async def event(self, request: Request) -> Response:
        """Show one event with all of its data."""
        event = views.event(self._workspace, path_number(request))
        if event is None:
            why = "The sandbox keeps only the latest events that it accepted."
            return self._missing("events", "There is no such event.", why)
        person = self._workspace.people.by_cio_id.get(event.person or "")
        return self._page(
            "event.html", "events", event=event, person=person, title_of=views.person_title
        )
