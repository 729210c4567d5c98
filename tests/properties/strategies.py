"""Events that the rules read: each member they look at, with values of the right type and of any."""

from collections.abc import Mapping
from typing import NamedTuple

from hypothesis import strategies as st

from .values import (
    ANYTHING,
    ASSORTMENTS,
    DATES,
    NAMES,
    NUMBERS,
    SPACES,
    TEXTS,
    VALUES,
    WORDS,
    Json,
    Strategy,
    joined,
    seldom,
    text,
    texts_of,
    weighted,
    written_as,
)

TYPES = ("identify", "track", "page", "screen", "alias", "group", "record")
_ODD_TYPES = texts_of(
    "Identify", "TRACK", "Page", "gRoup", "RECORD", "\u0131dentify", "traCK ", "bot"
)

# Few, so that events meet: ids of the sandbox's first people are cio_03000001 and so on.
_PEOPLE = ("u-1", "u-2", "7", "jane@example.com", "joe@example.com", "cio_03000001", "a-1")
_ODD_IDS = (
    *(
        "JANE@example.com",
        "Jane@Example.COM",
        " jane@example.com ",
        "ж@почта.рф",
        "x@y",
        "a..b@c.de",
    ),
    *(
        "cio_",
        "cio_cio_1",
        "CIO_03000001",
        ".",
        "..",
        "a/b",
        "%2e%2e",
        "a b",
        "é",
        "\u0131@example.com",
    ),
    *("undefined", "null", "NaN", "None", "nil", "<nil>", "[object Object]", "", " ", "0", "1e3"),
    *(
        "x" * 150,
        "x" * 151,
        "é" * 75,
        "é" * 76,
        "l" * 64 + "@example.com",
        "l" * 65 + "@example.com",
    ),
    *(
        "x" * 140 + "@example.com",
        "+15551234567",
        "+1 (555) 123-4567",
        "15551234567",
        "u-1 ",
        "u\n1",
    ),
    *SPACES,
    *(f"u{space}1" for space in SPACES),
    *("ß@example.com", "SS@example.com", "İ@example.com", "k@example.com", "\u212a@example.com"),
    *(
        '"q"@example.com',
        "a@b.c1",
        "a@b.xn--p1ai",
        "a@-b.com",
        "a\x01@b.com",
        "a@b\u3002com",
        "a@@b.com",
    ),
)
_ID_NUMBERS = [
    "7",
    "7.0",
    "7.5",
    "-7",
    "0",
    "-0",
    "0.0",
    "12345678901234567890",
    "1e20",
    "1e21",
    "1e400",
    "-1e400",
    "1e-400",
    "5e-324",
]
_PLAIN_PEOPLE = [*map(text, _PEOPLE)]
_ODD = [*map(text, _ODD_IDS), *_ID_NUMBERS, r'"u\ud83d"', r'"\u0000"', "true", "null", "{}", "[]"]
IDS = weighted(_PLAIN_PEOPLE, _ODD, 8)
_PLAIN_EMAILS = (
    "jane@example.com",
    "JANE@example.com",
    "joe@example.com",
    "new@example.com",
    " a@b.co ",
)
EMAILS = weighted([*map(text, _PLAIN_EMAILS)], _ODD, 4)
PHONES = texts_of(
    "+15551234567", "+1 555", "15551234567", "+0123456789", "+1234567", "+12345678901234567"
)
TOKENS = weighted([*map(text, ("t/1", "t-2", "é", "x" * 4000))], _ODD, 6)
_FLAGS = written_as(
    *("true", "false", "null", "1", "0", "1.0", "-0", "2", "1e400", "{}"),
    *map(text, ("true", "yes", "No", "ON", "0", "1", "t", " true", "ja", "")),
)
_EVENT_NAMES = (
    *(
        "Paid",
        "Application Opened",
        "Application Installed",
        "Application Uninstalled",
        "Token",
        "é" * 51,
    ),
    *(
        "User Deleted",
        "User Suppressed",
        "User Unsuppressed",
        "Object Deleted",
        "Relationship Deleted",
    ),
    *(
        "Device Created or Updated",
        "Device Deleted",
        "Report Delivery Event",
        "Report Delivery Event",
    ),
    *(" Paid ", "\x1cPaid", "x" * 200, "a\u200b"),
)
_NAMES_OF_EVENTS = weighted(
    [*map(text, _EVENT_NAMES)], [text("\u3000"), r'"\ud83d"', r'"\u0000"', '""', "7", "null"], 12
)
_PLATFORMS = texts_of(
    "ios", "iPadOS", "ANDROID", "web", "rudder-ios-library", "com.x.android", "\u0131os"
)


