"""Values of settings that cannot work, with the reason. Used by `serve` and by testing.py."""

import math
import re
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints
from urllib.parse import parse_qs, urlsplit

from .settings import Settings

# gRPC counts a message's bytes, and the contract counts events and destinations, in 32 bits.
_MAX_INT32 = 2**31 - 1
_MAX_INT64 = 2**63 - 1
# The least max_receive_bytes of a caller: a smaller message has no room for an event's detail.
MIN_MESSAGE_BYTES = 65_536
# The fields of a message beside one event: ids, a tag, the lengths of protobuf.
_BESIDE_EVENT_BYTES = 8_192
# The shortest event that becomes a request: {"type":"identify","userId":"1"}
_MIN_EVENT_BYTES = 31
_DAY_S = 86_400
# A new connection is idle until its first call is there: with less, a slow network lets no call work.
_MIN_IDLE_S = 1
_HOST_URL = re.compile(
    r"https?://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[(?P<ipv6>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?/?",
    re.ASCII | re.IGNORECASE,
)
NOT_A_HOST_URL = (
    "must be http://host:port or https://host:port and nothing else: no path, no query, no user, no"
    " blank; write a host with letters other than a to z in its xn-- form"
)

_Reason = str | None
_Rule = Callable[[Any], _Reason]

NOT_A_REDIS_URL = (
    "must be redis://host:port/database, rediss://host:port/database or unix:///path; write %2F, %3F, %23 and %40"
    " for / ? # and @ in a password"
)
_DATABASE = re.compile(r"(/[0-9]{0,4})?", re.ASCII)


class WrongSetting(NamedTuple):
    """A setting whose value cannot work."""

    name: str
    """The name of the field of Settings."""
    reason: str
    """A message for people. Never quotes a value that may hold a password."""


class InvalidSettings(ValueError):
    """Settings cannot work together, or by themselves."""

    def __init__(self, wrong: list[WrongSetting]) -> None:
        super().__init__("; ".join(f"{setting.name} {setting.reason}" for setting in wrong))
        self.wrong = wrong


def check_settings(settings: Settings) -> None:
    """Check that the settings can work.

    Raises:
        InvalidSettings: They cannot. The exception lists every reason.
    """
    if wrong := wrong_settings(settings):
        raise InvalidSettings(wrong)


def wrong_settings(settings: Settings) -> list[WrongSetting]:
    """Return the settings that cannot work, each with its reason."""
    values = {name: getattr(settings, name) for name in RULES}
    wrong = [
        WrongSetting(name, reason)
        for name, value in values.items()
        if (reason := RULES[name](value)) is not None
    ]
    # Settings are compared only if each is good by itself.
    return wrong or _contradictions(settings)


def _contradictions(settings: Settings) -> list[WrongSetting]:
    wrong = []
    if settings.max_event_bytes + _BESIDE_EVENT_BYTES > settings.max_message_bytes:
        most = settings.max_message_bytes - _BESIDE_EVENT_BYTES
        reason = (
            f"must be at most {most}: max_message_bytes is {settings.max_message_bytes}, and a message"
            f" needs {_BESIDE_EVENT_BYTES} bytes beside an event"
        )
        wrong.append(WrongSetting("max_event_bytes", reason))
    if settings.replicas is not None and settings.rate_store is None:
        wrong.append(WrongSetting("replicas", "needs --rate-store"))
    return wrong


def is_host_url(url: str) -> bool:
    """Return whether a URL is http or https with a host, perhaps a port, and nothing else."""
    match = _HOST_URL.fullmatch(url)
    if match is None:
        return False
    if match["ipv6"]:
        try:
            IPv6Address(match["ipv6"])
        except ValueError:
            return False
    return match["port"] is None or 0 < int(match["port"]) < 65_536


def _whole(least: int, most: int) -> _Rule:
    def rule(value: Any) -> _Reason:
        if not isinstance(value, int) or isinstance(value, bool):
            return "must be a whole number"
        if value < least:
            return f"must be at least {least}"
        return f"must be at most {most}" if value > most else None

    return rule


def _number(least: float, most: float, *, above: bool) -> _Rule:
    """Return the rule of a number. above: whether the number must be greater than `least`."""

    def rule(value: Any) -> _Reason:
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not math.isfinite(value)
        ):
            return "must be a finite number"
        if value < least or (above and value == least):
            return f"must be {'greater than' if above else 'at least'} {least:g}"
        return f"must be at most {most:.0f}" if value > most else None

    return rule


