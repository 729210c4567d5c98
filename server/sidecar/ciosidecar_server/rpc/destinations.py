"""Destinations on the wire → in the domain, by reference id."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import grpc
from ciosidecar.v1 import destination_pb2 as pb
from ciosidecar_transform import (
    AnyDestination,
    Destination,
    EventRejected,
    Outcome,
    SettingProblem,
    read_destination,
)
from ciosidecar_transform.json_text import members, repair_surrogates
from ciosidecar_transform.outcomes import ErrorCode, rejected
from ciosidecar_transform.settings.destination import unusable
from ciosidecar_transform.settings.reader import ConfigReader
from ciosidecar_transform.settings.table import DATACENTER, DATACENTER_EU
from ciosidecar_transform.settings.unread_keys import unread_keys
from msgspec import Raw
from msgspec.json import encode

from ..server_destinations import Known, ServerDestination, ServerDestinations
from .connections import KnownConnections
from .counting import UNKNOWN_DESTINATION, DestinationLabel, destination_label
from .enums import enum_word
from .errors import ProtocolError
from .required import check_declaration, names_server_destination
from .sizes import PER_EVENT_BYTES, RESERVE_BYTES
from .turns import LARGE_BYTES, Turns, in_thread

REGIONS = {"US": pb.REGION_US, "EU": pb.REGION_EU}
_REGIONS = {number: name for name, number in REGIONS.items()}
_API_VERSIONS = {pb.API_VERSION_V1: "v1", pb.API_VERSION_V2: "v2"}
_IDENTIFY_FALLBACKS = {
    pb.IDENTIFY_FALLBACK_ANONYMOUS_ID: "anonymousId",
    pb.IDENTIFY_FALLBACK_EMAIL: "email",
}
_USER_ID_KINDS = {
    pb.USER_ID_KIND_ID: "id",
    pb.USER_ID_KIND_EMAIL: "email",
    pb.USER_ID_KIND_PHONE: "phone",
    pb.USER_ID_KIND_CIO_ID: "cio_id",
}
_PROFILES = {
    pb.PROFILES_EVERYONE: "everyone",
    pb.PROFILES_IDENTIFIED: "identified",
    pb.PROFILES_WITH_EMAIL: "withEmail",
}
_CREATED_AT_FALLBACKS = {
    pb.CREATED_AT_FALLBACK_TIMESTAMP: "timestamp",
    pb.CREATED_AT_FALLBACK_NONE: "none",
}
_GROUP_RELATIONSHIPS = {
    pb.GROUP_RELATIONSHIPS_PLAIN: "plain",
    pb.GROUP_RELATIONSHIPS_FULL: "full",
}
_EMPTY_STRINGS = {pb.EMPTY_STRINGS_KEEP: "keep", pb.EMPTY_STRINGS_DROP: "drop"}
_RESERVED_PROPERTIES = {
    pb.RESERVED_PROPERTIES_KEEP: "keep",
    pb.RESERVED_PROPERTIES_PREFIX: "prefix",
}
_CONNECTION_MODES = {
    pb.CONNECTION_MODE_CLOUD: "cloud",
    pb.CONNECTION_MODE_DEVICE: "device",
    pb.CONNECTION_MODE_HYBRID: "hybrid",
}
_RESOLUTION_STRATEGIES = {pb.RESOLUTION_STRATEGY_AND: "and", pb.RESOLUTION_STRATEGY_OR: "or"}
_EVENT_IDS = {pb.EVENT_IDS_ULID: "ulid", pb.EVENT_IDS_NONE: "none"}


def config_json(destination: pb.Destination) -> bytes:
    """Return the destination's settings as the dashboard's JSON, the form that the transform reads."""
    if destination.WhichOneof("settings") != "typed":
        return destination.config_json
    typed = destination.typed
    config: dict[str, Any] = {
        "siteID": typed.site_id or None,
        "apiKey": typed.api_key or None,
        "datacenter": enum_word(typed.region, _REGIONS),
        "deviceTokenEventName": typed.device_token_event_name,
        "apiVersion": enum_word(typed.api_version, _API_VERSIONS),
        "identifyFallback": enum_word(typed.identify_fallback, _IDENTIFY_FALLBACKS),
        "userIdIdentifierType": enum_word(typed.user_id_kind, _USER_ID_KINDS),
        "createdAtFallback": enum_word(typed.created_at_fallback, _CREATED_AT_FALLBACKS),
        "eventIds": enum_word(typed.event_ids, _EVENT_IDS),
        "semanticEvents": typed.semantic_events,
        "groupRelationships": enum_word(typed.group_relationships, _GROUP_RELATIONSHIPS),
        "phoneAsIdentifier": typed.phone_as_identifier,
        "updateOnly": typed.update_only,
        "profiles": enum_word(typed.profiles, _PROFILES),
        "convertDates": typed.convert_dates,
        "convertDatesAllow": list(typed.convert_dates_allow),
        "convertDatesDeny": list(typed.convert_dates_deny),
        "emptyStrings": enum_word(typed.empty_strings, _EMPTY_STRINGS),
        "reservedProperties": enum_word(typed.reserved_properties, _RESERVED_PROPERTIES),
        "connectionMode": {
            source_type: enum_word(mode, _CONNECTION_MODES)
            for source_type, mode in typed.connection_mode.items()
        },
        "useNativeSDK": dict(typed.use_native_sdk),
        "consentManagement": [
            {
                "provider": rule.provider,
                "resolutionStrategy": enum_word(rule.resolution_strategy, _RESOLUTION_STRATEGIES),
                "consents": [{"consent": consent} for consent in rule.consents],
            }
            for rule in typed.consent_rules
        ],
        "oneTrustCookieCategories": [
            {"oneTrustCookieCategory": category} for category in typed.one_trust_cookie_categories
        ],
        "ketchConsentPurposes": [{"purpose": purpose} for purpose in typed.ketch_consent_purposes],
    }
    # A field without presence that is not set must not keep the server's default away.
    return encode({key: value for key, value in config.items() if value})


_Read = tuple[AnyDestination | None, list[SettingProblem]]


async def read_declared(
    declared: pb.Destination, known: Known, read: Callable[[bytes], _Read] = read_destination
) -> _Read:
    """Return the declared destination, None if it cannot be used, and its setting problems.

    Args:
        declared: the declaration, with settings.
        known: the defaults of the server.
        read: reads settings of an ordinary size, as `read_destination` does.
    """
    if declared.ByteSize() > LARGE_BYTES:
        return await in_thread(lambda: read_destination(known.effective(config_json(declared))))
    return read(known.effective(config_json(declared)))


class Checked(NamedTuple):
    """What CheckDestination finds out about a declaration."""

    destination: AnyDestination | None
    """None: the destination cannot be used."""
    config_json: bytes
    """The settings in effect."""
    problems: list[SettingProblem]


async def read_checked(declared: pb.Destination, known: Known) -> Checked:
    """Return the declared destination, and its problems with one for each key that is no setting.

    Only CheckDestination reports such keys: those of thousands of destinations would fill a
    stream's messages.

    Args:
        declared: the declaration, perhaps by ref alone.
        known: the destinations and defaults of the server.
    """
    checked = await _checked(declared, known)
    config = checked.config_json
    if declared.WhichOneof("settings") == "typed":
        return checked
    if len(config) > LARGE_BYTES:
        unread = await in_thread(lambda: unread_keys(config))
    else:
        unread = unread_keys(config)
    return checked._replace(problems=[*checked.problems, *unread])


async def _checked(declared: pb.Destination, known: Known) -> Checked:
    if not names_server_destination(declared):
        destination, problems = await read_declared(declared, known)
        return Checked(destination, known.effective(config_json(declared)), problems)
    listed = known.destinations.get(declared.destination_ref)
    if listed is None:
        return Checked(None, b"{}", [_NOT_LISTED])
    return Checked(listed.destination, listed.config_json, listed.problems)


class _ServerRef(NamedTuple):
    """A declaration by ref alone. It means the server's destination at the time of each batch."""

    ref: str
    label: DestinationLabel


