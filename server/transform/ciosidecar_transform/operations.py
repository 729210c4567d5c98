"""What Customer.io is to be told, in no dialect yet."""

from typing import Literal

from msgspec import Raw, Struct

from .identifiers import IdentifierKind
from .platforms import Platform

Attributes = dict[str, Raw]
"""Names as the user wrote them, values as JSON text."""

ADD_RELATIONSHIPS, DELETE_RELATIONSHIPS = "add_relationships", "delete_relationships"
"""What the attribute `cio_relationships` may ask for (rule 4.8b)."""


class Identify(Struct, frozen=True, gc=False):
    """This person has these attributes."""

    person: str
    attributes: Attributes
    timestamp: int | None
    """Seconds since 1970; lets Customer.io order updates."""

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it is about, as addressed."""
        return (self.person,)


class DeletePerson(Struct, frozen=True, gc=False):
    """This person is to be forgotten."""

    person: str

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it is about, as addressed."""
        return (self.person,)


class SendEvent(Struct, frozen=True, gc=False):
    """This happened, to a known person or to a visitor."""

    person: str | None
    """What addresses the person; None for a visitor."""
    anonymous_id: str | None
    """What addresses the visitor; None for a known person."""
    kind: Literal["track", "page", "screen"]
    name: str
    data: bytes
    """The properties, an object, as they came."""
    timestamp: int | None
    event_id: str | None
    """A ULID: Customer.io ignores a repeat."""

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it is about, as addressed."""
        return (self.person or self.anonymous_id or "",)


class AddDevice(Struct, frozen=True, gc=False):
    """This person has this device."""

    person: str
    token: str
    platform: Platform
    last_used: int | None
    attributes: Attributes
    """All of them texts."""

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it is about, as addressed."""
        return (self.person,)


class DeleteDevice(Struct, frozen=True, gc=False):
    """This person no longer has this device."""

    person: str
    token: str

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it is about, as addressed."""
        return (self.person,)


class Merge(Struct, frozen=True, gc=False):
    """These two people are one: the primary stays."""

    primary: str
    secondary: str

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it is about, as addressed."""
        return (self.primary, self.secondary)


class ChangeSegment(Struct, frozen=True, gc=False):
    """This person is in this manual segment, or no longer is."""

    segment_id: int
    removes: bool
    kind: IdentifierKind
    """What the identifier is."""
    identifier: str
    person: str
    """The same person as any other operation addresses them."""

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it is about, as addressed."""
        return (self.person,)


class ChangeSuppression(Struct, frozen=True, gc=False):
    """This person is to be forgotten and not to come back, or may come back."""

    person: str
    lifts: bool

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it is about, as addressed."""
        return (self.person,)


class ReportDelivery(Struct, frozen=True, gc=False):
    """This became of a message."""

    delivery_id: str
    metric: str
    """delivered, opened, clicked, …"""
    timestamp: int | None
    recipient: str | None
    device_token: str | None
    """The device that got it, if it is known that a device did."""
    reason: str | None
    """Why it failed."""
    href: str | None
    """What was clicked."""
    action_name: str | None
    """Of the button in the app that was pressed."""
    action_value: str | None

    @property
    def people(self) -> tuple[str, ...]:
        """Nobody: a message is known by its id."""
        return ()


class UpdateObject(Struct, frozen=True, gc=False):
    """This object has these attributes and is related to this person, or to this visitor."""

    action: str
    """identify, identify_anonymous, delete, add_relationships or delete_relationships."""
    object_type_id: str
    object_id: str
    attributes: Attributes
    person: str | None
    anonymous_id: str | None = None
    """The visitor it is related to, where that is no known person."""
    relationship_attributes: Attributes | None = None
    """Of the relationship; None: nothing is said of them."""

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it is about, as addressed."""
        found = self.person or self.anonymous_id
        return () if found is None else (found,)


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
