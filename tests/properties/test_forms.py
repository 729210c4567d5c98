"""An event as fields, the contract's RudderEvent, means the same as the JSON that says the same."""

import json
from typing import Any

from ciosidecar import v1
from ciosidecar.results import Result
from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from msgspec import DecodeError, Raw
from msgspec.json import encode
from msgspec.json import format as formatted

from .conftest import Engines
from .examples import examples
from .settings import CONNECTIONS, clockless, usable_configs
from .strategies import Member, as_json, event_members
from .values import text

_TEXTS = {
    "type": "type",
    "messageId": "message_id",
    "userId": "user_id",
    "anonymousId": "anonymous_id",
    "previousId": "previous_id",
    "groupId": "group_id",
    "event": "event",
    "name": "name",
    "channel": "channel",
    "action": "action",
}
_TIMES = {"timestamp": "timestamp", "originalTimestamp": "original_timestamp"}
_OBJECTS = ("traits", "properties", "context", "user_properties", "identifiers")
_CONFIGS = usable_configs().map(clockless)


def _without_clock(result: Result) -> tuple[Any, ...]:
    return result.status, result.requests, result.error, result.warnings, result.filter_reason


def _both_forms(members: list[Member], seconds: int) -> tuple[v1.RudderEvent, bytes] | None:
    """Return the typed event and its JSON, of the members that both can say."""
    typed = v1.RudderEvent()
    said: dict[str, str] = {}
    for name, value in members:
        if name in _TEXTS and value.startswith('"'):
            plain = json.loads(value, strict=False)
            if not plain or plain.encode("utf-8", "replace").decode() != plain:
                continue
            setattr(typed, _TEXTS[name], plain)
            said[name] = text(plain)
        elif name in _TIMES:
            time = Timestamp(seconds=seconds)
            getattr(typed, _TIMES[name]).CopyFrom(time)
            said[name] = text(time.ToJsonString())
        elif name in _OBJECTS:
            try:
                compact = formatted(Raw(value.encode()), indent=-1)
            except (DecodeError, RecursionError):
                # An unpaired surrogate. The whole event is then repaired as it is, in both forms.
                continue
            getattr(typed, name).json = value.encode()
            said[name] = bytes(compact).decode()
    return typed, as_json([Member(name, value) for name, value in said.items()])


@examples(60)
@given(
    events=st.lists(event_members(), min_size=1, max_size=6),
    seconds=st.integers(-62135596800, 253402300799),
    config=_CONFIGS,
    connection=CONNECTIONS,
)
def test_typed_and_json_forms_agree(
    engines: Engines,
    events: list[list[Member]],
    seconds: int,
    config: bytes,
    connection: bytes,
) -> None:
    """The same status, requests with all bytes, warnings and errors, for objects given as JSON text."""
    forms = [form for members in events if (form := _both_forms(members, seconds))]
    typed = engines.transform([form[0] for form in forms], config, connection)
    plain = engines.transform([form[1] for form in forms], config, connection)
    assert list(map(_without_clock, typed)) == list(map(_without_clock, plain))


_NUMBERS = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False).filter(bool)
)
_NAMES = st.sampled_from(
    ["plan", "a.b", "", "é", "email", "id", "createdAt", "unsubscribed", "\u0000"]
)
_PLAIN = st.recursive(
    st.one_of(_NUMBERS, st.booleans(), st.none(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)
    ),
    max_leaves=6,
)
_STRUCTS = st.dictionaries(_NAMES, _PLAIN, max_size=5)


def _sorted(value: Any) -> Any:
    """Return what rule 5.6 says of fields: names sorted, and whole numbers without a point."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value


@examples(60)
@given(
    kind=st.sampled_from(["identify", "track", "group", "record"]),
    objects=st.lists(_STRUCTS, min_size=3, max_size=3),
    config=_CONFIGS,
)
def test_5_6_fields_agree_with_sorted_json(
    engines: Engines, kind: str, objects: list[dict[str, Any]], config: bytes
) -> None:
    """Objects given as fields, nested ones too: the same bytes as JSON with sorted names."""
    typed = v1.RudderEvent(
        type=kind, message_id="m", user_id="u-1", group_id="g", event="e", action="insert"
    )
    said: dict[str, Any] = {
        "type": kind,
        "messageId": "m",
        "userId": "u-1",
        "groupId": "g",
        "event": "e",
        "action": "insert",
    }
    for name, members in zip(("traits", "properties", "identifiers"), objects, strict=True):
        ParseDict(members, getattr(typed, name).fields)
        getattr(typed, name).fields.SetInParent()
        said[name] = _sorted(members)
    # json writes 1e+48, which is the same number and another text.
    as_text = encode(said)
    connection = b'{"object":"person"}'
    results = engines.transform([typed, as_text], config, connection)
    first, second = map(_without_clock, results)
    assert first[0] == second[0]
    assert first[2:] == second[2:]
    # The two may share a request, or have one each.
    alone = [engines.transform([form], config, connection)[0] for form in (typed, as_text)]
    assert _without_clock(alone[0]) == _without_clock(alone[1])
