"""Operations: the changes to make at Customer.io, in no API version's format."""

from typing import Literal

from msgspec import Raw, Struct

from .identifiers import IdentifierKind
from .platforms import Platform

Attributes = dict[str, Raw]
"""Names as the user wrote them, values as JSON text."""

ADD_RELATIONSHIPS, DELETE_RELATIONSHIPS = "add_relationships", "delete_relationships"
"""What the attribute `cio_relationships` may ask for (rule 4.8b)."""


class Identify(Struct, frozen=True, gc=False):
    """Set attributes of a person."""

    person: str
    attributes: Attributes
    timestamp: int | None
    """Seconds since 1970; lets Customer.io order updates."""

    @property
    def people(self) -> tuple[str, ...]:
        """Return the identifiers of the people of the operation."""
        return (self.person,)


class DeletePerson(Struct, frozen=True, gc=False):
    """Delete a person."""

    person: str

    @property
    def people(self) -> tuple[str, ...]:
        """Return the identifiers of the people of the operation."""
        return (self.person,)


class SendEvent(Struct, frozen=True, gc=False):
    """Record an event of a known person or an anonymous profile."""

    person: str | None
    """What addresses the known person; None for an anonymous event."""
    anonymous_id: str | None
    """What addresses the anonymous profile; None for a known person."""
    kind: Literal["track", "page", "screen"]
    name: str
    data: bytes
    """The properties: a JSON object."""
    timestamp: int | None
    event_id: str | None
    """A ULID. Customer.io ignores an event whose id it has seen."""

    @property
    def people(self) -> tuple[str, ...]:
        """Return the identifiers of the people of the operation."""
        return (self.person or self.anonymous_id or "",)


class AddDevice(Struct, frozen=True, gc=False):
    """Add a device to a person."""

    person: str
    token: str
    platform: Platform
    last_used: int | None
    attributes: Attributes
    """Attributes of the device. All values are texts."""

    @property
    def people(self) -> tuple[str, ...]:
        """Return the identifiers of the people of the operation."""
        return (self.person,)


class DeleteDevice(Struct, frozen=True, gc=False):
    """Delete a device of a person."""

    person: str
    token: str

    @property
    def people(self) -> tuple[str, ...]:
        """Return the identifiers of the people of the operation."""
        return (self.person,)


class Merge(Struct, frozen=True, gc=False):
    """Merge two people into the primary."""

    primary: str
    secondary: str

    @property
    def people(self) -> tuple[str, ...]:
        """Return the identifiers of the people of the operation."""
        return (self.primary, self.secondary)


class ChangeSegment(Struct, frozen=True, gc=False):
    """Add a person to a manual segment, or remove the person."""

    segment_id: int
    removes: bool
    kind: IdentifierKind
    """The kind of the identifier."""
    identifier: str
    person: str
    """The identifier in the form in which other operations address the person."""

    @property
    def people(self) -> tuple[str, ...]:
        """Return the identifiers of the people of the operation."""
        return (self.person,)


class ChangeSuppression(Struct, frozen=True, gc=False):
    """Delete a person and keep the profile from being created again, or lift that."""

    person: str
    lifts: bool

    @property
    def people(self) -> tuple[str, ...]:
        """Return the identifiers of the people of the operation."""
        return (self.person,)


class ReportDelivery(Struct, frozen=True, gc=False):
    """Report what happened to a message."""

    delivery_id: str
    metric: str
    """The name of what happened: delivered, opened, clicked, …"""
    timestamp: int | None
    recipient: str | None
    device_token: str | None
    """The device that received the message, if it is known to be a push."""
    reason: str | None
    """Why the message failed."""
    href: str | None
    """The link that was clicked."""
    action_name: str | None
    """The name of the button in the app that was pressed."""
    action_value: str | None

    @property
    def people(self) -> tuple[str, ...]:
        """Return nothing: a message is identified by its own id."""
        return ()


class UpdateObject(Struct, frozen=True, gc=False):
    """Set attributes of an object, and its relationship to a known or anonymous person."""

    action: str
    """identify, identify_anonymous, delete, add_relationships or delete_relationships."""
    object_type_id: str
    object_id: str
    attributes: Attributes
    person: str | None
    anonymous_id: str | None = None
    """What addresses the related anonymous profile, if there is no known person."""
    relationship_attributes: Attributes | None = None
    """Attributes of the relationship. None: the request has none of them."""

    @property
    def people(self) -> tuple[str, ...]:
        """Return the identifiers of the people of the operation."""
        person = self.person or self.anonymous_id
        return () if person is None else (person,)


Operation = (
    Identify
    | DeletePerson
    | SendEvent
    | AddDevice
    | DeleteDevice
    | Merge
    | ChangeSegment
    | ChangeSuppression
    | ReportDelivery
    | UpdateObject
)
