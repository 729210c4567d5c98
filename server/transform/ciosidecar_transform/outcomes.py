"""What became of an event: its codes, its warnings, and the one exception that refuses it. SPEC 12."""

from enum import StrEnum
from typing import NamedTuple

import msgspec


class ErrorType(StrEnum):
    """Whose matter an error is."""

    INSTRUMENTATION = "INSTRUMENTATION"
    """The event is wrong: whoever sends it must mend it."""
    CONFIGURATION = "CONFIGURATION"
    """The destination is wrong: whoever set it up must mend it."""
    DELIVERY = "DELIVERY"
    """Customer.io, or the way there."""
    INTERNAL = "INTERNAL"
    """The sidecar itself, or how it is called."""


class ErrorCode(StrEnum):
    """Which rule was broken. The same names are on the wire and in the docs."""

    INVALID_JSON = "INVALID_JSON"
    """The event is not one JSON object in UTF-8 (1.1)."""
    UNSUPPORTED_TYPE = "UNSUPPORTED_TYPE"
    """`type` is missing or unknown (1.2)."""
    INVALID_ID = "INVALID_ID"
    """An id is of a JSON type, or a value, that no id can have (2.1, 3.6, 7.1)."""
    ID_TOO_LONG = "ID_TOO_LONG"
    """An id has more than 150 bytes (2.2)."""
    MISSING_IDENTITY = "MISSING_IDENTITY"
    """Nothing says who the event is about (3.3, 3.4, 7.1, 9.2)."""
    MISSING_EVENT_NAME = "MISSING_EVENT_NAME"
    """The event has no name (5.5, 9.3)."""
    TOO_LARGE = "TOO_LARGE"
    """The event, or what it becomes, has too many bytes (5.7, 10.2)."""
    MISSING_DEVICE_TOKEN = "MISSING_DEVICE_TOKEN"  # noqa: S105 - the name of a rule
    """Application Uninstalled without person or token (6.4)."""
    MISSING_GROUP_ID = "MISSING_GROUP_ID"
    """A group without a usable id (8.2)."""
    INVALID_RECORD = "INVALID_RECORD"
    """A record that cannot be understood, or has no connection (9)."""
    MISSING_PROPERTY = "MISSING_PROPERTY"
    """An event that does what its name says lacks what it needs for that (13.2)."""
    INVALID_DESTINATION = "INVALID_DESTINATION"
    """Settings that are missing, wrong, contradictory, or not filled in by the event (11.1, 13.1)."""
    UNKNOWN_DESTINATION = "UNKNOWN_DESTINATION"
    """No destination was declared under this number (12.1)."""
    UNKNOWN_CONNECTION = "UNKNOWN_CONNECTION"
    """No connection was declared under this number (12.1)."""
    INVALID_ITEM = "INVALID_ITEM"
    """Nothing to transform, or nothing this call can do (12.1)."""
    INTERNAL = "INTERNAL"
    """A fault of our own (12.1)."""
    REFUSED = "REFUSED"
    """Customer.io refused it for good (12.1)."""
    BLOCKED = "BLOCKED"
    """Not sent: an earlier event of the same person failed (12.1)."""
    DRAINING = "DRAINING"
    """Not sent: the server is going away (12.1)."""
    CREDENTIALS_REFUSED = "CREDENTIALS_REFUSED"
    """Not sent: Customer.io does not accept the credentials (12.1)."""
    THROTTLED = "THROTTLED"
    """Customer.io asked to slow down (12.1)."""
    UPSTREAM_FAILED = "UPSTREAM_FAILED"
    """Customer.io failed (12.1)."""
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"
    """Customer.io did not answer in time (12.1)."""


