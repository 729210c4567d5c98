"""How an update changes attributes: removal, order in time, subscriptions, the odd unsubscribed."""

from typing import Any

from .limits import MAX_ATTRIBUTES, usable_time

PREFERENCES = "cio_subscription_preferences"
_DOTTED = PREFERENCES + "."
_TIME_NAMES = frozenset(["created_at"])


def is_unsubscribed(value: Any) -> bool:
    """Customer.io's rule: true in any case, 1 and "1" unsubscribe; everything else subscribes."""
    if type(value) is str:
        return value == "1" or value.lower() == "true"
    return type(value) in (bool, int, float) and value == 1


def is_empty(value: Any) -> bool:
    """null and "" remove an attribute, and count as unset in a merge."""
    return value is None or value == ""


def update(
    current: dict[str, Any], set_at: dict[str, float], changes: dict[str, Any], at: float
) -> tuple[list[str], list[str]]:
    """Changes `current` as of a time; answers what was dropped, and remarks.

    set_at: when each attribute was last set; an older update does not overwrite a newer one.
    """
    older: list[str] = []
    over: list[str] = []
    losses: list[str] = []
    remarks: list[str] = []
    for name, value in changes.items():
        dotted = name.startswith(_DOTTED)
        last = set_at.get(name, 0.0)
        if dotted:
            last = max(last, set_at.get(PREFERENCES, 0.0))
        if last > at:
            older.append(name)
            continue
        if name == "unsubscribed":
            if type(value) is str and not is_unsubscribed(value) and value.lower() != "false":
                remarks.append(f"unsubscribed {value!r} means subscribed")
            kept = is_unsubscribed(value)
        elif dotted:
            set_at[name] = at
            current[PREFERENCES] = _with_preference(current.get(PREFERENCES), name, value)
            continue
        elif is_empty(value):
            set_at[name] = at
            current.pop(name, None)
            continue
        else:
            if name == PREFERENCES and type(value) is not dict:
                losses.append(f"{PREFERENCES} must be an object, not its text")
                continue
            if name in _TIME_NAMES and usable_time(value) is None:
                remarks.append(f"{name} is not in Unix seconds, so no rule on times matches it")
            kept = value
        if name not in current and len(current) >= MAX_ATTRIBUTES:
            over.append(name)
            continue
        set_at[name] = at
        current[name] = kept
    if older:
        losses.append(f"older than what is there: {_listed(older)}")
    if over:
        losses.append(f"a person has no more than {MAX_ATTRIBUTES} attributes: {_listed(over)}")
    if len(set_at) > 4 * MAX_ATTRIBUTES:
        for name in [name for name in set_at if name not in current]:
            del set_at[name]
    return losses, remarks


def _with_preference(found: Any, name: str, value: Any) -> dict[str, Any]:
    """The preferences with one of them changed, which is what a name with dots is for."""
    top = dict(found) if type(found) is dict else {}
    inner = top
    *path, last = name.removeprefix(_DOTTED).split(".")
    for part in path:
        below = inner.get(part)
        inner[part] = dict(below) if type(below) is dict else {}
        inner = inner[part]
    if is_empty(value):
        inner.pop(last, None)
    else:
        inner[last] = value
    return top


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def fill_gaps(primary: dict[str, Any], secondary: dict[str, Any]) -> None:
    """What a merge does to attributes: those unset or empty on the primary come from the other."""
    for name, value in secondary.items():
        if name not in primary and len(primary) < MAX_ATTRIBUTES:
            primary[name] = value
