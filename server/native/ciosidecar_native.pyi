# The compiled parts of ciosidecar. `ciosidecar_transform.native` alone imports them.

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, final

from ciosidecar_transform import Outcome
from ciosidecar_transform.requests import Request, RequestTemplate
from msgspec import Raw

__version__: str
INTERFACE: int

# Leaves. What they do is said by their twins of the same names in ciosidecar_transform.
def unix_millis(json_value: object, /) -> int | None: ...
def hashed_ulid(
    time: object,
    other_time: object,
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
def is_utf8(data: bytes, /) -> bool: ...

# The codec. What it does is said by request_message.py and results_message.py of ciosidecar_server.rpc.
_Options = TypeVar("_Options")

@final
class Batch:
    @property
    def batch_id(self) -> int: ...
    @property
    def destination(self) -> int: ...
    @property
    def connection(self) -> int: ...
    @property
    def traceparent(self) -> str: ...
    @property
    def timeout_s(self) -> float | None: ...
    @property
    def item_count(self) -> int: ...
    @property
    def only_prepared(self) -> bool: ...
    def items(self) -> Iterator[tuple[Any, bytes]]: ...
    def tags(self) -> dict[int, bytes]: ...
    def traceparents(self) -> dict[int, str]: ...

def read_stream_batch(
    message: bytes,
    plain: _Options,
    options: Callable[..., _Options],
    reread: Callable[[bytes, Exception], Any],
) -> Batch | None: ...
def read_unary_batch(
    message: bytes,
    plain: _Options,
    options: Callable[..., _Options],
    reread: Callable[[bytes, Exception], Any],
) -> tuple[Batch, bytes] | None: ...

@final
class ResultsMessage:
    size: int
    @property
    def answered(self) -> int: ...
    @property
    def has_room(self) -> bool: ...
    def __new__(
        cls,
        number: int,
        batch_id: int,
        max_bytes: int,
        owner: Any,
        equal_templates: bool,
        per_event_bytes: int,
        made: Callable[[bytes, int, bool], Any],
    ) -> ResultsMessage: ...
    def begin(self) -> None: ...
    def reserve(self, template: RequestTemplate, size: int) -> None: ...
    def needed(self, template: RequestTemplate, size: int) -> int: ...
    def take_room(self, template: RequestTemplate, needed: int) -> None: ...
    def add(self, request: Request, position: int | list[int]) -> None: ...
    def answer(self, position: int, status: int, detail_bytes: int) -> None: ...
    def accept(self, item: Any, outcome: Outcome) -> None: ...
    def add_detail(self, detail: Any) -> None: ...
    def close(self, *, complete: bool) -> Any: ...
    def release(self) -> None: ...
