"""What the user configured, checked once. SPEC 11."""

from msgspec import Raw, Struct

from . import destination_settings as known
from . import track_v1, track_v2
from .config_reader import ConfigReader, SettingProblem
from .dates import DateNames
from .filters import Filters, read_filters
from .request import BASE_URLS, Endpoints, Writers, endpoints
from .result import ErrorCode, Refused
from .semantic_names import SEMANTIC_NAMES
from .values import ValueChanges

DEVICE_EVENTS = ("Application Installed", "Application Opened")
_DIALECTS = {"v1": track_v1.WRITERS, "v2": track_v2.WRITERS}
_FILTERS = {setting.key: setting for setting in known.SETTINGS if setting.kind == "filter"}


class Destination(Struct, frozen=True, eq=False):
    """A Customer.io workspace, ready to use: everything that does not vary by event is computed."""

    endpoints: Endpoints
    """Methods, hosts and headers of its calls. Holds the credentials."""
    writers: Writers
    """How operations are written in the dialect it speaks (10)."""
    closes_requests: bool
    """Whether a call that cannot share closes the shared requests before it (10.2)."""
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
    semantic_events: bool
    """Whether events named as in Customer.io's pipelines do what they say (13.2)."""
    full_relationships: bool
    """Whether groups say all they know of a relationship (13.3)."""
    phone_as_identifier: bool
    """Whether a phone number addresses someone without user id and email (13.4)."""
    update_only: bool
    """Whether an identify changes people who exist only (13.5)."""
    changes: ValueChanges | None
    """What is done to values on their way, or None if nothing is (13.6-13.8)."""


def settled(
    config: dict[str, Raw], *, combined: bool = True
) -> tuple[Destination | None, list[SettingProblem]]:
    """The destination of a config without templates, or None, and what is wrong with the config.

    combined: whether settings are held against each other too.
    """
    reader = ConfigReader(config)
    site_id = reader.credential(known.SITE_ID)
    api_key = reader.credential(known.API_KEY)
    region = reader.region()
    device_token_event = reader.event_name(known.DEVICE_TOKEN_EVENT)
    api_version = reader.choice(known.API_VERSION)
    identify_fallback = reader.choice(known.IDENTIFY_FALLBACK)
    created_at_fallback = reader.choice(known.CREATED_AT_FALLBACK)
    event_ids = reader.choice(known.EVENT_IDS)
    semantic_events = reader.flag(known.SEMANTIC_EVENTS)
    group_relationships = reader.choice(known.GROUP_RELATIONSHIPS)
    phone_as_identifier = reader.flag(known.PHONE_AS_IDENTIFIER)
    update_only = reader.flag(known.UPDATE_ONLY)
    changes = _value_changes(reader)
    filters = read_filters(lambda key: reader.given(_FILTERS[key])[1], reader.note)
    if combined and phone_as_identifier and api_version != "v2":
        reader.refuse(
            known.PHONE_AS_IDENTIFIER.key, 'needs apiVersion "v2": v1 has no phone numbers', "13.4"
        )
    if combined and semantic_events and device_token_event in SEMANTIC_NAMES:
        reader.refuse(
            known.DEVICE_TOKEN_EVENT.key,
            "names an event that semanticEvents gives a meaning",
            "13.2",
        )
    if any(problem.fatal for problem in reader.problems):
        return None, reader.problems
    destination = Destination(
        endpoints=endpoints(BASE_URLS[region], site_id, api_key),
        writers=_DIALECTS[api_version],
        closes_requests=api_version == "v2",
        device_events=(*DEVICE_EVENTS, device_token_event) if device_token_event else DEVICE_EVENTS,
        identify_by_email=identify_fallback == "email",
        fill_created_at=created_at_fallback == "timestamp",
        event_ids=event_ids == "ulid",
        filters=filters or None,
        semantic_events=semantic_events,
        full_relationships=group_relationships == "full",
        phone_as_identifier=phone_as_identifier,
        update_only=update_only,
        changes=changes or None,
    )
    return destination, reader.problems


def _value_changes(reader: ConfigReader) -> ValueChanges:
    convert_dates = reader.flag(known.CONVERT_DATES)
    lists = [known.CONVERT_DATES_ALLOW, known.CONVERT_DATES_DENY]
    allowed, denied = (reader.name_list(setting) for setting in lists)
    if not convert_dates:
        for setting, names in zip(lists, (allowed, denied), strict=True):
            if names:
                reader.note(setting.key, "changes nothing without convertDates (13.6)")
    return ValueChanges(
        dates=DateNames(allowed, denied) if convert_dates else None,
        drop_empty=reader.choice(known.EMPTY_STRINGS) == "drop",
        prefix_reserved=reader.choice(known.RESERVED_PROPERTIES) == "prefix",
    )


def unusable(problems: list[SettingProblem]) -> Refused:
    """What every event for a destination with such problems is refused with. SPEC 11.1."""
    problem = next(one for one in problems if one.fatal)
    key = f"{problem.key} " if problem.key else ""
    return Refused(ErrorCode.INVALID_DESTINATION, key + problem.text)
