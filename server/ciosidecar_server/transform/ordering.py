"""What must stay in order: everything by which Customer.io may know whom an operation is about."""

from .event import Event
from .identity import comparable, identifiers
from .operations import Operation, UpdateObject


def ordering_keys(operation: Operation, event: Event) -> set[str]:
    """Two operations that share a key concern the same person or object: their order matters.

    The people as they are addressed, whatever else the event says they are known by, and the
    object, if it is about one. All of it comparable: two spellings of one email are equal.
    """
    keys = identifiers(event)
    keys.update(map(comparable, operation.people))
    if type(operation) is UpdateObject:
        # The line feed keeps an object apart from a person of the same id.
        keys.add(f"object\n{operation.object_type_id}\n{operation.object_id}")
    return keys
