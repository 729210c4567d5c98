# The compiled parts of ciosidecar. `ciosidecar_transform.native` alone imports them.

from collections.abc import Mapping

from msgspec import Raw

INTERFACE: int

# Leaves. What they do is said by their twins of the same names in ciosidecar_transform.
def unix_millis(json_value: object, /) -> int | None: ...
def hashed_ulid(
    millis: int,
    message_id: str,
    kind: str,
    name: str,
    addressed: str,
    properties: bytes | Raw,
    /,
) -> str: ...
def any_longer(
    attributes: Mapping[str, bytes | Raw], name_chars: int, value_bytes: int, /
) -> bool: ...
def event_body(
    name: str,
    kind_json: bytes,
    data: bytes,
    timestamp: int | None,
    event_id: str | None,
    anonymous_id: str | None,
    /,
) -> bytes: ...
def event_item(
    opening: bytes,
    id_type: str,
    identifier: str,
    name: str,
    event_id: str | None,
    timestamp: int | None,
    data: bytes,
    /,
) -> bytes: ...
