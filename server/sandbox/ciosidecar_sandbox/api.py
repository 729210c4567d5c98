"""The Track API over HTTP: credentials, bodies, injected faults, responses and the log."""

import asyncio
import logging
from base64 import b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from contextlib import suppress

from msgspec.json import encode

from .api_v1 import Endpoint, route
from .calls import BATCH, ENTITY, V2, Request, run
from .connection import CONNECTION, RESET
from .faults import REDIRECTS, Faults, InjectedFault
from .http import (
    Answer,
    Gone,
    Receive,
    Scope,
    Send,
    check_content_type,
    error,
    header,
    read_body,
    send_answer,
)
from .outcome import Outcome, Refusal
from .workspace import Workspace

_REGION = b"/api/v1/accounts/region"
_V2_ENDPOINTS = {"POST": V2}
_HTML_502 = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
)
_STATUS_TEXTS = {408: "request timeout", 429: "too many requests", 503: "service unavailable"}
_log = logging.getLogger(__name__)


class _NoAnswer(Exception):
    """The request gets no response: the connection was reset, or the client disconnected."""


class TrackApi:
    """ASGI application for every path under /api/ and /unsubscribe/."""

    def __init__(
        self, workspace: Workspace, faults: Faults, credentials: str | None, region: str
    ) -> None:
        """Create the application.

        Args:
            workspace: The workspace that calls change.
            faults: The faults to inject.
            credentials: "site_id:api_key" to require; None to accept any credentials.
            region: The workspace's region: us or eu.
        """
        self._region = region
        self._workspace = workspace
        self._faults = faults
        self._expected = (
            None if credentials is None else b"Basic " + b64encode(credentials.encode())
        )
        self._accepted = b""
        self.stopping = asyncio.Event()
        """Set when the server stops. It ends requests that an injected fault delays."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        workspace = self._workspace
        request = Request(
            workspace, workspace.clock(), scope["method"], scope["raw_path"], scope["query_string"]
        )
        connection = scope[CONNECTION]
        request.keep_arrivals(connection.number, "{}:{}".format(*scope["client"]))
        try:
            answer = await self._answer_or_fail(request, scope, receive)
            written = answer is not None and not connection.lost
            if answer is not None:
                await send_answer(send, answer)
        finally:
            if request.arrivals is not None:
                request.arrivals.answer(workspace.clock(), written=written)

    async def _answer_or_fail(
        self, request: Request, scope: Scope, receive: Receive
    ) -> Answer | None:
        """Return the answer to a request; None if there is none."""
        try:
            return await self._answer(request, scope, receive)
        except (Gone, _NoAnswer):
            return None
        except Exception:  # noqa: BLE001 - every failure gets a response
            _log.exception("a call failed")
            return error(500, "internal error; see the sandbox's log on stderr")

    async def _answer(self, request: Request, scope: Scope, receive: Receive) -> Answer:
        method, path = request.method, request.raw_path
        try:
            if path == _REGION:
                return self._answer_region(request, scope)
            endpoints = _V2_ENDPOINTS if path in (ENTITY, BATCH) else route(path)
            if endpoints is None:
                return request.refuse(Refusal("there is no such path", status=404))
            endpoint = endpoints.get(method)
            if endpoint is None:
                return request.refuse_method(", ".join(endpoints))
            return await self._answer_call(request, endpoint, scope, receive)
        except Refusal as refusal:
            return request.refuse(refusal)
        except Gone:
            request.note(
                Outcome.REFUSED, "the client disconnected before its request was complete", 0
            )
            raise

    def _answer_region(self, request: Request, scope: Scope) -> Answer:
        if request.method != "GET":
            return request.refuse_method("GET")
        self._check_credentials(scope)
        return request.finish(self._region_of(scope), "region")

    def _region_of(self, scope: Scope) -> Answer:
        told = {"url": _own_url(scope), "region": self._region, "environment_id": 1}
        return Answer(200, encode(told))

    async def _answer_call(
        self, request: Request, endpoint: Endpoint, scope: Scope, receive: Receive
    ) -> Answer:
        """Apply a call, or inject a fault in its place.

        Raises:
            Refusal: The call is refused.
            Gone: The client disconnected.
        """
        request.call = endpoint.name
        if endpoint.authorized:
            self._check_credentials(scope)
        fault = self._faults.inject()
        request.body = await read_body(scope, receive)
        if request.arrivals is not None:
            request.arrivals.received_at = self._workspace.clock()
        if fault.delay_s:
            await self._wait(fault.delay_s)
        if fault.name not in ("", "207", "reset-after"):
            return await self._inject(fault, request, scope, receive)
        if endpoint.has_body:
            check_content_type(scope)
        answer = run(request, endpoint, fault)
        if fault.name == "reset-after":
            request.injected_after("reset-after", "accepted, then the connection was reset")
            await _reset(scope, receive)
        return answer

    def _check_credentials(self, scope: Scope) -> None:
        authorization = header(scope, b"authorization")
        if authorization is not None:
            if authorization == self._accepted:
                return
            if self._is_accepted(authorization):
                self._accepted = authorization
                return
        raise Refusal("Unauthorized request", status=401)

    def _is_accepted(self, authorization: bytes) -> bool:
        scheme, _, text = authorization.partition(b" ")
        if scheme.lower() != b"basic":
            return False
        if self._expected is not None:
            return b"Basic " + text.strip() == self._expected
        try:
            return b":" in a2b_base64(text.strip(), strict_mode=True)
        except NotBase64:
            return False

    async def _wait(self, delay_s: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), delay_s)

    async def _inject(
        self, fault: InjectedFault, request: Request, scope: Scope, receive: Receive
    ) -> Answer:
        """Return the response of a fault. Nothing is accepted."""
        name = fault.name
        if name == "reset":
            request.injected(name, "the connection was reset", 0)
            await _reset(scope, receive)
        if name == "hang":
            request.injected(name, "no response", 0)
            await self._hang(receive)
        if name == "html502":
            request.injected(name, "502 with a page of HTML", 502)
            return Answer(502, _HTML_502, content_type=b"text/html")
        if name == "redirect":
            status = REDIRECTS[int(fault.pick * len(REDIRECTS))]
            request.injected(name, "a redirect to the same URL", status)
            return _redirect(scope, status)
        status = int(name)
        request.injected(name, name, status)
        headers: tuple[tuple[bytes, bytes], ...] = ()
        if status == 429 and self._faults.retry_after_s is not None:
            headers = ((b"retry-after", b"%g" % self._faults.retry_after_s),)
        return error(status, _STATUS_TEXTS.get(status, "injected fault"), *headers)

    async def _hang(self, receive: Receive) -> None:
        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        waits = [asyncio.ensure_future(gone()), asyncio.ensure_future(self.stopping.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self.stopping.is_set():
            raise Refusal("the sandbox is stopping", status=503)
        raise _NoAnswer


async def _reset(scope: Scope, receive: Receive) -> None:
    scope[RESET]()
    while (await receive())["type"] != "http.disconnect":
        pass
    raise _NoAnswer


def _own_url(scope: Scope) -> str:
    host = header(scope, b"host")
    name = host.decode("latin-1") if host else "{}:{}".format(*scope["server"])
    return f"{scope['scheme']}://{name}"


def _redirect(scope: Scope, status: int) -> Answer:
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    location = _own_url(scope).encode("latin-1") + scope["raw_path"] + query
    body = encode({"errors": [{"detail": "wrong datacenter", "status": str(status)}]})
    return Answer(status, body, ((b"location", location),))
