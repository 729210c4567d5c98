"""What Customer.io is to be told, in no dialect yet."""

from typing import Literal

from msgspec import Raw, Struct

from .platforms import Platform

Attributes = dict[str, Raw]
"""Names as the user wrote them, values as JSON text."""


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


class UpdateObject(Struct, frozen=True, gc=False):
    """This object has these attributes and is related to this person."""

    action: str
    """identify, delete, add_relationships or delete_relationships."""
    object_type_id: str
    object_id: str
    attributes: Attributes
    person: str | None

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it is about, as addressed."""
        return () if self.person is None else (self.person,)


Operation = Identify | SendEvent | AddDevice | DeleteDevice | Merge | UpdateObject
