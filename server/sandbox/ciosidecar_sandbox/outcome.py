"""What became of a call: the effect behind an answer, which the answer itself does not tell."""

import enum

from msgspec import Struct


class Outcome(enum.StrEnum):
    """What became of one operation."""

    APPLIED = "applied"
    """It did what it says. A reason, if any, is a remark."""
    PARTLY = "partly"
    """Accepted, and some of it did nothing: the reason says what."""
    DROPPED = "dropped"
    """Accepted with 200, and nothing changed: the reason says why."""
    REFUSED = "refused"
    """Answered with an error (or named in a 207): nothing changed."""
    FAULT = "fault"
    """A fault that was asked for took the place of the answer."""


class Effect(Struct, frozen=True, gc=False):
    """What an operation did, for the log."""

    outcome: Outcome
    reason: str = ""
    person: str = ""
    """cio_id of the person it was about, "" if there is none."""


def applied(person: str = "", remarks: "list[str] | None" = None) -> Effect:
    """It worked; remarks say what deserves a second look."""
    return Effect(Outcome.APPLIED, "; ".join(remarks) if remarks else "", person)


def partly(person: str, reasons: list[str]) -> Effect:
    """It worked, but for what the reasons name."""
    return Effect(Outcome.PARTLY, "; ".join(reasons), person)


def dropped(reason: str, person: str = "") -> Effect:
    """Silently dropped, because of the reason."""
    return Effect(Outcome.DROPPED, reason, person)


class Refusal(Exception):
    """The API answers an error, in the shape of its version.

    reason: required or invalid. field: the member at fault, with dots ("attributes.plan").
    """

    def __init__(
        self, message: str, field: str = "", reason: str = "invalid", status: int = 400
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.reason = reason
        self.status = status
