"""Outcomes of operations: what a call changed, which the response does not tell the client."""

import enum

from msgspec import Struct


class Outcome(enum.StrEnum):
    """Outcome of one operation."""

    APPLIED = "applied"
    """The operation took full effect. A reason, if any, is a remark."""
    PARTLY = "partly"
    """Accepted, but a part had no effect. The reason says which part."""
    DROPPED = "dropped"
    """Accepted with 200, but nothing changed. The reason says why."""
    REFUSED = "refused"
    """Answered with an error, or listed in a 207. Nothing changed."""
    FAULT = "fault"
    """An injected fault replaced the response."""


class Effect(Struct, frozen=True, gc=False):
    """The effect of an operation, for the log."""

    outcome: Outcome
    reason: str = ""
    person: str = ""
    """cio_id of the person that the operation concerned; "" if there is none."""


def applied(person: str = "", remarks: "list[str] | None" = None) -> Effect:
    """Return the effect of an operation that took full effect, with remarks about it."""
    return Effect(Outcome.APPLIED, "; ".join(remarks) if remarks else "", person)


def partly(person: str, reasons: list[str]) -> Effect:
    """Return the effect of an operation of which a part had no effect."""
    return Effect(Outcome.PARTLY, "; ".join(reasons), person)


def dropped(reason: str, person: str = "") -> Effect:
    """Return the effect of an operation that was accepted but changed nothing."""
    return Effect(Outcome.DROPPED, reason, person)


class Refusal(Exception):
    """An operation or a request that the API answers with an error.

    Attributes:
        message: The text of the error.
        field: The member at fault, with dots ("attributes.plan"); "" if there is none.
        reason: "required" or "invalid".
        status: The HTTP status.
    """

    def __init__(
        self, message: str, field: str = "", reason: str = "invalid", status: int = 400
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.reason = reason
        self.status = status