def some(fields: Mapping[str, Strategy], extra: Strategy | None = None) -> Strategy:
    """Return an object with some of the fields, most of the right type, and with other members."""
    names = sorted(fields)

    @st.composite
    def build(draw: st.DrawFn) -> Json:
        chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=6))
        members = []
        for name in chosen:
            wild = draw(seldom(25))
            members.append((text(name), draw(ANYTHING if wild else fields[name])))
        if extra is not None:
            count = draw(st.sampled_from([0, 0, 1, 2]))
            members += [(draw(NAMES), draw(extra)) for _ in range(count)]
        if draw(seldom(25)) and members:
            members.append((draw(st.sampled_from(members))[0], draw(VALUES)))
        return joined(members, draw(st.sampled_from(["", "", " "])))

    return build()


def _listed(inner: Strategy, most: int = 3) -> Strategy:
    return st.lists(inner, max_size=most).map(lambda items: f"[{','.join(items)}]")


_OBJECT_TYPES = weighted(
    ["1", "2", '"1"', '"2"'], ['"02"', "0", "1.5", "true", '"x"', '"0"', '""'], 4
)
_OBJECT_IDENTIFIERS = st.one_of(
    some({"object_type_id": _OBJECT_TYPES, "object_id": IDS}),
    st.builds(
        lambda kind, name: joined([('"object_type_id"', kind), ('"object_id"', name)]),
        written_as('"1"', '"2"', "1"),
        texts_of("acme", "umbrella"),
    ),
    some({"cio_object_id": IDS, "object_type_id": _OBJECT_TYPES, "object_id": IDS}),
)
_RELATIONSHIP = st.one_of(
    _OBJECT_IDENTIFIERS.map(lambda identifiers: joined([('"identifiers"', identifiers)])),
    some({"identifiers": _OBJECT_IDENTIFIERS, "relationship_attributes": ANYTHING}),
)
_RELATIONSHIPS = st.one_of(
    _listed(_RELATIONSHIP),
    some(
        {
            "action": texts_of("add_relationships", "delete_relationships", "other"),
            "relationships": _listed(_RELATIONSHIP),
        }
    ),
)
_TOPICS = some({"topics": some({"topic_1": _FLAGS, "topic_2": _FLAGS}, _FLAGS)}, VALUES)
PREFERENCES = st.one_of(_TOPICS, _TOPICS.map(text))
_ADDRESS = st.one_of(
    some({"city": TEXTS, "street": TEXTS, "zip": TEXTS, "state": TEXTS}, VALUES), TEXTS
)


def many(start: int, count: int) -> Json:
    """Return an object of many small members."""
    return joined([(text(f"m{start + n}"), '"v"') for n in range(count)])


_CROWDS = st.one_of(
    st.sampled_from([many(0, 295), many(0, 300), many(0, 301), many(0, 320)]),
    st.just(joined([(text(f"t{n:02}"), text("é" * 490)) for n in range(40)])),
    st.just(joined([(text(f"t{n:03}"), text("é" * 490)) for n in range(110)])),
)
_TRAITS: dict[str, Strategy] = {
    "userId": IDS,
    "id": IDS,
    "cio_id": IDS,
    "anonymousId": IDS,
    "anonymous_id": IDS,
    "email": EMAILS,
    "phone": PHONES,
    "createdAt": DATES,
    "created_at": DATES,
    "_timestamp": DATES,
    "timestamp": DATES,
    "unsubscribed": _FLAGS,
    "address": _ADDRESS,
    "city": TEXTS,
    "cio_subscription_preferences": PREFERENCES,
    "cio_subscription_preferences.topics.topic_1": _FLAGS,
    "cio_subscription_preferences.": _FLAGS,
    "cio_relationships": _RELATIONSHIPS,
    "groupId": IDS,
    "objectTypeId": _OBJECT_TYPES,
    "object_type_id": _OBJECT_TYPES,
    "action": texts_of("identify", "delete", "add_relationships", "delete_relationships", "x", ""),
    "relationshipAttributes": some({"role": TEXTS}, VALUES),
    "plan": VALUES,
    "_update": WORDS,
}
_PROPERTIES: dict[str, Strategy] = {
    "email": EMAILS,
    "url": TEXTS,
    "path": TEXTS,
    "title": TEXTS,
    "name": TEXTS,
    "timestamp": DATES,
    "action": texts_of("identify", "delete", "x"),
    "objectId": IDS,
    "objectTypeId": _OBJECT_TYPES,
    "object_type_id": _OBJECT_TYPES,
    "deliveryId": IDS,
    "metric": texts_of("opened", "clicked", "converted", "delivered", "bounced", "x"),
    "recipient": st.one_of(EMAILS, TOKENS),
    "from_address": EMAILS,
    "reply_to": EMAILS,
    "event_recipient": TEXTS,
    "reason": TEXTS,
    "href": TEXTS,
    "actionName": TEXTS,
    "actionValue": VALUES,
    "device": some({"token": TOKENS, "type": _PLATFORMS}),
    "device_os": TEXTS,
    "total": NUMBERS,
    "when": DATES,
}


