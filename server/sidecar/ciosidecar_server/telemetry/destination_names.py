"""The names of destinations where an operator reads them, and the limited number that metrics tell apart."""

NO_REF = "none"
OTHER = "other"
_OWN = {"": NO_REF, NO_REF: f"ref:{NO_REF}", OTHER: f"ref:{OTHER}"}
"""A caller's destination may be named as if it were none, or the others."""


def operator_name(destination_ref: str) -> str:
    """Return the name of a destination in logs, traces, taps and metrics: NO_REF if the caller gives none."""
    return _OWN.get(destination_ref, destination_ref)


class DestinationNames:
    """The label values of destinations. The first ones have their own; the others share one."""

    def __init__(self, most: int) -> None:
        """Begin without destinations. most: the number that is told apart."""
        self._most = most
        self._known: set[str] = set()

    def label(self, destination_ref: str) -> str:
        """Return the label value of a destination_ref."""
        name = operator_name(destination_ref)
        if name in self._known:
            return name
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(name)
        return name
