"""Reading of the files that operators write: settings, destinations, certificates, tokens."""

import errno
import os
import stat
from pathlib import Path

from .addresses import CannotListen


def read_regular_file(path: Path) -> bytes:
    """Return the content of a file that can be read again at any time.

    Reading a named pipe would wait for a writer, and stop the event loop when the file is read again. A device may
    have no end.

    Raises:
        OSError: The file cannot be read, or is no regular file.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(
                    errno.EINVAL, "it is no regular file; a pipe or a device cannot be read again"
                )
            return file.read()
    except ValueError:  # a null byte in the path
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None


def read_flag_file(flag: str, path: Path) -> bytes:
    """Return the content of the file that a flag names.

    Raises:
        CannotListen: The file cannot be read.
    """
    try:
        return read_regular_file(path)
    except PermissionError:
        raise CannotListen(
            f"cannot read {flag} {path}: permission denied; user {os.geteuid()} must be able to read it"
        ) from None
    except OSError as problem:
        raise CannotListen(f"cannot read {flag} {path}: {problem.strerror}") from None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
