"""Attributes under Customer.io's own names, in a form that Customer.io can read. Rules 4.8, 4.8b."""

from collections.abc import Callable, Container

from msgspec import DecodeError, Raw

from ..identifiers import id_text, without_white_space
from ..json_text import ABSENT, NULL, elements, encode, first_byte, members, text_of, value
from ..operations import ADD_RELATIONSHIPS, DELETE_RELATIONSHIPS, Attributes
from ..outcomes import WarningCode
from ..times import UnusableTime, attribute_seconds
from .context import RuleContext
from .event_times import unless_ahead

_RELATIONSHIP_ACTIONS = (ADD_RELATIONSHIPS, DELETE_RELATIONSHIPS)
_CIO = "cio_"
_PREFERENCES = "cio_subscription_preferences"
_TOPIC = _PREFERENCES + ".topics."
_YES = frozenset(("true", "yes", "y", "t", "on", "1"))
_NO = frozenset(("false", "no", "n", "f", "off", "0"))
_TRUE, _FALSE = Raw(b"true"), Raw(b"false")


def make_readable(context: RuleContext, attributes: Attributes, settled: Container[str]) -> None:
    """Put attributes under Customer.io's own names into a form that it can read. Rule 4.8b.

    An attribute that has no such form is left out with a warning. `sent_timestamp` does the same
    for `_timestamp`.

    Args:
        context: The event.
        attributes: All attributes; changed in place.
        settled: Names that will get another value, so that their value here is not read.
    """
    if "email" in attributes:
        email = value(attributes["email"])
        if type(email) is str and email.strip() != email:
            attributes["email"] = _without_white_space(context, email)
    for name, form in _OWN_FORMS:
        if name in attributes and name not in settled:
            _put(attributes, name, form(context, attributes[name]))
    # Few people have any of these, and one look for all of them costs less than one for each.
    if _CIO in "\n".join(attributes):
        for name, form in _CIO_FORMS:
            if name in attributes:
                _put(attributes, name, form(context, attributes[name]))
        _make_topics_boolean(context, attributes)


def _put(attributes: Attributes, name: str, readable: Raw | None) -> None:
    if readable is None:
        del attributes[name]
    else:
        attributes[name] = readable


def sent_timestamp(context: RuleContext, raw: Raw) -> int | None:
    """Return the seconds since 1970 of an attribute `_timestamp`, or None with a warning.

    Rules 2.5, 4.8b.
    """
    return unless_ahead(context, _seconds(context, "_timestamp", raw), "attribute '_timestamp'")


def meant_boolean(raw: Raw) -> Raw | None:
    """Return the boolean that a value means, or None if it means neither. Rule 4.8."""
    json_value = value(raw)
    if isinstance(json_value, str):
        lowered = json_value.lower()
        meant = True if lowered in _YES else False if lowered in _NO else None
    elif isinstance(json_value, (bool, int, float)) and json_value in (0, 1):
        meant = bool(json_value)
    else:
        meant = None
    return None if meant is None else _TRUE if meant else _FALSE


def _created_at(context: RuleContext, raw: Raw) -> Raw | None:
    if raw == NULL:
        return raw
    time_s = _seconds(context, "created_at", raw)
    return None if time_s is None else Raw(b"%d" % time_s)


def _seconds(context: RuleContext, name: str, raw: Raw) -> int | None:
    """Return the time, or None with a warning: a value that counts as absent is no time here."""
    try:
        time_s = attribute_seconds(raw)
    except UnusableTime:
        time_s = None
    if time_s is None:
        _warn_left_out(context, name, "no time", WarningCode.UNUSABLE_TIME)
    return time_s


def _anonymous_id(context: RuleContext, raw: Raw) -> Raw | None:
    json_value = value(raw)
    if json_value is None or isinstance(json_value, str):
        return raw
    try:
        text = id_text(json_value)
    except ValueError:
        text = None
    if text is None:
        _warn_left_out(context, "anonymous_id", "neither a text nor a number other than 0")
        return None
    return Raw(encode(text))


