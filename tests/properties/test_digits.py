"""1.3: what is passed on is the input's own text, digit for digit; nothing is added and nothing vanishes."""

from typing import Any

from hypothesis import given

from .examples import examples
from .passed_on import CHANGED, kept, pairs_of, repaired, sent_object
from .settings import CONNECTIONS, usable_configs
from .strategies import EVENTS
from .transformed import destination_of, strict_json, transformed

# Without the settings that change values on purpose (rules 13.6-13.8).
CONFIGS = usable_configs("convertDates", "emptyStrings", "reservedProperties")


@examples(250)
@given(event=EVENTS, config=CONFIGS, connection=CONNECTIONS)
def test_1_3_values_are_passed_on_digit_for_digit(
    event: bytes, config: bytes, connection: bytes
) -> None:
    """Numbers keep their digits, texts their characters, objects their members, also repeated ones."""
    destination = destination_of(config)
    if destination is None or b"mappedToDestination" in event:
        return
    result = transformed(event, destination, connection)
    if result.outcome.status != 200:
        return
    (request,) = result.requests
    sent = sent_object(request)
    if sent is None:
        return
    received = dict(strict_json(repaired(event)))
    what, attributes = sent
    row = str(received["type"]).lower() == "record"
    if what == "event":
        _check_event(
            received["identifiers"] if row else received.get("properties"), attributes, row
        )
    else:
        _check_attributes(_attributes_received(received, what, row), attributes)


def _check_event(properties: Any, data: Any, row: bool) -> None:
    if not row:
        assert data == pairs_of(properties)
        return
    columns = dict(properties)
    for name, value in data:
        assert columns.pop(name) == value
    assert columns.keys() <= {"id", "cio_id", "email", "name", "created_at"}


def _attributes_received(received: dict[str, Any], what: str, row: bool) -> dict[str, Any]:
    if row:
        return dict(pairs_of(received["identifiers"]))
    traits = dict(pairs_of(received.get("traits")))
    if what == "object":
        return traits
    if not traits:
        traits = dict(pairs_of(dict(pairs_of(received.get("context"))).get("traits")))
    return traits | dict(pairs_of(received.get("user_properties")))


def _check_attributes(received: dict[str, Any], attributes: Any) -> None:
    sent = dict(attributes)
    assert len(sent) == len(attributes), "an attribute was sent twice"
    few = len(received) <= 250
    for name, value in received.items():
        if name in CHANGED or name.startswith("cio_subscription_preferences."):
            continue
        is_kept, wanted = kept(name, value)
        if is_kept and (few or name in sent):
            assert sent.pop(name) == wanted
        else:
            assert name not in sent
    assert not sent.keys() - CHANGED - received.keys(), "an attribute was added"
