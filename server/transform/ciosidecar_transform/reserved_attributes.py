"""Attributes under Customer.io's own names, in a form that it can read. Rules 4.8 and 4.8b."""

from collections.abc import Callable, Container

from msgspec import DecodeError, Raw

from .identity import id_text, without_white_space
from .json_text import ABSENT, NULL, elements, encode, first_byte, members, text_of, value
from .operations import Attributes
from .outcomes import Warning, WarningCode
from .times import UnusableTime, attribute_seconds, unless_ahead

RELATIONSHIP_ACTIONS = (ADD_RELATIONSHIPS, DELETE_RELATIONSHIPS) = (
    "add_relationships",
    "delete_relationships",
)
_CIO = "cio_"
_PREFERENCES = "cio_subscription_preferences"
_TOPIC = _PREFERENCES + ".topics."
_YES = frozenset(("true", "yes", "y", "t", "on", "1"))
_NO = frozenset(("false", "no", "n", "f", "off", "0"))
_TRUE, _FALSE = Raw(b"true"), Raw(b"false")


def make_readable(attributes: Attributes, settled: Container[str], warnings: list[Warning]) -> None:
    """Put what stands under Customer.io's own names into a form that it can read. Rule 4.8b.

    What cannot be is left out with a warning. settled: names that get another value, so that
    theirs is not looked at. `_timestamp` is the matter of `own_timestamp`.
    """
    if "email" in attributes:
        email = value(attributes["email"])
        if type(email) is str and email.strip() != email:
            attributes["email"] = _without_white_space(email, warnings)
    for name, form in _OWN_FORMS:
        if name in attributes and name not in settled:
            _put(attributes, name, form(attributes[name], warnings))
    # Few people have any of these, and one look for all of them costs less than one for each.
    if _CIO in "\n".join(attributes):
        for name, form in _CIO_FORMS:
            if name in attributes:
                _put(attributes, name, form(attributes[name], warnings))
        _make_topics_boolean(attributes, warnings)


def _put(attributes: Attributes, name: str, readable: Raw | None) -> None:
    if readable is None:
        del attributes[name]
    else:
        attributes[name] = readable


def own_timestamp(raw: Raw, now: int, warnings: list[Warning]) -> int | None:
    """Return the seconds since 1970 of an attribute `_timestamp`, or None with a warning.

    Rules 2.5, 4.8b. now: seconds since 1970.
    """
    seconds = _seconds("_timestamp", raw, warnings)
    return unless_ahead(seconds, "attribute '_timestamp'", warnings, now)


def meant_boolean(raw: Raw) -> Raw | None:
    """Return the boolean that a value means, or None if it means neither. Rule 4.8."""
    found = value(raw)
    if isinstance(found, str):
        lowered = found.lower()
        meant = True if lowered in _YES else False if lowered in _NO else None
    else:
        meant = bool(found) if isinstance(found, (bool, int, float)) and found in (0, 1) else None
    return None if meant is None else _TRUE if meant else _FALSE


def _created_at(raw: Raw, warnings: list[Warning]) -> Raw | None:
    if raw == NULL:
        return raw
    seconds = _seconds("created_at", raw, warnings)
    return None if seconds is None else Raw(b"%d" % seconds)


def _seconds(name: str, raw: Raw, warnings: list[Warning]) -> int | None:
    """The time, or None with a warning: what counts as absent elsewhere is no time either."""
    try:
        found = attribute_seconds(raw)
    except UnusableTime:
        found = None
    if found is None:
        _left_out(name, "no time", warnings, WarningCode.UNUSABLE_TIME)
    return found


def _anonymous_id(raw: Raw, warnings: list[Warning]) -> Raw | None:
    found = value(raw)
    if found is None or isinstance(found, str):
        return raw
    try:
        text = id_text(found)
    except ValueError:
        text = None
    if text is None:
        _left_out("anonymous_id", "neither a text nor a number other than 0", warnings)
        return None
    return Raw(encode(text))


