"""The outcome of an event: codes, warnings, and the exceptions that end its transform. Rule 12."""

from enum import StrEnum
from typing import NamedTuple

import msgspec


class ErrorType(StrEnum):
    """Who can fix the cause of an error."""

    INSTRUMENTATION = "INSTRUMENTATION"
    """The event is wrong: its sender must fix it."""
    CONFIGURATION = "CONFIGURATION"
    """The destination is wrong: its owner must fix the settings."""
    DELIVERY = "DELIVERY"
    """Customer.io, or the network on the way to it."""
    INTERNAL = "INTERNAL"
    """The sidecar itself, or the caller's use of it."""


class ErrorCode(StrEnum):
    """The reason for an error. The contract and the docs have the same names."""

    INVALID_JSON = "INVALID_JSON"
    """The event is not one JSON object in UTF-8 (rule 1.1)."""
    UNSUPPORTED_TYPE = "UNSUPPORTED_TYPE"
    """`type` is missing or unknown (rule 1.2)."""
    INVALID_ID = "INVALID_ID"
    """An id is of a JSON type, or a value, that no id can have (rules 2.1, 3.6, 7.1)."""
    ID_TOO_LONG = "ID_TOO_LONG"
    """An id has more than 150 bytes (rule 2.2)."""
    MISSING_IDENTITY = "MISSING_IDENTITY"
    """The event names no person (rules 3.3, 3.4, 7.1, 9.2)."""
    MISSING_EVENT_NAME = "MISSING_EVENT_NAME"
    """The event has no name (rules 5.5, 9.3)."""
    TOO_LARGE = "TOO_LARGE"
    """The event, or what it becomes, has too many bytes (rules 5.7, 10.2)."""
    MISSING_DEVICE_TOKEN = "MISSING_DEVICE_TOKEN"  # noqa: S105 - the name of a rule
    """Application Uninstalled without person or token (rule 6.4)."""
    MISSING_GROUP_ID = "MISSING_GROUP_ID"
    """A group without a usable id (rule 8.2)."""
    INVALID_RECORD = "INVALID_RECORD"
    """A record that cannot be read, or has no connection (rule 9)."""
    MISSING_PROPERTY = "MISSING_PROPERTY"
    """A semantic event lacks a property that it needs (rule 13.2)."""
    INVALID_DESTINATION = "INVALID_DESTINATION"
    """Settings are missing, wrong, contradictory, or not filled in by the event (rules 11.1, 13.1)."""
    UNKNOWN_DESTINATION = "UNKNOWN_DESTINATION"
    """No destination was declared under this number (rule 12.1)."""
    UNKNOWN_CONNECTION = "UNKNOWN_CONNECTION"
    """No connection was declared under this number (rule 12.1)."""
    INVALID_ITEM = "INVALID_ITEM"
    """The item has nothing to transform, or the call cannot process it (rule 12.1)."""
    INTERNAL = "INTERNAL"
    """A fault of the sidecar (rule 12.1)."""
    REFUSED = "REFUSED"
    """A permanent failure: Customer.io rejected the request (rule 12.1)."""
    BLOCKED = "BLOCKED"
    """Not sent: an earlier event of the same person failed (rule 12.1)."""
    DRAINING = "DRAINING"
    """Not sent: the server is shutting down (rule 12.1)."""
    CREDENTIALS_REFUSED = "CREDENTIALS_REFUSED"
    """Not sent: Customer.io does not accept the credentials (rule 12.1)."""
    THROTTLED = "THROTTLED"
    """Customer.io asked to slow down (rule 12.1)."""
    UPSTREAM_FAILED = "UPSTREAM_FAILED"
    """Customer.io failed (rule 12.1)."""
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"
    """Customer.io did not answer in time (rule 12.1)."""


