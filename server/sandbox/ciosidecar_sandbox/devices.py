"""A device as both versions of the API describe one."""

from typing import Any

from .limits import MAX_ATTRIBUTES, check_attributes
from .outcome import Refusal

PLATFORMS = ("ios", "android")
_KNOWN = frozenset(["id", "token", "platform", "last_used", "attributes"])


def device_attributes(found: Any, *, v2: bool) -> tuple[str, str, Any, dict[str, str], list[str]]:
    """Token, platform, last_used, attributes, and names that stand where they are ignored.

    The token is device.id in v1, device.token in v2. Raises Refusal.
    """
    if found is None:
        raise Refusal("device must be present", "device", "required")
    if type(found) is not dict:
        raise Refusal("device must be an object", "device")
    name_of_token = "token" if v2 else "id"
    token, platform = found.get(name_of_token), found.get("platform")
    if type(token) is not str or not token:
        raise Refusal(
            f"device {name_of_token} must be a string", f"device.{name_of_token}", "required"
        )
    if platform not in PLATFORMS:
        raise Refusal("device platform must be ios or android", "device.platform")
    attributes = found.get("attributes")
    if attributes is None:
        attributes = {}
    if type(attributes) is not dict:
        raise Refusal("device attributes must be an object", "device.attributes")
    if len(attributes) > MAX_ATTRIBUTES:
        raise Refusal(f"a device has no more than {MAX_ATTRIBUTES} attributes", "device.attributes")
    for name, value in attributes.items():
        if type(value) is not str:
            raise Refusal(
                f"device attribute '{name}' must be a string", f"device.attributes.{name}"
            )
    check_attributes(attributes, v2=v2, field="device.attributes")
    ignored = [name for name in found if name not in _KNOWN]
    return token, platform, found.get("last_used"), attributes, ignored
