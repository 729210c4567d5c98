"""HTTP requests and responses of the Track API: headers, bodies and JSON."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from msgspec import Raw, ValidationError
from msgspec.json import encode

from .outcome import Refusal
from .sent_json import decode

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 50 * 1024 * 1024
"""A longer body is refused with 413 as soon as its length is known."""
MAX_BODY_BYTES_KEPT = 1024 * 1024
"""No call of the API may be longer. Further bytes are counted and dropped."""
ABSENT = Raw()


class Gone(Exception):
    """The client disconnected before its request was complete."""


class Answer(NamedTuple):
    """A response: status, body, and headers other than type and length."""

    status: int
    body: bytes = b"{}"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b"application/json"


EMPTY = Answer(200)
NO_CONTENT = Answer(204, b"")


class Call(NamedTuple):
    """One request, complete."""

    method: str
    path: bytes
    """The path as sent: percent-encoded, without the query."""
    query: bytes
    body: bytes


def error(status: int, message: str, *headers: tuple[bytes, bytes]) -> Answer:
    """Return an error in the format of v1: {"meta": {"error": text}}."""
    return Answer(status, encode({"meta": {"error": message}}), headers)


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header with a lower-case name; None if there is none."""
    for header_name, value in scope["headers"]:
        if header_name == name:
            return bytes(value)
    return None


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """Return the whole body.

    Raises:
        Refusal: The body is too long (413).
        Gone: The client disconnected.
    """
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return bytes(message.get("body", b""))
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        if size <= MAX_BODY_BYTES_KEPT:
            parts.append(part)
        if not message.get("more_body"):
            break
        message = await receive()
    if size > MAX_BODY_BYTES_KEPT:
        raise Refusal(f"a request cannot be longer than {MAX_BODY_BYTES_KEPT} bytes", "body")
    return b"".join(parts)


def _too_large() -> Refusal:
    return Refusal(f"a request cannot be longer than {MAX_BODY_BYTES} bytes", "body", status=413)


def check_content_type(scope: Scope) -> None:
    """Check that the Content-Type is JSON in UTF-8.

    Raises:
        Refusal: The Content-Type is another (415).
    """
    content_type = header(scope, b"content-type")
    if content_type == b"application/json":
        return
    kind, _, parameters = (content_type or b"").partition(b";")
    if kind.strip().lower() != b"application/json":
        sent = kind.decode("latin-1").strip() or "none"
        raise Refusal(f"Content-Type must be application/json, not {sent}", status=415)
    for parameter in parameters.split(b";"):
        name, _, value = parameter.partition(b"=")
        if name.strip().lower() == b"charset" and value.strip(b' "').lower() not in (
            b"utf-8",
            b"utf8",
        ):
            raise Refusal("the charset of JSON must be UTF-8", status=415)


def read_object(body: bytes | Raw) -> dict[str, Any]:
    """Return a body that must be a JSON object.

    Raises:
        Refusal: The body is not a JSON object.
    """
    value = read_json(body)
    if type(value) is not dict:
        raise Refusal("the body must be a JSON object")
    return value


def read_json(body: bytes | Raw) -> Any:
    """Return a body that must be JSON.

    Raises:
        Refusal: The body is not JSON.
    """
    try:
        return decode(body)
    except ValidationError:
        raise Refusal("the body has a number that is out of range") from None
    except (ValueError, RecursionError):
        raise Refusal("the body is not valid JSON") from None


async def send_answer(send: Send, answer: Answer) -> None:
    """Send a whole answer."""
    headers = [(b"content-length", b"%d" % len(answer.body))] if answer.status != 204 else []
    if answer.body:
        headers.append((b"content-type", answer.content_type))
    headers += answer.headers
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
