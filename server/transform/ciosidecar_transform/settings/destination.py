"""A destination: the settings of a Customer.io workspace, checked once. Rule 11."""

from collections.abc import Collection
from typing import Literal, cast

from msgspec import Raw, Struct

from .. import track_v1, track_v2
from ..dates import DateNames
from ..identifiers import Addressing, IdentifyFallback, UserIdKind
from ..outcomes import ErrorCode, EventRejected
from ..requests import BASE_URLS, Endpoints, Writers, endpoints
from ..semantic_names import SEMANTIC_NAMES
from ..values import ValueChanges
from . import table
from .filters import Filters, read_filters
from .reader import ConfigReader, SettingProblem

DEVICE_EVENTS = ("Application Installed", "Application Opened")
Profiles = Literal["everyone", "identified", "withEmail"]
_WRITERS = {"v1": track_v1.WRITERS, "v2": track_v2.WRITERS}
_FILTERS = {setting.key: setting for setting in table.SETTINGS if setting.kind == "filter"}


class Destination(Struct, frozen=True, eq=False):
    """A Customer.io workspace with everything computed that is the same for all events."""

    endpoints: Endpoints
    """Methods, hosts and headers of its requests. Holds the credentials."""
    writers: Writers
    """The writers of operations for its API version (rule 10)."""
    api_version: str
    """The version of the Track API: v1 or v2."""
    closes_requests: bool
    """Whether a request that cannot be shared closes all shared requests before it (rule 10.2)."""
    device_events: tuple[str, ...]
    """The track events that register a device token (rule 6.1)."""
    addressing: Addressing
    """What addresses people (rules 3.3, 3.8, 13.4)."""
    by_phone: bool
    """Whether phone numbers address people (rules 3.8, 13.4)."""
    profiles: Profiles
    """The people who get a profile (rule 13.9)."""
    fill_created_at: bool
    """Whether a missing `created_at` becomes the event's time (rule 4.5)."""
    event_ids: bool
    """Whether events carry a ULID (rule 5.6)."""
    filters: Filters | None
    """The filters, or None if no event is filtered (rule 11.3)."""
    semantic_events: bool
    """Whether semantic events do what their name says (rule 13.2)."""
    full_relationships: bool
    """Whether groups send attributes and anonymous profiles of relationships (rule 13.3)."""
    update_only: bool
    """Whether an identify changes existing profiles only (rule 13.5)."""
    changes: ValueChanges | None
    """The changes to values, or None if there are none (rules 13.6-13.8)."""


def settled(
    config: dict[str, Raw], *, filled_in_later: Collection[str] = ()
) -> tuple[Destination | None, list[SettingProblem]]:
    """Return the destination of a config without templates, or None, and the config's problems.

    Args:
        config: The members of the config.
        filled_in_later: Keys that the config lacks because each event fills them in. If there are
            any, contradictions between settings are not checked yet.
    """
    combined = not filled_in_later
    reader = ConfigReader(config)
    site_id = reader.credential(table.SITE_ID)
    api_key = reader.credential(table.API_KEY)
    region = reader.region()
    device_token_event = reader.event_name(table.DEVICE_TOKEN_EVENT)
    api_version = reader.choice(table.API_VERSION)
    identify_fallback = reader.choice(table.IDENTIFY_FALLBACK)
    user_id_kind = _user_id_kind(reader, api_version, filled_in_later)
    profiles = reader.choice(table.PROFILES)
    created_at_fallback = reader.choice(table.CREATED_AT_FALLBACK)
    event_ids = reader.choice(table.EVENT_IDS)
    semantic_events = reader.flag(table.SEMANTIC_EVENTS)
    group_relationships = reader.choice(table.GROUP_RELATIONSHIPS)
    phone_as_identifier = reader.flag(table.PHONE_AS_IDENTIFIER)
    update_only = reader.flag(table.UPDATE_ONLY)
    changes = _value_changes(reader)
    filters = read_filters(lambda key: reader.key_and_value(_FILTERS[key])[1], reader.note)
    if combined and phone_as_identifier and api_version != "v2":
        reader.reject(
            table.PHONE_AS_IDENTIFIER.key, 'needs apiVersion "v2": v1 has no phone numbers', "13.4"
        )
    if combined and semantic_events and device_token_event in SEMANTIC_NAMES:
        reader.reject(
            table.DEVICE_TOKEN_EVENT.key,
            "names an event that semanticEvents gives a meaning",
            "13.2",
        )
    if any(problem.fatal for problem in reader.problems):
        return None, reader.problems
    destination = Destination(
        endpoints=endpoints(BASE_URLS[region], site_id, api_key),
        writers=_WRITERS[api_version],
        api_version=api_version,
        closes_requests=api_version == "v2",
        device_events=(*DEVICE_EVENTS, device_token_event) if device_token_event else DEVICE_EVENTS,
        addressing=Addressing(
            user_id_kind=user_id_kind,
            identify_fallback=_identify_fallback(reader, identify_fallback, user_id_kind),
            by_phone=phone_as_identifier,
        ),
        by_phone=phone_as_identifier or user_id_kind == "phone",
        profiles=cast("Profiles", profiles),
        fill_created_at=created_at_fallback == "timestamp",
        event_ids=event_ids == "ulid",
        filters=filters or None,
        semantic_events=semantic_events,
        full_relationships=group_relationships == "full",
        update_only=update_only,
        changes=changes or None,
    )
    return destination, reader.problems


def _user_id_kind(
    reader: ConfigReader, api_version: str, filled_in_later: Collection[str]
) -> UserIdKind | None:
    """Return the kind of user ids, or None: only v2 names the kind of an identifier. Rule 3.8."""
    if api_version == "v2":
        return cast("UserIdKind | None", reader.identifier_kind(table.USER_ID_KIND))
    key, kind = reader.key_and_value(table.USER_ID_KIND, blank_counts=False)
    if kind is not None and table.API_VERSION.key not in filled_in_later:
        reader.note(
            key, 'has no effect with apiVersion "v1": v1 goes by the id\'s shape (rule 3.8)'
        )
    return None


def _identify_fallback(
    reader: ConfigReader, choice: str, user_id_kind: UserIdKind | None
) -> IdentifyFallback | None:
    """Return the fallback. With a kind of user ids there is none but an explicit one. Rule 3.8."""
    if user_id_kind is not None and reader.key_and_value(table.IDENTIFY_FALLBACK)[1] is None:
        return None
    return cast("IdentifyFallback", choice)


def _value_changes(reader: ConfigReader) -> ValueChanges:
    convert_dates = reader.flag(table.CONVERT_DATES)
    lists = [table.CONVERT_DATES_ALLOW, table.CONVERT_DATES_DENY]
    allowed, denied = (reader.name_list(setting) for setting in lists)
    if not convert_dates:
        for setting, names in zip(lists, (allowed, denied), strict=True):
            if names:
                reader.note(setting.key, "changes nothing without convertDates (rule 13.6)")
    return ValueChanges(
        dates=DateNames(allowed, denied) if convert_dates else None,
        drop_empty=reader.choice(table.EMPTY_STRINGS) == "drop",
        prefix_reserved=reader.choice(table.RESERVED_PROPERTIES) == "prefix",
    )


def unusable(problems: list[SettingProblem]) -> EventRejected:
    """Return the error for every event of a destination with these problems. Rule 11.1."""
    problem = next(problem for problem in problems if problem.fatal)
    key = f"{problem.key} " if problem.key else ""
    return EventRejected(ErrorCode.INVALID_DESTINATION, key + problem.text)
