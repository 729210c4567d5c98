"""Gives memory back to the system after messages of many megabytes."""

import asyncio
import ctypes
import ctypes.util
from collections.abc import Callable

_LARGE_BYTES = 8 << 20


def _malloc_trim() -> Callable[[int], int] | None:
    """Return glibc's malloc_trim, None if the process does not run on glibc."""
    name = ctypes.util.find_library("c")
    return None if name is None else getattr(ctypes.CDLL(name), "malloc_trim", None)


_trim = _malloc_trim()


def give_back_after(size: int) -> None:
    """Give the memory of a large message back to the system soon. size: its bytes.

    glibc keeps freed memory for the process. After one message of 60 MB the process would keep
    200 MB.
    """
    if _trim is not None and size > _LARGE_BYTES:
        asyncio.get_running_loop().call_later(0.1, _trim, 0)
