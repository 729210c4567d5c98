"""The items of a batch: decoded and worked on in portions, and from a place before if there was a fault."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Any, Protocol, TypeVar

from ciosidecar.v1 import event_pb2 as pb

from .decoding import BatchDecoder, Decoded
from .errors import ProtocolError
from .request_message import Batch, ItemOptions
from .turns import LARGE_BYTES, Turns, in_thread

Processed = TypeVar("Processed")
_Item = tuple[int, tuple[ItemOptions, bytes]]
_InThread = Callable[[], tuple[Decoded, Any]]


class BatchWork(Protocol[Processed]):
    """The work on one batch. Its items come in their order."""

    def process(self, item: Decoded) -> Processed:
        """Do the part that needs the processor. It may run in a thread."""

    def accept(self, item: Decoded, processed: Processed, /) -> Any:
        """Do the rest, in the event loop."""

    def close(self) -> None:
        """Do what waited for the last item to be accepted."""

    def begin_again(self, processed: int, fault: Exception) -> int:
        """Return the position of the item from which on a fault lost results. Items come again from there.

        `process` and `accept` may be others now.

        Args:
            processed: the number of items that were processed.
            fault: what `accept` or `close` raised, or the reading of the next item. It is raised if the batch
                cannot go on.
        """

    async def pause(self) -> None:
        """Write what is ready: other callers have their turn next."""

    async def end(self) -> None:
        """Write the rest."""


async def work_on_items(batch: Batch, decoder: BatchDecoder, work: BatchWork[Any]) -> float:
    """Hand the items of a batch to the work on it, in turns with other callers.

    Returns:
        The time that the work took, without what others took meanwhile. Unit: seconds.

    Raises:
        ProtocolError: the batch cannot be answered.
    """
    items = _Items(batch, decoder, work)
    turns = Turns()
    worked_s = 0.0
    while True:
        begun_at = perf_counter()
        if not items.work_until(turns.end):
            worked_s += perf_counter() - begun_at
            return worked_s
        if items.large is not None:
            await items.work_in_thread(items.large)
        worked_s += perf_counter() - begun_at
        if turns.over:
            await work.pause()
            await turns.next()


class _Items:
    """The items of a batch that are not worked on."""

    def __init__(self, batch: Batch, decoder: BatchDecoder, work: BatchWork[Any]) -> None:
        self._batch = batch
        self._decode = decoder.decode
        self._work = work
        self._items: Iterable[_Item] = enumerate(batch.items())
        self._position = -1
        """Of the last item that was read."""
        self.large: _InThread | None = None
        """What a thread has to do with the last item that was read, before further items are read."""

    def work_until(self, end: float) -> bool:
        """Work on items until the time is over, or an item is large. Return whether there may be more to do.

        end: by `perf_counter`.
        """
        decode, process, accept = self._decode, self._work.process, self._work.accept
        position = self._position
        try:
            for position, (item, json) in self._items:
                if (len(json) or _size_of_other(item)) > LARGE_BYTES:
                    self.large = partial(self._decode_and_process, position, item, json)
                    return True
                decoded = decode(position, item, json)
                accept(decoded, process(decoded))
                if perf_counter() > end:
                    return True
            self._work.close()
        except ProtocolError:
            raise
        except Exception as fault:  # noqa: BLE001 - one batch's fault is not the stream's
            self._begin_again(position, fault)
            return True
        finally:
            self._position = position
        return False

    async def work_in_thread(self, large: _InThread) -> None:
        """Work on the large item."""
        self.large = None
        try:
            decoded, processed = await in_thread(large)
            self._work.accept(decoded, processed)
        except Exception as fault:  # noqa: BLE001
            self._begin_again(self._position, fault)

    def _decode_and_process(
        self, position: int, item: ItemOptions, json: bytes
    ) -> tuple[Decoded, Any]:
        decoded = self._decode(position, item, json)
        return decoded, self._work.process(decoded)

    def _begin_again(self, position: int, fault: Exception) -> None:
        first = self._work.begin_again(position + 1, fault)
        self._items = islice(enumerate(self._batch.items()), first, None)


def _size_of_other(item: ItemOptions) -> int:
    """Return the bytes of an item that has no JSON."""
    return item.ByteSize() if isinstance(item, pb.BatchItem) else 0
