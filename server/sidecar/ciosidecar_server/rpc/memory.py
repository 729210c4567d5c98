"""Giving memory back to the system after messages of many megabytes."""

import asyncio
import ctypes
import ctypes.util
from collections.abc import Callable

from google.protobuf.message import Message

_LARGE_BYTES = 8 << 20


def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim, where the process runs on glibc."""
    name = ctypes.util.find_library("c")
    return None if name is None else getattr(ctypes.CDLL(name), "malloc_trim", None)


_trim = _malloc_trim()


def give_back_after(message: Message) -> None:
    """Returns what a large message took, once it is gone.

    glibc keeps freed memory for the process: a caller that once sent 60 MB would cost 200 MB for
    good.
    """
    if _trim is not None and message.ByteSize() > _LARGE_BYTES:
        asyncio.get_running_loop().call_later(0.1, _trim, 0)
