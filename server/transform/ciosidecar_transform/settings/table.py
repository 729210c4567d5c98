"""Every setting of a destination, once: the reader goes by this table, and docs/destination.md too."""

from typing import Literal

from msgspec import Struct

Kind = Literal[
    "credential",
    "region",
    "older region",
    "name",
    "choice",
    "identifier",
    "flag",
    "names",
    "filter",
]

_VALUES = {
    "credential": "a text that is not blank",
    "region": '`US` or `EU`, in any case; `""` counts as not given',
    "older region": "`true`; anything else is ignored",
    "name": 'a text; `""` means none',
    "flag": "`false` or `true`",
    "names": "a list of texts; `[]` counts as not given",
}
_DEFAULTS = {"credential": "required", "region": "`US`", "flag": "`false`"}


class Setting(Struct, frozen=True):
    """One key of a destination's config. The texts are Markdown."""

    key: str
    kind: Kind
    meaning: str
    """What it does."""
    reason: str
    """Why somebody would change it."""
    rule: str
    """Its rule in docs/rules.md."""
    also: tuple[str, ...] = ()
    """Its other names: the first name that is given counts."""
    choices: tuple[str, ...] = ()
    """What a choice may be, the default first."""
    shape: str = ""
    """What a filter looks like."""
    typed: str = ""
    """Its field in the contract's DestinationSettings, if it has one."""

    @property
    def names(self) -> tuple[str, ...]:
        """All its names, in the order in which they count."""
        return (self.key, *self.also)

    @property
    def values(self) -> str:
        """What it may be, for people."""
        if self.kind in ("choice", "identifier"):
            return ", ".join(f"`{choice}`" for choice in self.choices)
        return self.shape or _VALUES[self.kind]

    @property
    def default(self) -> str:
        """What it is when nobody sets it, for people."""
        return f"`{self.choices[0]}`" if self.kind == "choice" else _DEFAULTS.get(self.kind, "none")


