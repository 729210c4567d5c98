"""Track API v2: one operation, or a batch whose operations are accepted or refused one by one."""

from collections.abc import Callable
from typing import Any

from msgspec import Raw, Struct, ValidationError
from msgspec.json import Decoder, encode

from .devices import device_attributes
from .http import ABSENT, read_json
from .identifiers import MERGE_KINDS, PERSON_KINDS, Identifier, from_object, identifier_text
from .limits import MAX_ITEM_BYTES, check_attributes, event_data, event_name
from .objects_json import object_name, related_objects, related_people
from .outcome import Effect, Refusal
from .rules import devices, lifecycle, relations, reports
from .rules.identify import identify
from .rules.tracking import track
from .workspace import Workspace

DELIVERY_EVENTS = ("opened", "converted", "delivered")
_EVENT_KINDS = (*PERSON_KINDS, "anonymous_id")


class Operation(Struct):
    """One operation as sent. Attributes stay JSON text because most are never decoded."""

    type: Any = None
    action: Any = None
    identifiers: Any = None
    attributes: Raw = ABSENT
    name: Any = None
    id: Any = None
    timestamp: Any = None
    device: Any = None
    cio_relationships: Any = None
    primary: Any = None
    secondary: Any = None


class _Batch(Struct):
    batch: list[Raw]


_read_operation = Decoder(Operation).decode
_read_batch = Decoder(_Batch).decode
_Done = tuple[Effect, str]
_Run = Callable[[Workspace, Operation], _Done]


def read_batch(body: bytes) -> list[Raw]:
    """Return the items of a batch as JSON text.

    Raises:
        Refusal: The body is not a batch.
    """
    try:
        return _read_batch(body).batch
    except ValidationError:
        decoded = read_json(body)
        if type(decoded) is dict and "batch" not in decoded:
            raise Refusal("is required", "batch", "required") from None
        raise Refusal("must be an array of operations", "batch") from None
    except (ValueError, RecursionError):
        raise Refusal("the body is not valid JSON") from None


def run(workspace: Workspace, item: bytes | Raw) -> tuple[str, Effect, str]:
    """Apply one operation to a workspace.

    Returns:
        The operation's name for the log, its effect, and the identifier in it.

    Raises:
        Refusal: The operation is refused.
    """
    if len(item) > MAX_ITEM_BYTES:
        raise Refusal(f"cannot be longer than {MAX_ITEM_BYTES} bytes")
    operation = read_operation(item)
    if type(operation.type) is not str or type(operation.action) is not str:
        field = "action" if type(operation.type) is str else "type"
        reason = "required" if getattr(operation, field) is None else "invalid"
        raise Refusal("must be a string" if reason == "invalid" else "is required", field, reason)
    act = _RUN.get((operation.type, operation.action))
    if act is None:
        if operation.type not in ("person", "object", "delivery"):
            raise Refusal("must be person, object or delivery", "type")
        raise Refusal(f"is no action of {operation.type} operations", "action")
    effect, who = act(workspace, operation)
    return operation.action if operation.type == "person" else _name(operation), effect, who


def read_operation(item: bytes | Raw) -> Operation:
    """Return an operation as sent.

    Raises:
        Refusal: The item is not a JSON object.
    """
    try:
        return _read_operation(item)
    except ValidationError:
        if type(read_json(item)) is not dict:
            raise Refusal("must be an object") from None
        raise Refusal("cannot be read") from None
    except (ValueError, RecursionError):
        raise Refusal("is not valid JSON") from None


def name_of(item: bytes | Raw) -> str:
    """Return the log's name for a refused operation."""
    try:
        operation = read_operation(item)
    except Refusal:
        return "operation"
    if type(operation.action) is not str:
        return "operation"
    return operation.action[:40] if operation.type == "person" else _name(operation)[:80]


def error_item(refusal: Refusal, batch_index: int | None = None) -> dict[str, Any]:
    """Return a refusal as an error object of v2."""
    error = {"reason": refusal.reason, "field": refusal.field, "message": refusal.message}
    return error if batch_index is None else {"batch_index": batch_index, **error}


def errors_body(errors: list[dict[str, Any]]) -> bytes:
    """Return the body of a 400 or 207."""
    return encode({"errors": errors})


def _name(operation: Operation) -> str:
    return f"{operation.type} {operation.action}"


def _attributes(operation: Operation) -> dict[str, Any]:
    if not operation.attributes:
        return {}
    attributes = read_json(operation.attributes)
    if attributes is None:
        return {}
    if type(attributes) is not dict:
        raise Refusal("must be an object", "attributes")
    check_attributes(attributes, v2=True)
    return attributes


def _person(operation: Operation, kinds: tuple[str, ...] = PERSON_KINDS) -> Identifier:
    return from_object(operation.identifiers, "identifiers", kinds)