class WarningCode(StrEnum):
    """Something that was repaired or left out. The requests are valid despite a warning. Rule 12.4."""

    LONE_SURROGATE = "LONE_SURROGATE"
    """An unpaired surrogate became U+FFFD (rule 1.1)."""
    PLACEHOLDER_ID = "PLACEHOLDER_ID"
    """An id that is a placeholder, such as undefined, counts as absent (rule 2.1)."""
    UNUSABLE_TIME = "UNUSABLE_TIME"
    """A time that cannot be read was ignored (rule 2.4)."""
    FUTURE_TIME = "FUTURE_TIME"
    """A time more than an hour ahead of the clock was left out (rule 2.5)."""
    WRONG_TYPE = "WRONG_TYPE"
    """A member of the wrong JSON type was ignored (rules 4.1, 4.8b, 5.1, 8.4)."""
    WHITE_SPACE_REMOVED = "WHITE_SPACE_REMOVED"
    """White space around an email or the name of an event was removed (rules 2.3, 5.5)."""
    ANONYMOUS_WITH_EMAIL = "ANONYMOUS_WITH_EMAIL"
    """The identify is addressed by anonymous id although an email is known (rule 3.3)."""
    ANONYMOUS_ID_LEFT_OUT = "ANONYMOUS_ID_LEFT_OUT"
    """The anonymous id cannot be attached (rules 2.1, 2.2)."""
    ID_ATTRIBUTE_LEFT_OUT = "ID_ATTRIBUTE_LEFT_OUT"
    """An `id` or `cio_id` that is not the person's was left out (rule 4.2)."""
    UNSUBSCRIBED_LEFT_OUT = "UNSUBSCRIBED_LEFT_OUT"
    """An `unsubscribed` that is neither yes nor no was left out (rule 4.8)."""
    RELATIONSHIP_LEFT_OUT = "RELATIONSHIP_LEFT_OUT"
    """A relationship that Customer.io cannot store was left out (rules 3.8, 4.8b, 10.1)."""
    ATTRIBUTE_NAME_TOO_LONG = "ATTRIBUTE_NAME_TOO_LONG"
    """An attribute whose name has over 150 bytes was left out (rule 4.9)."""
    TEXT_CUT = "TEXT_CUT"
    """A text was cut to 1,000 bytes (rule 4.9)."""
    VALUE_TOO_LARGE = "VALUE_TOO_LARGE"
    """An object or array of over 1,000 bytes was left out (rule 4.9)."""
    TOO_MANY_ATTRIBUTES = "TOO_MANY_ATTRIBUTES"
    """Attributes beyond the 300th were left out (rule 4.9)."""
    EVENT_NAME_CUT = "EVENT_NAME_CUT"
    """An event's name was cut to 100 bytes (rule 5.5)."""
    UNKNOWN_PLATFORM = "UNKNOWN_PLATFORM"
    """A device event without a platform went out as an ordinary event (rule 6.1)."""
    DEVICE_ATTRIBUTE_LEFT_OUT = "DEVICE_ATTRIBUTE_LEFT_OUT"
    """A device attribute that is an object or array was left out (rule 6.3)."""
    MERGE_OF_ANONYMOUS = "MERGE_OF_ANONYMOUS"
    """The merge names an anonymous id, which Customer.io does not merge (rule 7.2)."""
    WRONG_REGION = "WRONG_REGION"
    """Customer.io redirected to the other region (rule 11.2)."""
    UNATTRIBUTED_ERROR = "UNATTRIBUTED_ERROR"
    """Customer.io's response names no item of an error, or cannot be read (rule 12.1)."""


class FilterReason(StrEnum):
    """Why an event was filtered. Rules 11.3, 13.9."""

    DEVICE_MODE = "DEVICE_MODE"
    """The source's SDK sends to Customer.io itself (rule 11.3)."""
    CONSENT = "CONSENT"
    """The person denied a consent that the event needs (rule 11.3)."""
    ANONYMOUS = "ANONYMOUS"
    """The event would create a profile that the destination does not want (rule 13.9)."""


class Warning(NamedTuple):  # noqa: A001 - the field's own word; nothing here uses the builtin
    """A warning: something was repaired or left out."""

    code: WarningCode
    text: str
    """A message for people. Names the field, never quotes a value."""


class Error(NamedTuple):
    """The reason why an event became no request."""

    code: ErrorCode
    type: ErrorType
    text: str
    """A message for people. Names the field and the rule, never quotes personal data or secrets (rule 12.2)."""
    status: int
    retryable: bool


INTERNAL = Error(
    ErrorCode.INTERNAL,
    ErrorType.INTERNAL,
    "internal error; the server's log names the place",
    500,
    retryable=True,
)
"""The error of an event that met a fault of the sidecar's own."""


class EventRejected(Exception):
    """An event, or every event of a destination, cannot become a request."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def error(self) -> Error:
        """Return the error, with the status and type of its code. Rules 12.1, 12.2."""
        kind, status = _NOT_OF_THE_EVENT.get(self.code, (ErrorType.INSTRUMENTATION, 400))
        return Error(self.code, kind, self.text, status, retryable=status >= 500)


_NOT_OF_THE_EVENT = {
    ErrorCode.INVALID_DESTINATION: (ErrorType.CONFIGURATION, 400),
    ErrorCode.UNKNOWN_DESTINATION: (ErrorType.INTERNAL, 503),
    ErrorCode.UNKNOWN_CONNECTION: (ErrorType.INTERNAL, 503),
    ErrorCode.INVALID_ITEM: (ErrorType.INTERNAL, 400),
    ErrorCode.INTERNAL: (ErrorType.INTERNAL, 500),
}


class Filtered(Exception):
    """The destination does not want an event."""

    def __init__(self, reason: FilterReason) -> None:
        super().__init__(reason)
        self.reason = reason


class Outcome(msgspec.Struct, gc=False):
    """The outcome of one event, without its requests."""

    status: int
    """200 transformed, 298 filtered, 400 permanent failure, 5xx retryable failure (rule 12.1)."""
    warnings: list[Warning]
    error: Error | None = None
    filtered: FilterReason | None = None
    event_type: str = ""
    """The type of the event in lower case; "" if it is not one of EVENT_TYPES, or was not read."""


def rejected(
    rejection: EventRejected, warnings: list[Warning] | None = None, event_type: str = ""
) -> Outcome:
    """Return the outcome of a rejected event."""
    error = rejection.error()
    return Outcome(error.status, warnings or [], error=error, event_type=event_type)