class WarningCode(StrEnum):
    """What was repaired or left out. The requests are good all the same. SPEC 12.4."""

    LONE_SURROGATE = "LONE_SURROGATE"
    """Half of an emoji became U+FFFD (1.1)."""
    PLACEHOLDER_ID = "PLACEHOLDER_ID"
    """An id that is a placeholder, such as undefined, counts as absent (2.1)."""
    UNUSABLE_TIME = "UNUSABLE_TIME"
    """A time that cannot be read was passed over (2.4)."""
    FUTURE_TIME = "FUTURE_TIME"
    """A time more than an hour ahead of the clock was left out (2.5)."""
    WRONG_TYPE = "WRONG_TYPE"
    """A member of the wrong JSON type was passed over (4.1, 4.8b, 5.1, 8.4)."""
    WHITE_SPACE_REMOVED = "WHITE_SPACE_REMOVED"
    """White space around an email or the name of an event was taken off (2.3, 5.5)."""
    ANONYMOUS_WITH_EMAIL = "ANONYMOUS_WITH_EMAIL"
    """Addressed by anonymous id although an email is known (3.3)."""
    ANONYMOUS_ID_LEFT_OUT = "ANONYMOUS_ID_LEFT_OUT"
    """The anonymous id cannot be attached (2.1, 2.2)."""
    ID_ATTRIBUTE_LEFT_OUT = "ID_ATTRIBUTE_LEFT_OUT"
    """An `id` or `cio_id` that is not the person's was left out (4.2)."""
    UNSUBSCRIBED_LEFT_OUT = "UNSUBSCRIBED_LEFT_OUT"
    """An `unsubscribed` that is neither yes nor no was left out (4.8)."""
    RELATIONSHIP_LEFT_OUT = "RELATIONSHIP_LEFT_OUT"
    """A relationship that Customer.io cannot be told of was left out (3.8, 4.8b, 10.1)."""
    ATTRIBUTE_NAME_TOO_LONG = "ATTRIBUTE_NAME_TOO_LONG"
    """An attribute whose name has over 150 bytes was left out (4.9)."""
    TEXT_CUT = "TEXT_CUT"
    """A text was cut to 1,000 bytes (4.9)."""
    VALUE_TOO_LARGE = "VALUE_TOO_LARGE"
    """An object or array of over 1,000 bytes was left out (4.9)."""
    TOO_MANY_ATTRIBUTES = "TOO_MANY_ATTRIBUTES"
    """Attributes beyond the 300th were left out (4.9)."""
    EVENT_NAME_CUT = "EVENT_NAME_CUT"
    """An event's name was cut to 100 bytes (5.5)."""
    UNKNOWN_PLATFORM = "UNKNOWN_PLATFORM"
    """A device event without a platform went out as an ordinary event (6.1)."""
    DEVICE_ATTRIBUTE_LEFT_OUT = "DEVICE_ATTRIBUTE_LEFT_OUT"
    """A device attribute that is an object or array was left out (6.3)."""
    MERGE_OF_ANONYMOUS = "MERGE_OF_ANONYMOUS"
    """The merge names an anonymous id, which Customer.io does not merge (7.2)."""
    WRONG_REGION = "WRONG_REGION"
    """Customer.io redirected to the other region (11.2)."""
    UNATTRIBUTED_ERROR = "UNATTRIBUTED_ERROR"
    """Customer.io reported an error without naming the item, or its answer cannot be read (12.1)."""


class FilterReason(StrEnum):
    """Why an event was filtered. Rules 11.3, 13.9."""

    DEVICE_MODE = "DEVICE_MODE"
    """The source sends to Customer.io itself."""
    CONSENT = "CONSENT"
    """The person denied a consent it needs."""
    ANONYMOUS = "ANONYMOUS"
    """It would create a profile that the destination does not want (13.9)."""


class Warning(NamedTuple):  # noqa: A001 - the field's own word; nothing here uses the builtin
    """Something that was repaired or left out."""

    code: WarningCode
    text: str
    """For people. Names the field, never quotes a value."""


class Error(NamedTuple):
    """Why an event became no request."""

    code: ErrorCode
    type: ErrorType
    text: str
    """For people. Names the field and the rule, never quotes personal data or secrets (12.2)."""
    status: int
    retryable: bool


class EventRejected(Exception):
    """This event, or everything for this destination, cannot become a request."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def error(self) -> Error:
        """The same as a result: status and type follow from the code. SPEC 12.1, 12.2."""
        kind, status = _OTHER_THAN_THE_EVENT.get(self.code, (ErrorType.INSTRUMENTATION, 400))
        return Error(self.code, kind, self.text, status, retryable=status >= 500)


_OTHER_THAN_THE_EVENT = {
    ErrorCode.INVALID_DESTINATION: (ErrorType.CONFIGURATION, 400),
    ErrorCode.UNKNOWN_DESTINATION: (ErrorType.INTERNAL, 503),
    ErrorCode.UNKNOWN_CONNECTION: (ErrorType.INTERNAL, 503),
    ErrorCode.INVALID_ITEM: (ErrorType.INTERNAL, 400),
    ErrorCode.INTERNAL: (ErrorType.INTERNAL, 500),
}


class Filtered(Exception):
    """The destination does not want this event."""

    def __init__(self, reason: FilterReason) -> None:
        super().__init__(reason)
        self.reason = reason


class Outcome(msgspec.Struct, gc=False):
    """What one event came to, but for the requests themselves."""

    status: int
    """200 transformed, 298 filtered, 400 refused for good, 5xx try again later (12.1)."""
    warnings: list[Warning]
    error: Error | None = None
    filtered: FilterReason | None = None


def rejected(refusal: EventRejected, warnings: list[Warning] | None = None) -> Outcome:
    """The outcome of an event that was refused."""
    error = refusal.error()
    return Outcome(error.status, warnings or [], error=error)