def _identify(workspace: Workspace, operation: Operation) -> _Done:
    who = _person(operation)
    attributes = _attributes(operation)
    if attributes.get("id") is not None:
        attributes["id"] = identifier_text(attributes["id"], "id", "attributes.id")
    relationships = related_objects(operation.cio_relationships)
    return identify(workspace, who, attributes, operation.timestamp, relationships), str(who)


def _event(workspace: Workspace, operation: Operation) -> _Done:
    who = _person(operation, _EVENT_KINDS)
    name = event_name(operation.name)
    # The data has no limit of its own: MAX_ITEM_BYTES limits the whole operation.
    data = event_data(operation.attributes, "attributes", None)
    effect = track(workspace, who, operation.action, name, data, operation.id, operation.timestamp)
    return effect, str(who)


def _of_person(act: Callable[[Workspace, Identifier], Effect]) -> _Run:
    def run_it(workspace: Workspace, operation: Operation) -> _Done:
        who = _person(operation)
        return act(workspace, who), str(who)

    return run_it


def _add_device(workspace: Workspace, operation: Operation) -> _Done:
    who = _person(operation)
    token, platform, last_used, attributes, ignored = device_attributes(operation.device, v2=True)
    effect = devices.add_device(workspace, who, token, platform, last_used, attributes, ignored)
    return effect, str(who)


def _delete_device(workspace: Workspace, operation: Operation) -> _Done:
    who = _person(operation)
    device = operation.device
    token = device.get("token") if type(device) is dict else None
    if type(token) is not str or not token:
        raise Refusal("must be a string", "device.token", "required")
    return devices.delete_device(workspace, who, token), str(who)


def _person_relationships(*, removes: bool) -> _Run:
    def run_it(workspace: Workspace, operation: Operation) -> _Done:
        who = _person(operation)
        if operation.cio_relationships is None:
            raise Refusal("is required", "cio_relationships", "required")
        listed = related_objects(operation.cio_relationships)
        effect = relations.change_relationships(workspace, who, listed, removes=removes)
        return effect, str(who)

    return run_it


def _merge(workspace: Workspace, operation: Operation) -> _Done:
    primary = from_object(operation.primary, "primary", MERGE_KINDS)
    secondary = from_object(operation.secondary, "secondary", MERGE_KINDS)
    return lifecycle.merge(workspace, primary, secondary), f"{primary} ← {secondary}"


def _identify_object(*, anonymous: bool) -> _Run:
    def run_it(workspace: Workspace, operation: Operation) -> _Done:
        name = object_name(operation.identifiers, "identifiers")
        people = related_people(operation.cio_relationships, anonymous=anonymous)
        attributes = _attributes(operation)
        return relations.identify_object(workspace, name, attributes, people), str(name)

    return run_it


def _object_relationships(*, removes: bool) -> _Run:
    def run_it(workspace: Workspace, operation: Operation) -> _Done:
        name = object_name(operation.identifiers, "identifiers")
        if operation.cio_relationships is None:
            raise Refusal("is required", "cio_relationships", "required")
        people = related_people(operation.cio_relationships, anonymous=False)
        return relations.change_people(workspace, name, people, removes=removes), str(name)

    return run_it


def _delete_object(workspace: Workspace, operation: Operation) -> _Done:
    name = object_name(operation.identifiers, "identifiers")
    return relations.delete_object(workspace, name), str(name)


def _delivery(workspace: Workspace, operation: Operation) -> _Done:
    who = from_object(operation.identifiers, "identifiers", ("id",))
    if operation.name not in DELIVERY_EVENTS:
        raise Refusal(f"must be one of {', '.join(DELIVERY_EVENTS)}", "name")
    token = _attributes(operation).get("device_token")
    if type(token) is not str:
        raise Refusal("must be a string", "attributes.device_token", "required")
    effect = reports.report_metric(workspace, who.value, operation.name, operation.timestamp, token)
    return effect, f"delivery {who.value}"


_RUN: dict[tuple[str, str], _Run] = {
    ("person", "identify"): _identify,
    ("person", "delete"): _of_person(lifecycle.delete),
    ("person", "suppress"): _of_person(lifecycle.suppress),
    ("person", "unsuppress"): _of_person(lifecycle.unsuppress),
    ("person", "event"): _event,
    ("person", "page"): _event,
    ("person", "screen"): _event,
    ("person", "add_relationships"): _person_relationships(removes=False),
    ("person", "delete_relationships"): _person_relationships(removes=True),
    ("person", "add_device"): _add_device,
    ("person", "delete_device"): _delete_device,
    ("person", "merge"): _merge,
    ("object", "identify"): _identify_object(anonymous=False),
    ("object", "identify_anonymous"): _identify_object(anonymous=True),
    ("object", "delete"): _delete_object,
    ("object", "add_relationships"): _object_relationships(removes=False),
    ("object", "delete_relationships"): _object_relationships(removes=True),
    ("delivery", "event"): _delivery,
}