class DeclaredDestination(NamedTuple):
    """What a reference id stands for in a batch."""

    destination: AnyDestination | Outcome
    """The destination, or the outcome of every event for it (rule 12.1)."""
    label: DestinationLabel
    """The name of the destination in logs and metrics."""
    hides_credentials: bool = False
    """Whether the caller must not see the credentials of the destination."""


class KnownDestinations:
    """The destinations and connections that one stream, or one unary call, has declared."""

    def __init__(
        self,
        max_destinations: int,
        server: ServerDestinations,
        read: Callable[[bytes], _Read] = read_destination,
    ) -> None:
        """Begin without any.

        Args:
            max_destinations: the most destinations, and the most connections.
            server: the destinations and defaults of the server.
            read: reads settings, as `read_destination` does. It MUST return another destination each time.
        """
        self._read = read
        self._max_destinations = max_destinations
        self._server = server
        self._by_reference_id: dict[int, DeclaredDestination | _ServerRef] = {}
        self.connections = KnownConnections(max_destinations)
        self.delivering = False
        """Whether the stream or call delivers what it transforms."""

    async def upsert(
        self,
        destinations: Iterable[pb.Destination],
        connections: Iterable[pb.SourceConnection] = (),
    ) -> list[pb.SettingProblem]:
        """Declare or replace destinations and connections. Return the destinations' setting problems.

        Raises:
            ProtocolError: a required field is missing, or there are too many of either.
        """
        turns = Turns()
        await self.connections.upsert(connections, turns)
        setting_problems = []
        for index, declared in enumerate(destinations):
            check_declaration(declared, f"destinations[{index}]")
            if turns.over:
                await turns.next()
            ref = declared.destination_ref
            if names_server_destination(declared):
                destination, problems = self._read_ref(ref)
                self._by_reference_id[declared.reference_id] = _ServerRef(
                    ref, destination_label(ref, destination)
                )
            else:
                destination, problems = await read_declared(
                    declared, self._server.known, self._read
                )
                self._by_reference_id[declared.reference_id] = DeclaredDestination(
                    destination or rejected(unusable(problems)), destination_label(ref, destination)
                )
            if len(self._by_reference_id) > self._max_destinations:
                raise ProtocolError(
                    "destinations",
                    f"more than {self._max_destinations} destinations are declared here",
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                )
            setting_problems += problem_messages(problems, declared.reference_id)
        return setting_problems

    def _read_ref(self, ref: str) -> tuple[AnyDestination | None, list[SettingProblem]]:
        """Return a destination of the server as it is now, and its setting problems."""
        listed = self.listed.get(ref)
        problem = _problem_of_ref(listed, delivering=self.delivering)
        if listed is None or problem is not None:
            return None, [problem or _NOT_LISTED]
        return listed.destination, listed.problems

    @property
    def listed(self) -> Mapping[str, ServerDestination]:
        """Return the destinations of the server at this moment, by ref. A batch keeps to those of its arrival."""
        return self._server.known.destinations

    def get(
        self, reference_id: int, listed: Mapping[str, ServerDestination]
    ) -> DeclaredDestination:
        """Return what a reference id stands for. listed: the destinations of the server that hold."""
        declared = self._by_reference_id.get(reference_id, _UNKNOWN)
        if not isinstance(declared, _ServerRef):
            return declared
        server_destination = listed.get(declared.ref)
        problem = _problem_of_ref(server_destination, delivering=self.delivering)
        if server_destination is None or problem is not None:
            outcome = rejected(unusable([problem or _NOT_LISTED]))
            return DeclaredDestination(outcome, declared.label)
        return DeclaredDestination(
            server_destination.destination, declared.label, server_destination.deliver_only
        )

    @property
    def alone(self) -> bool:
        """Return whether exactly one destination is declared, and its settings hold for all events."""
        if len(self._by_reference_id) != 1:
            return False
        (reference_id,) = self._by_reference_id
        return isinstance(self.get(reference_id, self.listed).destination, Destination)