SITE_ID = Setting(
    "siteID",
    "credential",
    "The site id of the workspace's Track API credentials.",
    "It says which workspace the events are for. Copy it from Customer.io, Settings, API"
    " credentials, Track API keys.",
    "11.1",
    also=("siteId",),
    typed="site_id",
)
API_KEY = Setting(
    "apiKey",
    "credential",
    "The key of the same credentials. It is never logged and never quoted.",
    "It goes with the site id. Keys of the App API or of Pipelines do not work here.",
    "11.1",
    typed="api_key",
)
DATACENTER = Setting(
    "datacenter",
    "region",
    "The region of the workspace, and so the host: `track.customer.io` or `track-eu.customer.io`.",
    "The workspace lives in the EU. Sent to the other region, data may be logged there or refused.",
    "11.2",
    also=("region",),
    typed="region",
)
DATACENTER_EU = Setting(
    "datacenterEU",
    "older region",
    "What older dashboards have in place of `datacenter`: `true` means EU.",
    "There is no need to: set `datacenter` instead.",
    "11.1",
)
DEVICE_TOKEN_EVENT = Setting(
    "deviceTokenEventName",
    "name",
    "The name of a track event that registers a device token, beside `Application Installed` and"
    " `Application Opened`.",
    "Your app learns its push token later than it opens, and tells you by an event of your own.",
    "6.1",
    typed="device_token_event_name",
)
API_VERSION = Setting(
    "apiVersion",
    "choice",
    "Which Track API is spoken: one call an operation, or up to a thousand operations a call.",
    "You send more events than Customer.io takes calls (about 1,000 a second), or need what only v2"
    " has, such as `phoneAsIdentifier` and `userIdIdentifierType`. The limit is shared: transactional"
    " sends and Pipelines count too.",
    "10.1",
    choices=("v1", "v2"),
    typed="api_version",
)
IDENTIFY_FALLBACK = Setting(
    "identifyFallback",
    "choice",
    "Who an identify without a user id is about: the anonymous id, else the email; or the email"
    " only, as RudderStack's transformer has it.",
    "You address people by email and do not want a profile for every visitor.",
    "3.3",
    choices=("anonymousId", "email"),
    typed="identify_fallback",
)
USER_ID_KIND = Setting(
    "userIdIdentifierType",
    "identifier",
    "The kind of identifier that a user id is at Customer.io, whatever it looks like. Without it the"
    " id's own shape decides: an email is sent as `email`, `cio_…` as `cio_id`, all else as `id`."
    " With it an identify without a user id is refused, unless `identifyFallback` is given. Read"
    " with `apiVersion` `v2` only.",
    "RudderStack's dashboard sets it. Your user ids look like emails and are `id`s in your"
    " workspace, or you address people by phone number.",
    "3.8",
    choices=("id", "email", "phone", "cio_id"),
    typed="user_id_kind",
)
PROFILES = Setting(
    "profiles",
    "choice",
    "Which people get a profile at Customer.io. With `identified`, events of anonymous people and"
    " identifies by anonymous id are filtered. With `withEmail`, an identify without an email is"
    " filtered too. With `everyone` nothing is filtered. Warehouse rows are never filtered by this.",
    "You pay by profile, and do not want one for every anonymous visitor.",
    "13.9",
    choices=("everyone", "identified", "withEmail"),
    typed="profiles",
)
CREATED_AT_FALLBACK = Setting(
    "createdAtFallback",
    "choice",
    "What fills a missing `created_at`: the time of the identify, or nothing, as RudderStack's"
    " transformer has it.",
    "Another source owns `created_at`, and an identify from here must not set it.",
    "4.5",
    choices=("timestamp", "none"),
    typed="created_at_fallback",
)
EVENT_IDS = Setting(
    "eventIds",
    "choice",
    "Whether events carry an id (a ULID) by which Customer.io ignores a repeat.",
    "You send events under message ids that repeat although the events differ.",
    "5.6",
    choices=("ulid", "none"),
    typed="event_ids",
)
SEMANTIC_EVENTS = Setting(
    "semanticEvents",
    "flag",
    "Track events under the names of Customer.io's own pipelines (`User Deleted`, `User"
    " Suppressed`, `Object Deleted`, `Report Delivery Event` and four more) do what they say"
    " instead of being recorded as events.",
    "You want to delete or suppress people, end relationships or report deliveries through the same"
    " stream. It is off because an event of that name may mean something else to you, and a"
    " deletion cannot be undone.",
    "13.2",
    typed="semantic_events",
)
GROUP_RELATIONSHIPS = Setting(
    "groupRelationships",
    "choice",
    "How much a group says of its relationship to a person: only that there is one; or also its"
    " attributes (`traits.relationshipAttributes`), and that of a visitor known by anonymous id.",
    "You segment by a person's role in a company, or relate people before they sign up.",
    "13.3",
    choices=("plain", "full"),
    typed="group_relationships",
)
PHONE_AS_IDENTIFIER = Setting(
    "phoneAsIdentifier",
    "flag",
    "A person without user id and email is addressed by the phone number in the traits, if it is"
    " in E.164 form (`+15551234567`).",
    "You know people by phone number only: by text message, or at a till. Needs `apiVersion` `v2`:"
    " v1 would take the number for a user id.",
    "13.4",
    typed="phone_as_identifier",
)
UPDATE_ONLY = Setting(
    "updateOnly",
    "flag",
    "An identify changes people who exist and never creates one (`_update`).",
    "You pay by profile, and another source decides who gets one.",
    "13.5",
    typed="update_only",
)
CONVERT_DATES = Setting(
    "convertDates",
    "flag",
    "ISO dates in traits and properties, nested ones too, become seconds since 1970.",
    "Your traits hold dates as text: Customer.io's date conditions understand seconds only.",
    "13.6",
    typed="convert_dates",
)
CONVERT_DATES_ALLOW = Setting(
    "convertDatesAllow",
    "names",
    "With `convertDates`: only what stands under these names, at any depth, is converted.",
    "You want seconds in a few places and texts everywhere else.",
    "13.6",
    typed="convert_dates_allow",
)
CONVERT_DATES_DENY = Setting(
    "convertDatesDeny",
    "names",
    "With `convertDates`: what stands under these names, at any depth, is not converted, even if"
    " it is allowed.",
    "A message shows a date as it was written, or a code of yours looks like a date.",
    "13.6",
    typed="convert_dates_deny",
)
EMPTY_STRINGS = Setting(
    "emptyStrings",
    "choice",
    'What becomes of traits that are `""`: they are sent, which deletes the attribute at'
    " Customer.io; or they are left out, which leaves it alone.",
    'Your forms send `""` for fields that were left empty.',
    "13.7",
    choices=("keep", "drop"),
    typed="empty_strings",
)
RESERVED_PROPERTIES = Setting(
    "reservedProperties",
    "choice",
    "What becomes of the properties `recipient`, `from_address` and `reply_to`, by which an event"
    " overrides the addresses of the mail it triggers: they are sent as they are, or as"
    " `event_recipient` and so on.",
    "Your events have such properties and mean something else: a message would go to the recipient"
    " of a parcel.",
    "13.8",
    choices=("keep", "prefix"),
    typed="reserved_properties",
)
CONNECTION_MODE = Setting(
    "connectionMode",
    "filter",
    "How each source type sends: where it is `device`, the SDK sends to Customer.io itself, and its"
    " events are filtered here.",
    "The dashboard sets it: a second copy of every event would count twice.",
    "11.3",
    shape='`cloud`, `device` or `hybrid` by source type: `{"web": "device"}`',
    typed="connection_mode",
)
USE_NATIVE_SDK = Setting(
    "useNativeSDK",
    "filter",
    "The same as `connectionMode` `device`, for source types without a connection mode.",
    "There is no need to: the dashboard sets it.",
    "11.3",
    shape='`true` or `false` by source type: `{"web": true}`',
    typed="use_native_sdk",
)
CONSENT_MANAGEMENT = Setting(
    "consentManagement",
    "filter",
    "Which consents an event needs, by consent provider: without them it is filtered.",
    "There is no need to: the dashboard sets it.",
    "11.3",
    shape='`[{"provider", "resolutionStrategy", "consents": [{"consent"}]}]`, or by source type',
    typed="consent_rules",
)
ONE_TRUST = Setting(
    "oneTrustCookieCategories",
    "filter",
    "OneTrust cookie categories: an event that was denied one of them is filtered.",
    "There is no need to: the dashboard sets it.",
    "11.3",
    shape='`[{"oneTrustCookieCategory"}]`, or by source type',
    typed="one_trust_cookie_categories",
)
KETCH = Setting(
    "ketchConsentPurposes",
    "filter",
    "Ketch purposes: an event that was denied all of them is filtered.",
    "There is no need to: the dashboard sets it.",
    "11.3",
    shape='`[{"purpose"}]`, or by source type',
    typed="ketch_consent_purposes",
)

SETTINGS = (
    SITE_ID,
    API_KEY,
    DATACENTER,
    DATACENTER_EU,
    DEVICE_TOKEN_EVENT,
    API_VERSION,
    IDENTIFY_FALLBACK,
    USER_ID_KIND,
    CREATED_AT_FALLBACK,
    EVENT_IDS,
    SEMANTIC_EVENTS,
    GROUP_RELATIONSHIPS,
    PHONE_AS_IDENTIFIER,
    UPDATE_ONLY,
    PROFILES,
    CONVERT_DATES,
    CONVERT_DATES_ALLOW,
    CONVERT_DATES_DENY,
    EMPTY_STRINGS,
    RESERVED_PROPERTIES,
    CONNECTION_MODE,
    USE_NATIVE_SDK,
    CONSENT_MANAGEMENT,
    ONE_TRUST,
    KETCH,
)
"""In the order in which they are documented."""
