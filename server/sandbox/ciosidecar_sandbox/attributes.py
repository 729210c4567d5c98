"""Updates of attributes: removal, order in time, subscription preferences, unsubscribed."""

from typing import Any

from .limits import MAX_ATTRIBUTES, usable_time

PREFERENCES = "cio_subscription_preferences"
_DOTTED = PREFERENCES + "."
_TIME_NAMES = frozenset(["created_at"])


def is_unsubscribed(value: Any) -> bool:
    """Return True for true in any case, 1 and "1"; Customer.io reads other values as subscribed."""
    if type(value) is str:
        return value == "1" or value.lower() == "true"
    return isinstance(value, bool | int | float) and value == 1


def is_empty(value: Any) -> bool:
    """Return True for null and "", which remove an attribute and count as unset in a merge."""
    return value is None or value == ""


def update(
    current: dict[str, Any], set_at: dict[str, float], changes: dict[str, Any], at: float
) -> tuple[list[str], list[str]]:
    """Change attributes as of a time.

    Args:
        current: The attributes, which this function changes.
        set_at: When each attribute was last set. An older update does not overwrite a newer one.
        changes: The new values by name.
        at: The time of the changes in Unix seconds.

    Returns:
        The reasons why changes were dropped, and remarks about others.
    """
    older: list[str] = []
    over: list[str] = []
    losses: list[str] = []
    remarks: list[str] = []
    for name, value in changes.items():
        if _last_set(set_at, name) > at:
            older.append(name)
        elif name.startswith(_DOTTED):
            set_at[name] = at
            current[PREFERENCES] = _with_preference(current.get(PREFERENCES), name, value)
        elif is_empty(value) and name != "unsubscribed":
            set_at[name] = at
            current.pop(name, None)
        elif name == PREFERENCES and type(value) is not dict:
            losses.append(f"{PREFERENCES} must be an object, not a string")
        else:
            new_value = _stored(name, value, remarks)
            if name not in current and len(current) >= MAX_ATTRIBUTES:
                over.append(name)
            else:
                set_at[name] = at
                current[name] = new_value
    if older:
        losses.append(f"older than the stored value: {_listed(older)}")
    if over:
        losses.append(f"a person has no more than {MAX_ATTRIBUTES} attributes: {_listed(over)}")
    _drop_removed(current, set_at)
    return losses, remarks


def _last_set(set_at: dict[str, float], name: str) -> float:
    last = set_at.get(name, 0.0)
    return max(last, set_at.get(PREFERENCES, 0.0)) if name.startswith(_DOTTED) else last


def _stored(name: str, value: Any, remarks: list[str]) -> Any:
    """Return the value that Customer.io stores, and remark on values that are easily misread."""
    if name == "unsubscribed":
        unsubscribed = is_unsubscribed(value)
        if type(value) is str and not unsubscribed and value.lower() != "false":
            remarks.append(f"unsubscribed {value!r} means subscribed")
        return unsubscribed
    if name in _TIME_NAMES and usable_time(value) is None:
        remarks.append(f"{name} is not in Unix seconds, so no rule on times matches it")
    return value


def _drop_removed(current: dict[str, Any], set_at: dict[str, float]) -> None:
    """Bound the memory of when attributes were set: drop those of removed attributes."""
    if len(set_at) > 4 * MAX_ATTRIBUTES:
        for name in [name for name in set_at if name not in current]:
            del set_at[name]


def _with_preference(preferences: Any, name: str, value: Any) -> dict[str, Any]:
    """Return the preferences with one of them changed: a dotted name is the path to it."""
    top = dict(preferences) if type(preferences) is dict else {}
    inner = top
    *path, last = name.removeprefix(_DOTTED).split(".")
    for part in path:
        child = inner.get(part)
        inner[part] = dict(child) if type(child) is dict else {}
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
    """Copy the attributes that the primary person of a merge does not have from the secondary."""
    for name, value in secondary.items():
        if name not in primary and len(primary) < MAX_ATTRIBUTES:
            primary[name] = value
