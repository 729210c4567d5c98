"""The table of a destination's settings, for the reader and for docs/destination.md."""

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
    "region": '`US` or `EU`, in any case; `""` counts as missing',
    "older region": "`true`; anything else is ignored",
    "name": 'a text; `""` means none',
    "flag": "`false` or `true`",
    "names": "a list of texts; `[]` counts as missing",
}
_DEFAULTS = {"credential": "required", "region": "`US`", "flag": "`false`"}


class Setting(Struct, frozen=True):
    """A key of a destination's config. The texts are Markdown."""

    key: str
    kind: Kind
    meaning: str
    """The effect of the setting."""
    reason: str
    """A reason to change the setting."""
    rule: str
    """The number of its rule in docs/rules.md."""
    also: tuple[str, ...] = ()
    """Other names of the key. If a config has several, the first one counts."""
    choices: tuple[str, ...] = ()
    """The values of a choice, the default first."""
    shape: str = ""
    """The JSON of a filter."""
    typed: str = ""
    """The field in the contract's DestinationSettings, or "" if there is none."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return all names of the key, in the order in which they count."""
        return (self.key, *self.also)

    @property
    def values(self) -> str:
        """Return the possible values as Markdown."""
        if self.kind in ("choice", "identifier"):
            return ", ".join(f"`{choice}`" for choice in self.choices)
        return self.shape or _VALUES[self.kind]

    @property
    def default(self) -> str:
        """Return the default as Markdown."""
        return f"`{self.choices[0]}`" if self.kind == "choice" else _DEFAULTS.get(self.kind, "none")


