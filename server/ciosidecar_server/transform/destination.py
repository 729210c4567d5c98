"""What the user configured, checked once. SPEC 11."""

import re
from typing import Any, NamedTuple

from msgspec import Raw, Struct, ValidationError
from msgspec.json import Decoder

from .filters import Filters, read_filters
from .json_text import DecodeError, repair_surrogates, value
from .request import BASE_URLS, Endpoints, endpoints
from .result import ErrorCode, Refused

DEVICE_EVENTS = ("Application Installed", "Application Opened")
_TEMPLATE = re.compile(r"\{\{.*\}\}", re.DOTALL)
_decode_config = Decoder(dict[str, Raw]).decode


class SettingProblem(NamedTuple):
    """Something wrong with a destination's settings."""

    key: str
    """As the dashboard's JSON names it."""
    text: str
    """What is wrong and what would be right. Never quotes the value."""
    fatal: bool
    """True: the destination cannot be used. False: the setting is ignored."""


class Destination(Struct, frozen=True, eq=False):
    """A Customer.io workspace, ready to use: everything that does not vary by event is computed."""

    endpoints: Endpoints
    """Methods, hosts and headers of its calls. Holds the credentials."""
    device_events: tuple[str, ...]
    """The track events that register a device token (6.1)."""
    identify_by_email: bool
    """Whether an identify without user id goes by email, not by anonymous id (3.3)."""
    fill_created_at: bool
    """Whether a missing `created_at` becomes the event's time (4.5)."""
    event_ids: bool
    """Whether events carry a ULID (5.6)."""
    filters: Filters | None
    """What it does not want, or None if it wants everything (11.3)."""


class _Reader:
    """Reads settings from a config and collects what is wrong with them."""

    def __init__(self, config: dict[str, Raw]) -> None:
        self.config = config
        self.problems: list[SettingProblem] = []

    def refuse(self, key: str, text: str) -> None:
        self.problems.append(SettingProblem(key, f"{text} (11.1)", fatal=True))

    def ignore(self, key: str, text: str) -> None:
        self.problems.append(SettingProblem(key, text, fatal=False))

    def first(self, *keys: str, blank_counts: bool = True) -> tuple[str, Any]:
        """The first key that is given, and its value; null counts as not given."""
        for key in keys:
            found = value(self.config[key]) if key in self.config else None
            if found is not None and (blank_counts or found != ""):
                return key, found
        return keys[0], None

    def credential(self, *keys: str) -> str:
        key, found = self.first(*keys)
        if found is None:
            self.refuse(key, "is missing: copy it from Customer.io, Settings, API credentials")
        elif not isinstance(found, str) or not found.strip():
            self.refuse(key, "must be a text that is not blank")
        elif _is_reference(found):
            self.refuse(key, "is a template or an env. reference that nobody resolved")
        else:
            return found
        return ""

    def choice(self, key: str, default: str, other: str) -> str:
        _, found = self.first(key)
        if found is None:
            return default
        if found not in (default, other):
            self.refuse(key, f'must be "{default}" or "{other}"')
        return found if isinstance(found, str) else default

    def region(self) -> str:
        key, found = self.first("datacenter", "region", blank_counts=False)
        older = self.first("datacenterEU")[1]
        if isinstance(older, str) and _TEMPLATE.search(older):
            self.refuse("datacenterEU", "is a template that nobody resolved")
        if found is None:
            return "EU" if older is True else "US"
        region = found.upper() if isinstance(found, str) else ""
        if region not in BASE_URLS:
            self.refuse(key, 'must be "US" or "EU"')
            return "US"
        if older is True and region != "EU":
            self.refuse(key, "contradicts datacenterEU")
        return region

    def device_token_event(self) -> tuple[str, ...]:
        key, found = self.first("deviceTokenEventName")
        if found is None or found == "":
            return ()
        if not isinstance(found, str):
            self.refuse(key, "must be a text")
            return ()
        if _TEMPLATE.search(found):
            self.refuse(key, "is a template that nobody resolved")
        return (found,)


def _is_reference(text: str) -> bool:
    return text.strip().startswith("env.") or _TEMPLATE.search(text) is not None


def read_destination(config_json: bytes) -> tuple[Destination | None, list[SettingProblem]]:
    """The destination of a dashboard's config, or None, and what is wrong with the config.

    config_json: the config as a JSON object in UTF-8. Unknown keys are ignored.
    """
    try:
        str(config_json, "utf-8")
        config: dict[str, Raw] | None = _decode_config(config_json)
    except (UnicodeDecodeError, DecodeError, RecursionError):
        config = _decode_repaired(config_json)
    if config is None:
        return None, [
            SettingProblem("", "the config must be a JSON object in UTF-8 (11.1)", fatal=True)
        ]
    reader = _Reader(config)
    site_id = reader.credential("siteID", "siteId")
    api_key = reader.credential("apiKey")
    region = reader.region()
    device_token_event = reader.device_token_event()
    if reader.choice("apiVersion", "v1", "v2") == "v2":
        reader.refuse("apiVersion", 'this server speaks "v1" only')
    identify_fallback = reader.choice("identifyFallback", "anonymousId", "email")
    created_at_fallback = reader.choice("createdAtFallback", "timestamp", "none")
    event_ids = reader.choice("eventIds", "ulid", "none")
    filters = read_filters(lambda key: reader.first(key)[1], reader.ignore)
    if any(problem.fatal for problem in reader.problems):
        return None, reader.problems
    destination = Destination(
        endpoints=endpoints(BASE_URLS[region], site_id, api_key),
        device_events=(*DEVICE_EVENTS, *device_token_event),
        identify_by_email=identify_fallback == "email",
        fill_created_at=created_at_fallback == "timestamp",
        event_ids=event_ids == "ulid",
        filters=filters or None,
    )
    return destination, reader.problems


def _decode_repaired(config_json: bytes) -> dict[str, Raw] | None:
    try:
        str(config_json, "utf-8")
        return _decode_config(repair_surrogates(config_json))
    except (UnicodeDecodeError, ValidationError, DecodeError, RecursionError):
        return None


def unusable(problems: list[SettingProblem]) -> Refused:
    """What every event for a destination with such problems is refused with. SPEC 11.1."""
    problem = next(one for one in problems if one.fatal)
    key = f"{problem.key} " if problem.key else ""
    return Refused(ErrorCode.INVALID_DESTINATION, key + problem.text)