def _seconds(*, above_zero: bool) -> _Rule:
    return _number(0, _DAY_S, above=above_zero)


def _choice(name: str) -> _Rule:
    choices = get_args(get_type_hints(Settings)[name])

    def rule(value: Any) -> _Reason:
        return None if value in choices else f"must be one of {', '.join(choices)}"

    return rule


def _flag(value: Any) -> _Reason:
    return None if isinstance(value, bool) else "must be true or false"


def _optional(rule: _Rule) -> _Rule:
    return lambda value: None if value is None else rule(value)


def _path(value: Any) -> _Reason:
    if not isinstance(value, Path):
        return "must be a path"
    # Path("") is the current directory, which is what an empty variable would become.
    return "must name a file" if value == Path() else None


def _addresses(value: Any) -> _Reason:
    if not isinstance(value, tuple) or not all(isinstance(address, str) for address in value):
        return "must be a tuple of addresses"
    if not value:
        return "must have an address"
    if not all(address.strip() for address in value):
        return "has a blank address"
    # Port 0 is another port each time.
    fixed = [address for address in value if not address.endswith(":0")]
    return "has an address twice" if len(set(fixed)) < len(fixed) else None


def _host_url(value: Any) -> _Reason:
    return None if isinstance(value, str) and is_host_url(value) else NOT_A_HOST_URL


def _redis_url(value: Any) -> _Reason:
    """Return the reason against a URL of Redis. It never quotes the URL, which may hold a password."""
    if not isinstance(value, str) or any(character <= " " for character in value):
        return NOT_A_REDIS_URL
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        return NOT_A_REDIS_URL
    is_socket = url.scheme == "unix" and url.path.startswith("/") and url.path != "/"
    is_host = url.scheme in ("redis", "rediss") and _DATABASE.fullmatch(url.path) is not None
    if url.fragment or port == 0 or not (is_socket or (is_host and url.hostname)):
        return NOT_A_REDIS_URL
    if parse_qs(url.query, keep_blank_values=True).keys() & {"username", "password"}:
        return "must have user and password before the host, where they are masked: redis://user:password@host"
    return None


def _text(value: Any) -> _Reason:
    """Return the reason against a value that is no text: what is in a text is checked where it is used."""
    return None if isinstance(value, str) else "must be a text"


RULES: dict[str, _Rule] = {
    "listen": _addresses,
    "tls_cert": _optional(_path),
    "tls_key": _optional(_path),
    "tls_client_ca": _optional(_path),
    "auth_token_file": _optional(_path),
    "insecure": _flag,
    "socket_mode": _optional(_text),
    "socket_group": _optional(_text),
    "admin_listen": _text,
    "workers": _whole(1, 1_024),
    "worker_start_timeout_s": _seconds(above_zero=True),
    "grace_s": _seconds(above_zero=False),
    "max_batch_events": _whole(1, _MAX_INT32),
    "max_event_bytes": _whole(_MIN_EVENT_BYTES, _MAX_INT32),
    "max_message_bytes": _whole(MIN_MESSAGE_BYTES, _MAX_INT32),
    "max_destinations": _whole(1, _MAX_INT32),
    "max_outstanding_events": _whole(1, _MAX_INT32),
    "max_outstanding_bytes": _whole(1, _MAX_INT64),
    "connection_idle_s": _number(_MIN_IDLE_S, _DAY_S, above=False),
    "max_unary_bytes": _whole(1, _MAX_INT64),
    "delivery": _flag,
    "delivery_rate": _number(0, 1_000_000, above=True),
    "rate_store": _optional(_redis_url),
    "replicas": _optional(_whole(1, 100_000)),
    "delivery_concurrency": _whole(1, _MAX_INT32),
    "delivery_timeout_s": _seconds(above_zero=True),
    "request_timeout_s": _seconds(above_zero=True),
    "connect_timeout_s": _seconds(above_zero=True),
    "max_connections": _whole(1, _MAX_INT32),
    "http2": _flag,
    "customerio_url": _optional(_host_url),
    "customerio_eu_url": _optional(_host_url),
    "destinations": _optional(_path),
    "destination_defaults": _optional(_path),
    "reflection": _flag,
    "log_level": _choice("log_level"),
    "log_format": _choice("log_format"),
    "metrics_destinations": _whole(1, _MAX_INT32),
    "tap_bodies": _flag,
    "core_dumps": _flag,
}
"""The rule of each setting. It returns the reason why a value cannot work, or None."""