SITE_ID = Setting(
    "siteID",
    "credential",
    "The site id of the workspace's Track API credentials.",
    "It decides to which workspace the events go. Copy it from Customer.io, Settings, API"
    " credentials, Track API keys.",
    "11.1",
    also=("siteId",),
    typed="site_id",
)
API_KEY = Setting(
    "apiKey",
    "credential",
    "The key of the same credentials. It is never logged and never quoted.",
    "It belongs to the site id. Keys of the App API or of Pipelines do not work here.",
    "11.1",
    typed="api_key",
)
DATACENTER = Setting(
    "datacenter",
    "region",
    "The region of the workspace, and so the host: `track.customer.io` or `track-eu.customer.io`.",
    "Your workspace is in the EU. Requests to the other region may be logged there or rejected.",
    "11.2",
    also=("region",),
    typed="region",
)
DATACENTER_EU = Setting(
    "datacenterEU",
    "older region",
    "The key of older dashboards for `datacenter`: `true` means EU.",
    "There is no reason to. Set `datacenter` instead.",
    "11.1",
)
DEVICE_TOKEN_EVENT = Setting(
    "deviceTokenEventName",
    "name",
    "The name of a track event that registers a device token, beside `Application Installed` and"
    " `Application Opened`.",
    "Your app gets its push token after it opens, and sends an event of its own for that.",
    "6.1",
    typed="device_token_event_name",
)
API_VERSION = Setting(
    "apiVersion",
    "choice",
    "The version of the Track API: v1 has one operation a request, v2 up to a thousand.",
    "You send more events than Customer.io takes requests (about 1,000 a second), or need a setting"
    " that only v2 has, such as `phoneAsIdentifier` or `userIdIdentifierType`. Transactional messages"
    " and Pipelines count towards the same limit.",
    "10.1",
    choices=("v1", "v2"),
    typed="api_version",
)
IDENTIFY_FALLBACK = Setting(
    "identifyFallback",
    "choice",
    "The identifier of an identify without a user id: the anonymous id, else the email; or the"
    " email only, as in RudderStack's transformer.",
    "You address people by email and do not want a profile for every anonymous person.",
    "3.3",
    choices=("anonymousId", "email"),
    typed="identify_fallback",
)
USER_ID_KIND = Setting(
    "userIdIdentifierType",
    "identifier",
    "The kind of identifier of all user ids, whatever their shape. Without this setting the shape of"
    " the id decides: an email is sent as `email`, `cio_…` as `cio_id`, every other id as `id`. With"
    " it an identify without a user id is rejected, unless `identifyFallback` is set. It has an effect"
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
    "You pay by profile, and do not want one for every anonymous person.",
    "13.9",
    choices=("everyone", "identified", "withEmail"),
    typed="profiles",
)
CREATED_AT_FALLBACK = Setting(
    "createdAtFallback",
    "choice",
    "The value of a missing `created_at`: the time of the identify, or none, as in RudderStack's"
    " transformer.",
    "Another source owns `created_at`, and an identify from here must not set it.",
    "4.5",
    choices=("timestamp", "none"),
    typed="created_at_fallback",
)
EVENT_IDS = Setting(
    "eventIds",
    "choice",
    "Whether events carry an id (a ULID), so that Customer.io ignores a repeated event.",
    "Your message ids repeat although the events differ.",
    "5.6",
    choices=("ulid", "none"),
    typed="event_ids",
)
SEMANTIC_EVENTS = Setting(
    "semanticEvents",
    "flag",
    "Track events under the names of Customer.io's own pipelines (`User Deleted`, `User"
    " Suppressed`, `Object Deleted`, `Report Delivery Event` and four more) do what their name"
    " says instead of being recorded as events.",
    "You want to delete or suppress people, end relationships or report deliveries through the same"
    " stream. The default is `false` because your events of these names may mean something else, and"
    " a deletion cannot be undone.",
    "13.2",
    typed="semantic_events",
)
GROUP_RELATIONSHIPS = Setting(
    "groupRelationships",
    "choice",
    "The relationships that a group sends: `plain` sends the relationship to a known person alone;"
    " `full` also sends its attributes (`traits.relationshipAttributes`), and relationships of"
    " anonymous people.",
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
    "You know some people by phone number only, for example from text messages. Needs `apiVersion`"
    " `v2`: v1 would read the number as a user id.",
    "13.4",
    typed="phone_as_identifier",
)
UPDATE_ONLY = Setting(
    "updateOnly",
    "flag",
    "An identify changes existing profiles and never creates a profile (`_update`).",
    "You pay by profile, and another source creates the profiles.",
    "13.5",
    typed="update_only",
)
CONVERT_DATES = Setting(
    "convertDates",
    "flag",
    "ISO dates in traits and properties, also nested ones, become seconds since 1970.",
    "Your traits have dates as text, and Customer.io's date conditions read seconds only.",
    "13.6",
    typed="convert_dates",
)
CONVERT_DATES_ALLOW = Setting(
    "convertDatesAllow",
    "names",
    "With `convertDates`: only dates under these names, at any depth, are converted.",
    "You want seconds in a few places and text everywhere else.",
    "13.6",
    typed="convert_dates_allow",
)
CONVERT_DATES_DENY = Setting(
    "convertDatesDeny",
    "names",
    "With `convertDates`: dates under these names, at any depth, are not converted, even if"
    " `convertDatesAllow` has a name above them.",
    "A message shows a date as it was received, or one of your codes looks like a date.",
    "13.6",
    typed="convert_dates_deny",
)
EMPTY_STRINGS = Setting(
    "emptyStrings",
    "choice",
    'The treatment of traits that are `""`: `keep` sends them, which deletes the attribute at'
    " Customer.io; `drop` leaves them out, so that the attribute keeps its value.",
    'Your forms send `""` for fields that were left empty.',
    "13.7",
    choices=("keep", "drop"),
    typed="empty_strings",
)
RESERVED_PROPERTIES = Setting(
    "reservedProperties",
    "choice",
    "The treatment of the properties `recipient`, `from_address` and `reply_to`, which override the"
    " addresses of the mail that the event triggers: `keep` sends them as they are, `prefix` as"
    " `event_recipient` and so on.",
    "Your events use these names for something else: a message would go to the recipient of a"
    " parcel.",
    "13.8",
    choices=("keep", "prefix"),
    typed="reserved_properties",
)
CONNECTION_MODE = Setting(
    "connectionMode",
    "filter",
    "The connection mode of each source type. With `device` the SDK sends to Customer.io itself, and"
    " the events of that source type are filtered here.",
    "The dashboard sets it. A second copy of every event would count twice.",
    "11.3",
    shape='`cloud`, `device` or `hybrid` by source type: `{"web": "device"}`',
    typed="connection_mode",
)
USE_NATIVE_SDK = Setting(
    "useNativeSDK",
    "filter",
    "`true` means the same as `connectionMode` `device`, for source types without a connection mode.",
    "There is no reason to. The dashboard sets it.",
    "11.3",
    shape='`true` or `false` by source type: `{"web": true}`',
    typed="use_native_sdk",
)
CONSENT_MANAGEMENT = Setting(
    "consentManagement",
    "filter",
    "The consents that an event needs, by consent provider: an event without them is filtered.",
    "There is no reason to. The dashboard sets it.",
    "11.3",
    shape='`[{"provider", "resolutionStrategy", "consents": [{"consent"}]}]`, or by source type',
    typed="consent_rules",
)
ONE_TRUST = Setting(
    "oneTrustCookieCategories",
    "filter",
    "OneTrust cookie categories: an event is filtered if the person denied one of them.",
    "There is no reason to. The dashboard sets it.",
    "11.3",
    shape='`[{"oneTrustCookieCategory"}]`, or by source type',
    typed="one_trust_cookie_categories",
)
KETCH = Setting(
    "ketchConsentPurposes",
    "filter",
    "Ketch purposes: an event is filtered if the person denied all of them.",
    "There is no reason to. The dashboard sets it.",
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
"""All settings, in the order in which docs/destination.md has them."""
