"""record: a warehouse row. SPEC 9."""

from typing import NoReturn

from ..destination import Destination
from ..event import Event
from ..result import ErrorCode, Refused, Warning


def operation(
    _event: Event, _destination: Destination, _warnings: list[Warning], _now: int
) -> NoReturn:
    """Refuses the row: what it means is in its connection, and this server takes none (9.1)."""
    raise Refused(
        ErrorCode.INVALID_RECORD,
        "a record needs a connection, which this server does not take (9.1)",
    )