_NOT_LISTED = SettingProblem(
    "destination_ref",
    "names no destination of this server: add it to the file of --destinations, or declare it with"
    " its settings (rule 11.1)",
    fatal=True,
)
_DELIVER_ONLY = SettingProblem(
    "destination_ref",
    "names a destination whose requests the server delivers itself (deliver_only), and this call"
    " does not deliver (rule 11.1)",
    fatal=True,
)


def _problem_of_ref(listed: ServerDestination | None, *, delivering: bool) -> SettingProblem | None:
    """Return why a destination of the server cannot be used by a call, or None if it can."""
    if listed is None:
        return _NOT_LISTED
    return _DELIVER_ONLY if listed.deliver_only and not delivering else None


_UNKNOWN = DeclaredDestination(
    rejected(
        EventRejected(
            ErrorCode.UNKNOWN_DESTINATION,
            "no destination was declared under this reference id: declare it and send the event again (rule 12.1)",
        )
    ),
    UNKNOWN_DESTINATION,
)


def region_key(config: bytes) -> str:
    """Return the key of the region setting: the one that a usable destination has, or the default.

    config: the settings as the dashboard's JSON.
    """
    reader = ConfigReader(members(Raw(repair_surrogates(config))))
    key, region = reader.key_and_value(DATACENTER, blank_counts=False)
    eu_key, is_eu = reader.key_and_value(DATACENTER_EU)
    return eu_key if region is None and is_eu is True else key


def problem_messages(
    problems: Iterable[SettingProblem], reference_id: int
) -> list[pb.SettingProblem]:
    """Return setting problems as they travel."""
    return [
        pb.SettingProblem(
            destination=reference_id, key=problem.key, message=problem.text, fatal=problem.fatal
        )
        for problem in problems
    ]


def fitting_problems(
    problems: list[pb.SettingProblem], max_bytes: int
) -> Iterable[pb.SettingProblem]:
    """Yield as many problems as fit StreamOpened, fatal ones first. max_bytes: of the message."""
    bytes_left = max_bytes - RESERVE_BYTES
    for problem in sorted(problems, key=lambda problem: not problem.fatal):
        bytes_left -= problem.ByteSize() + PER_EVENT_BYTES
        if bytes_left < 0:
            return
        yield problem
