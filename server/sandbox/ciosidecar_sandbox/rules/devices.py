"""Devices of people."""

from typing import Any

from ..identifiers import Identifier
from ..outcome import Effect, applied, dropped
from ..people import Device
from ..workspace import Workspace
from .finding import find_or_create, unknown

MAX_DEVICES = 100
"""Limit of one person in the sandbox. The oldest are removed."""


def add_device(
    workspace: Workspace,
    who: Identifier,
    token: str,
    platform: str,
    last_used: Any,
    attributes: dict[str, str],
    ignored: list[str],
) -> Effect:
    """Add or update a device.

    Args:
        workspace: The workspace to change.
        who: The person.
        token: The device's token.
        platform: ios or android.
        last_used: The time of last use as sent.
        attributes: The device's attributes. "" removes one.
        ignored: Names of members that are ignored because they are not in `attributes`.
    """
    person = find_or_create(workspace, who)
    if isinstance(person, Effect):
        return person
    remarks: list[str] = []
    at = workspace.time_of(last_used, remarks)
    device = person.devices.pop(token, None)
    if device is None:
        device = Device(token, platform, at, {})
    person.devices[token] = device
    device.platform, device.last_used = platform, at
    for name, value in attributes.items():
        if value == "":
            device.attributes.pop(name, None)
        else:
            device.attributes[name] = value
    if len(person.devices) > MAX_DEVICES:
        del person.devices[next(iter(person.devices))]
    if ignored:
        remarks.append(f"not in device.attributes, so ignored: {', '.join(ignored[:5])}")
    return applied(person.cio_id, remarks)


def delete_device(workspace: Workspace, who: Identifier, token: str) -> Effect:
    """Remove a device."""
    person = workspace.people.find(who)
    if person is None:
        return unknown(who)
    if person.devices.pop(token, None) is None:
        return dropped("the person has no such device", person.cio_id)
    return applied(person.cio_id)
