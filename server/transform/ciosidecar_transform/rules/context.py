"""What a rule may read of one event, and where it reports what it repaired or left out."""

from msgspec import Struct
from msgspec.structs import replace

from ..event import Event
from ..outcomes import Warning, WarningCode
from ..settings.connections import Connection
from ..settings.destination import Destination


class RuleContext(Struct, gc=False):
    """One event on its way through a rule."""

    event: Event
    destination: Destination
    warnings: list[Warning]
    """The warnings of the event so far."""
    now: int
    """The caller's clock. Unit: seconds since 1970."""
    connection: Connection | None = None
    """What the row of a record is about, or None if the caller named no connection (rule 9.1)."""

    def warn(self, code: WarningCode, text: str) -> None:
        """Add a warning. The text is for people: it names the field and the rule, and no value."""
        self.warnings.append(Warning(code, text))

    def muted(self) -> "RuleContext":
        """Return the same context with warnings of its own, for reading a value a second time."""
        return replace(self, warnings=[])
