"""Track API v1: reads each request and applies it to the workspace."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from msgspec import Raw, Struct, ValidationError
from msgspec.json import Decoder

from .devices import device_attributes
from .http import ABSENT, EMPTY, NO_CONTENT, Answer, Call, read_object
from .identifiers import (
    MERGE_KINDS,
    Identifier,
    from_object,
    from_path,
    looks_like_email,
    unquoted,
)
from .limits import (
    MAX_DATA_BYTES,
    MAX_ID_BYTES,
    MAX_SEGMENT_IDS,
    check_attributes,
    event_data,
    event_name,
    longer_than,
)
from .objects_json import v1_relationships
from .outcome import Effect, Refusal
from .rules import devices, lifecycle, reports, segments
from .rules.identify import identify
from .rules.tracking import track
from .workspace import Workspace

METRICS = frozenset(
    ["bounced", "clicked", "converted", "deferred", "delivered", "dropped", "opened", "spammed"]
)
"""Metrics of every channel: the request does not name the channel of the delivery."""
PUSH_EVENTS = frozenset(["opened", "converted", "delivered"])
_KINDS = frozenset(["event", "page", "screen"])


class Endpoint(NamedTuple):
    """One call of the API: a path and a method."""

    name: str
    """Name of the call in the log."""
    run: "Callable[[Workspace, Call], tuple[Effect, str]]"
    """Applies the call. Returns its effect and the identifier in it, or raises Refusal."""
    has_body: bool = True
    authorized: bool = True
    """True if the call needs credentials."""
    answer: Answer = EMPTY


class _Event(Struct):
    name: Any = None
    type: Any = None
    id: Any = None
    timestamp: Any = None
    data: Raw = ABSENT
    anonymous_id: Any = None


_read_event = Decoder(_Event).decode


def _who(call: Call) -> Identifier:
    return from_path(call.path.split(b"/", 5)[4])


def _identify(workspace: Workspace, call: Call) -> tuple[Effect, str]:
    who = _who(call)
    attributes = read_object(call.body)
    person_id = attributes.get("id")
    if person_id is not None:
        if type(person_id) is not str:
            raise Refusal("id attribute must be a string value", "id")
        if not person_id:
            raise Refusal("id attribute cannot be an empty string", "id")
        if longer_than(person_id, MAX_ID_BYTES):
            raise Refusal(f"id cannot be longer than {MAX_ID_BYTES} bytes", "id")
    check_attributes(attributes, v2=False)
    relationships, removes = v1_relationships(attributes.get("cio_relationships"))
    effect = identify(
        workspace, who, attributes, None, relationships, removes_relationships=removes
    )
    return effect, str(who)


def _event_body(call: Call) -> tuple[_Event, str, str, bytes]:
    try:
        event = _read_event(call.body)
    except ValidationError:
        read_object(call.body)  # raises Refusal with a more precise text
        raise Refusal("the body cannot be read") from None
    except (ValueError, RecursionError):
        raise Refusal("the body is not valid JSON") from None
    kind = event.type if type(event.type) is str and event.type in _KINDS else "event"
    name = event_name(event.name)
    return event, kind, name, event_data(event.data, "data", MAX_DATA_BYTES)


def _track(workspace: Workspace, call: Call) -> tuple[Effect, str]:
    who = _who(call)
    event, kind, name, data = _event_body(call)
    return track(workspace, who, kind, name, data, event.id, event.timestamp), str(who)


def _track_anonymous(workspace: Workspace, call: Call) -> tuple[Effect, str]:
    event, kind, name, data = _event_body(call)
    who = None
    if event.anonymous_id is not None and event.anonymous_id != "":
        if type(event.anonymous_id) is not str:
            raise Refusal("anonymous_id must be a string value", "anonymous_id")
        if longer_than(event.anonymous_id, MAX_ID_BYTES):
            raise Refusal(
                f"anonymous_id cannot be longer than {MAX_ID_BYTES} bytes", "anonymous_id"
            )
        who = Identifier("anonymous_id", event.anonymous_id)
    effect = track(workspace, who, kind, name, data, event.id, event.timestamp)
    return effect, str(who) if who else ""


def _add_device(workspace: Workspace, call: Call) -> tuple[Effect, str]:
    who = _who(call)
    device = read_object(call.body).get("device")
    token, platform, last_used, attributes, ignored = device_attributes(device, v2=False)
    effect = devices.add_device(workspace, who, token, platform, last_used, attributes, ignored)
    return effect, str(who)


def _delete_device(workspace: Workspace, call: Call) -> tuple[Effect, str]:
    who = _who(call)
    token = unquoted(call.path.split(b"/", 6)[6], "device_id")
    return devices.delete_device(workspace, who, token), str(who)


def _of_person(
    act: Callable[[Workspace, Identifier], Effect],
) -> Callable[[Workspace, Call], tuple[Effect, str]]:
    def run(workspace: Workspace, call: Call) -> tuple[Effect, str]:
        who = _who(call)
        return act(workspace, who), str(who)

    return run


def _merge(workspace: Workspace, call: Call) -> tuple[Effect, str]:
    body = read_object(call.body)
    primary = from_object(body.get("primary"), "primary", MERGE_KINDS)
    secondary = from_object(body.get("secondary"), "secondary", MERGE_KINDS)
    return lifecycle.merge(workspace, primary, secondary), f"{primary} ← {secondary}"


def _segment(*, removes: bool) -> Callable[[Workspace, Call], tuple[Effect, str]]:
    def run(workspace: Workspace, call: Call) -> tuple[Effect, str]:
        text = unquoted(call.path.split(b"/", 5)[4], "segment_id")
        if not (text.isascii() and text.isdigit() and 0 < int(text[:11]) < 2**31):
            raise Refusal("segment_id must be an integer", "segment_id")
        kind = parse_qs(call.query.decode("latin-1")).get("id_type", ["id"])[-1]
        if kind not in MERGE_KINDS:
            raise Refusal("id_type must be id, email or cio_id", "id_type")
        ids = read_object(call.body).get("ids")
        if type(ids) is not list or not ids:
            raise Refusal("ids must be an array of at least one value", "ids")
        if len(ids) > MAX_SEGMENT_IDS:
            raise Refusal(f"ids cannot have more than {MAX_SEGMENT_IDS} values", "ids")
        effect = segments.change_segment(workspace, int(text), kind, ids, removes=removes)
        return effect, f"segment {text}"

    return run


def _form(workspace: Workspace, call: Call) -> tuple[Effect, str]:
    form_id = unquoted(call.path.split(b"/", 5)[4], "form_id")
    if longer_than(form_id, MAX_ID_BYTES):
        raise Refusal(f"form_id cannot be longer than {MAX_ID_BYTES} bytes", "form_id")
    fields = read_object(call.body).get("data")
    if type(fields) is not dict:
        raise Refusal("data must be an object", "data", "required")
    for name, value in fields.items():
        if type(value) is not str:
            raise Refusal(f"form value '{name}' must be a string", f"data.{name}")
    kinds = [kind for kind in ("id", "email") if kind in fields]
    if len(kinds) != 1:
        raise Refusal("data must have exactly one of email and id", "data")
    kind = kinds[0]
    value = fields.pop(kind)
    if not value or longer_than(value, MAX_ID_BYTES):
        raise Refusal(f"{kind} must have 1 to {MAX_ID_BYTES} bytes", f"data.{kind}")
    if kind == "email" and not looks_like_email(value):
        raise Refusal("email must be an address", "data.email")
    check_attributes(fields, v2=False, field="data")
    who = Identifier(kind, value)
    return reports.submit_form(workspace, form_id, who, fields), f"form {form_id}, {who}"


def _text(body: dict[str, Any], name: str) -> str:
    text = body.get(name)
    if type(text) is not str or not text:
        raise Refusal(f"{name} must be present", name, "required")
    return text


def _metric(
    name: str, allowed: frozenset[str], recipient: str
) -> Callable[[Workspace, Call], tuple[Effect, str]]:
    def run(workspace: Workspace, call: Call) -> tuple[Effect, str]:
        body = read_object(call.body)
        delivery_id, metric = _text(body, "delivery_id"), _text(body, name)
        if metric not in allowed:
            raise Refusal(f"{name} must be one of {', '.join(sorted(allowed))}", name)
        to = body.get(recipient)
        effect = reports.report_metric(
            workspace, delivery_id, metric, body.get("timestamp"), "" if to is None else str(to)
        )
        return effect, f"delivery {delivery_id}"

    return run


def _unsubscribe(_workspace: Workspace, call: Call) -> tuple[Effect, str]:
    delivery_id = unquoted(call.path.split(b"/", 2)[2], "delivery_id")
    body = read_object(call.body)
    if type(body.get("unsubscribe", False)) is not bool:
        raise Refusal("unsubscribe must be true or false", "unsubscribe")
    return reports.unsubscribe(delivery_id), f"delivery {delivery_id}"


_CUSTOMER = (b"", b"api", b"v1", b"customers", b"*")
_SEGMENT = (b"", b"api", b"v1", b"segments", b"*")
ROUTES: dict[tuple[bytes, ...], dict[str, Endpoint]] = {
    _CUSTOMER: {
        "PUT": Endpoint("identify", _identify),
        "DELETE": Endpoint("delete", _of_person(lifecycle.delete), has_body=False),
    },
    (*_CUSTOMER, b"events"): {"POST": Endpoint("event", _track)},
    (*_CUSTOMER, b"devices"): {"PUT": Endpoint("add_device", _add_device)},
    (*_CUSTOMER, b"devices", b"*"): {
        "DELETE": Endpoint("delete_device", _delete_device, has_body=False)
    },
    (*_CUSTOMER, b"suppress"): {
        "POST": Endpoint("suppress", _of_person(lifecycle.suppress), has_body=False)
    },
    (*_CUSTOMER, b"unsuppress"): {
        "POST": Endpoint("unsuppress", _of_person(lifecycle.unsuppress), has_body=False)
    },
    (b"", b"api", b"v1", b"events"): {"POST": Endpoint("anonymous_event", _track_anonymous)},
    (b"", b"api", b"v1", b"merge_customers"): {"POST": Endpoint("merge", _merge)},
    (*_SEGMENT, b"add_customers"): {"POST": Endpoint("add_to_segment", _segment(removes=False))},
    (*_SEGMENT, b"remove_customers"): {
        "POST": Endpoint("remove_from_segment", _segment(removes=True))
    },
    (b"", b"api", b"v1", b"forms", b"*", b"submit"): {
        "POST": Endpoint("form", _form, answer=NO_CONTENT)
    },
    (b"", b"api", b"v1", b"metrics"): {
        "POST": Endpoint("metric", _metric("metric", METRICS, "recipient"), authorized=False)
    },
    (b"", b"api", b"v1", b"push", b"events"): {
        "POST": Endpoint("push_event", _metric("event", PUSH_EVENTS, "device_id"), authorized=False)
    },
    (b"", b"unsubscribe", b"*"): {"POST": Endpoint("unsubscribe", _unsubscribe, authorized=False)},
}
"""Endpoints by path, with * for a variable part, and by method."""

_WITH_ID = frozenset([b"customers", b"segments", b"forms"])


def route(path: bytes) -> dict[str, Endpoint] | None:
    """Return the endpoints of a path by method; None if the path does not exist."""
    parts = path.split(b"/")
    size = len(parts)
    if size > 4 and parts[3] in _WITH_ID:
        if not parts[4]:
            return None
        parts[4] = b"*"
        if size == 7 and parts[6]:
            parts[6] = b"*"
    elif size == 3 and parts[1] == b"unsubscribe" and parts[2]:
        parts[2] = b"*"
    return ROUTES.get(tuple(parts))