def _without_white_space(context: RuleContext, email: str) -> Raw:
    trimmed = without_white_space(email)
    if len(trimmed) == len(email) or not trimmed:
        return Raw(encode(email))
    context.warn(
        WarningCode.WHITE_SPACE_REMOVED,
        "white space around attribute 'email' was removed (rule 2.3)",
    )
    return Raw(encode(trimmed))


def _preferences(context: RuleContext, raw: Raw) -> Raw | None:
    if raw == NULL:
        return raw
    if first_byte(raw) == b'"':
        raw = _json_in(raw)
    if first_byte(raw) != b"{":
        _warn_left_out(context, _PREFERENCES, "no object")
        return None
    preferences = members(raw)
    if "topics" not in preferences:
        return raw
    if first_byte(preferences["topics"]) != b"{":
        _warn_left_out(context, f"{_PREFERENCES}.topics", "no object")
        del preferences["topics"]
        return Raw(encode(preferences))
    topics, unreadable = {}, 0
    for name, preference in members(preferences["topics"]).items():
        meant = meant_boolean(preference)
        if meant is None:
            unreadable += 1
        else:
            topics[name] = meant
    if unreadable:
        _warn_of_topics(context, unreadable)
    preferences["topics"] = Raw(encode(topics))
    return Raw(encode(preferences))


def _json_in(raw: Raw) -> Raw:
    """Return the JSON that a text holds, or ABSENT if it holds none."""
    inside = Raw((text_of(raw) or "").strip(" \t\r\n").encode(errors="replace"))
    try:
        members(inside)
    except (DecodeError, RecursionError):
        return ABSENT
    return inside


def _make_topics_boolean(context: RuleContext, attributes: Attributes) -> None:
    topics = [name for name in attributes if name.startswith(_TOPIC)]
    unreadable = 0
    for name in topics:
        meant = meant_boolean(attributes[name])
        if meant is None:
            unreadable += 1
            del attributes[name]
        else:
            attributes[name] = meant
    if unreadable:
        _warn_of_topics(context, unreadable)


def _warn_of_topics(context: RuleContext, count: int) -> None:
    context.warn(
        WarningCode.WRONG_TYPE,
        f"{count} of the topics of attribute '{_PREFERENCES}' are neither yes nor no and were"
        " left out (rule 4.8b)",
    )


def _relationships(context: RuleContext, raw: Raw) -> Raw | None:
    """Return relationships in the form that v1 takes: an object with an action and a list."""
    name = "cio_relationships"
    action: object = ADD_RELATIONSHIPS
    listed = raw
    if first_byte(raw) == b"{":
        fields = members(raw)
        listed = fields.get("relationships", ABSENT)
        action = value(fields["action"]) if "action" in fields else action
    if action not in _RELATIONSHIP_ACTIONS or first_byte(listed) != b"[":
        _warn_left_out(context, name, "no list of relationships")
        return None
    relationships = elements(listed)
    usable = [raw for raw in relationships if _has_identifiers(raw)]
    if len(usable) < len(relationships):
        context.warn(
            WarningCode.RELATIONSHIP_LEFT_OUT,
            f"{len(relationships) - len(usable)} of the relationships in attribute '{name}'"
            " have no object identifiers and were left out (rule 4.8b)",
        )
    if not usable:
        if not relationships:
            _warn_left_out(context, name, "an empty list")
        return None
    return Raw(encode({"action": action, "relationships": usable}))


def _has_identifiers(relationship: Raw) -> bool:
    return first_byte(members(relationship).get("identifiers", ABSENT)) == b"{"


def _warn_left_out(
    context: RuleContext, name: str, because: str, code: WarningCode = WarningCode.WRONG_TYPE
) -> None:
    context.warn(code, f"attribute '{name}' is {because} and was left out (rule 4.8b)")


_Form = Callable[[RuleContext, Raw], Raw | None]
_OWN_FORMS: tuple[tuple[str, _Form], ...] = (
    ("created_at", _created_at),
    ("anonymous_id", _anonymous_id),
)
_CIO_FORMS: tuple[tuple[str, _Form], ...] = (
    (_PREFERENCES, _preferences),
    ("cio_relationships", _relationships),
)