def _without_white_space(email: str, warnings: list[Warning]) -> Raw:
    trimmed = without_white_space(email)
    if len(trimmed) == len(email) or not trimmed:
        return Raw(encode(email))
    warnings.append(
        Warning(
            WarningCode.WHITE_SPACE_REMOVED,
            "white space around attribute 'email' was taken off (2.3)",
        )
    )
    return Raw(encode(trimmed))


def _preferences(raw: Raw, warnings: list[Warning]) -> Raw | None:
    if raw == NULL:
        return raw
    if first_byte(raw) == b'"':
        raw = _json_in(raw)
    if first_byte(raw) != b"{":
        _left_out(_PREFERENCES, "no object", warnings)
        return None
    found = members(raw)
    if "topics" not in found:
        return raw
    if first_byte(found["topics"]) != b"{":
        _left_out(f"{_PREFERENCES}.topics", "no object", warnings)
        del found["topics"]
        return Raw(encode(found))
    topics, unreadable = {}, 0
    for name, preference in members(found["topics"]).items():
        meant = meant_boolean(preference)
        if meant is None:
            unreadable += 1
        else:
            topics[name] = meant
    if unreadable:
        _warn_of_topics(unreadable, warnings)
    found["topics"] = Raw(encode(topics))
    return Raw(encode(found))


def _json_in(raw: Raw) -> Raw:
    """The JSON that a text holds, or nothing."""
    inside = Raw((text_of(raw) or "").strip(" \t\r\n").encode(errors="replace"))
    try:
        members(inside)
    except (DecodeError, RecursionError):
        return ABSENT
    return inside


def _make_topics_boolean(attributes: Attributes, warnings: list[Warning]) -> None:
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
        _warn_of_topics(unreadable, warnings)


def _warn_of_topics(count: int, warnings: list[Warning]) -> None:
    warnings.append(
        Warning(
            WarningCode.WRONG_TYPE,
            f"{count} of the topics of attribute '{_PREFERENCES}' are neither yes nor no and were"
            " left out (4.8b)",
        )
    )


def _relationships(raw: Raw, warnings: list[Warning]) -> Raw | None:
    """The form that v1 takes: an object with an action and a list."""
    action: object = ADD_RELATIONSHIPS
    listed = raw
    if first_byte(raw) == b"{":
        found = members(raw)
        listed = found.get("relationships", ABSENT)
        action = value(found["action"]) if "action" in found else action
    if action not in RELATIONSHIP_ACTIONS or first_byte(listed) != b"[":
        _left_out("cio_relationships", "no list of relationships", warnings)
        return None
    given = elements(listed)
    named = [one for one in given if first_byte(members(one).get("identifiers", ABSENT)) == b"{"]
    if len(named) < len(given):
        warnings.append(
            Warning(
                WarningCode.RELATIONSHIP_LEFT_OUT,
                f"{len(given) - len(named)} of the relationships in attribute 'cio_relationships'"
                " have no object identifiers and were left out (4.8b)",
            )
        )
    if not named:
        if not given:
            _left_out("cio_relationships", "an empty list", warnings)
        return None
    return Raw(encode({"action": action, "relationships": named}))


def _left_out(
    name: str,
    because: str,
    warnings: list[Warning],
    code: WarningCode = WarningCode.WRONG_TYPE,
) -> None:
    warnings.append(Warning(code, f"attribute '{name}' is {because} and was left out (4.8b)"))


_Form = Callable[[Raw, list[Warning]], Raw | None]
_OWN_FORMS: tuple[tuple[str, _Form], ...] = (
    ("created_at", _created_at),
    ("anonymous_id", _anonymous_id),
)
_CIO_FORMS: tuple[tuple[str, _Form], ...] = (
    (_PREFERENCES, _preferences),
    ("cio_relationships", _relationships),
)
