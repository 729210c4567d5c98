"""Devices in requests, as both versions of the API describe them."""

from typing import Any

from .limits import MAX_ATTRIBUTES, check_attributes
from .outcome import Refusal

PLATFORMS = ("ios", "android")
_KNOWN = frozenset(["id", "token", "platform", "last_used", "attributes"])


def device_attributes(device: Any, *, v2: bool) -> tuple[str, str, Any, dict[str, str], list[str]]:
    """Read a device; its token is device.id in v1 and device.token in v2.

    Returns:
        Token, platform, last_used, attributes, and the names of members that are ignored because
        they are not in `attributes`.

    Raises:
        Refusal: The device is not valid.
    """
    if device is None:
        raise Refusal("device must be present", "device", "required")
    if type(device) is not dict:
        raise Refusal("device must be an object", "device")
    token_name = "token" if v2 else "id"
    token, platform = device.get(token_name), device.get("platform")
    if type(token) is not str or not token:
        raise Refusal(f"device {token_name} must be a string", f"device.{token_name}", "required")
    if platform not in PLATFORMS:
        raise Refusal("device platform must be ios or android", "device.platform")
    attributes = device.get("attributes")
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
    ignored = [name for name in device if name not in _KNOWN]
    return token, platform, device.get("last_used"), attributes, ignored