def _crowded(fields: dict[str, Strategy]) -> Strategy:
    usual = st.builds(
        lambda members, more: (
            members if not more else members[:-1] + ("," * (members != "{}")) + joined(more)[1:]
        ),
        some(fields, VALUES),
        ASSORTMENTS,
    )
    return seldom(12).flatmap(lambda crowded: _CROWDS if crowded else usual)


TRAITS = _crowded(_TRAITS)
PROPERTIES = _crowded(_PROPERTIES)
_CONSENT = some(
    {
        "deniedConsentIds": _listed(texts_of("ads", "stats", "")),
        "provider": texts_of("", "oneTrust", "ketch", "custom"),
        "resolutionStrategy": texts_of("or", "and"),
    }
)
_CONTEXT: dict[str, Strategy] = {
    "traits": some(_TRAITS, VALUES),
    "mappedToDestination": written_as("true", '"true"', "false"),
    "externalId": _listed(
        some(
            {"id": IDS, "identifierType": texts_of("email", "id", "plan", "cio_id", "", "x" * 151)}
        )
    ),
    "device": some({"token": TOKENS, "type": _PLATFORMS, "model": TEXTS}),
    "os": some({"name": _PLATFORMS}),
    "app": some({"version": TEXTS}),
    "library": some({"name": _PLATFORMS}),
    "page": some({"url": TEXTS, "path": TEXTS, "title": TEXTS}),
    "locale": TEXTS,
    "timestamp": DATES,
    "consentManagement": _CONSENT,
}
CONTEXTS = some(_CONTEXT, VALUES)
_ROWS: dict[str, Strategy] = {
    "cio_id": IDS,
    "id": IDS,
    "email": EMAILS,
    "created_at": DATES,
    "name": _NAMES_OF_EVENTS,
    "plan": VALUES,
    **{
        name: _TRAITS[name]
        for name in ("unsubscribed", "cio_relationships", "_timestamp", "_update")
    },
    "anonymous_id": IDS,
    "cio_subscription_preferences": PREFERENCES,
}
ROWS = _crowded(_ROWS)
FIELDS: dict[str, Strategy] = {
    "messageId": IDS,
    "userId": IDS,
    "anonymousId": IDS,
    "previousId": IDS,
    "groupId": IDS,
    "event": _NAMES_OF_EVENTS,
    "name": _NAMES_OF_EVENTS,
    "channel": texts_of("web", "mobile", "server", "sources"),
    "timestamp": DATES,
    "originalTimestamp": DATES,
    "action": texts_of("insert", "update", "delete", "Insert"),
    "traits": TRAITS,
    "properties": PROPERTIES,
    "context": CONTEXTS,
    "user_properties": TRAITS,
    "identifiers": ROWS,
}
_NEEDED: dict[str, tuple[str, ...]] = {
    "identify": ("userId", "traits"),
    "track": ("userId", "event", "properties"),
    "page": ("userId", "name", "properties"),
    "screen": ("userId", "event", "properties"),
    "alias": ("userId", "previousId"),
    "group": ("userId", "groupId", "traits"),
    "record": ("action", "identifiers"),
}


class Member(NamedTuple):
    """One member of an event: its name, and the text of its value."""

    name: str
    value: Json


@st.composite
def event_members(draw: st.DrawFn) -> list[Member]:
    """Draw the members of an event: those that its type needs, most of the time, and others."""
    kind = draw(st.sampled_from(TYPES))
    odd_type = draw(seldom(20))
    members = [Member("type", draw(_ODD_TYPES) if odd_type else text(kind))]
    needed = [name for name in _NEEDED[kind] if not draw(seldom(12))]
    others = st.lists(st.sampled_from(sorted(FIELDS)), unique=True, max_size=5)
    for name in dict.fromkeys([*needed, *draw(others)]):
        wild = draw(seldom(40))
        members.append(Member(name, draw(ANYTHING if wild else FIELDS[name])))
    if draw(seldom(25)):
        members.append(Member(draw(st.sampled_from(members)).name, draw(VALUES)))
    return members


def as_json(members: list[Member]) -> bytes:
    """Return the event of the members."""
    event = joined([(text(name), value) for name, value in members])
    return event.encode("utf-8", "surrogatepass")


EVENTS = event_members().map(as_json)
"""Events in UTF-8. Nearly all are JSON."""
BATCHES = st.lists(EVENTS, min_size=1, max_size=8)
