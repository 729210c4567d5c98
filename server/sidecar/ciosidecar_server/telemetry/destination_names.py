"""The destinations that metrics tell apart: a limited number, however many callers declare."""

NO_REF = "none"
OTHER = "other"


class DestinationNames:
    """The label values of destinations. The first ones have their own; the others share one."""

    def __init__(self, most: int) -> None:
        """Begin without destinations. most: the number that is told apart."""
        self._most = most
        self._known: set[str] = set()

    def label(self, destination_ref: str) -> str:
        """Return the label value of a destination_ref."""
        name = destination_ref or NO_REF
        if name in self._known:
            return name
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(name)
        return name
