"""The end of a command: its exit code, and a sentence on stderr if it failed."""

import errno
import os
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NoReturn

import uvloop
from rich.console import Console

from ..addresses import CannotListen, Exposed
from ..destinations_file import InvalidFile
from ..event_loop import Loop
from .interrupts import EXIT_INTERRUPTED, interrupt_on_ctrl_c

EXIT_FAILED = 1
EXIT_USAGE = 2

stderr = Console(stderr=True)


class Failed(Exception):
    """The command failed. The text says why and what to do."""

    def __init__(self, text: str, code: int = EXIT_FAILED) -> None:
        super().__init__(text)
        self.code = code


def run(command: Coroutine[Any, Any, None]) -> None:
    """Run a command. A failure becomes a sentence on stderr and an exit code."""
    interrupt_on_ctrl_c()
    try:
        uvloop.run(command, loop_factory=Loop)
    except Exposed as problem:
        give_up(str(problem), EXIT_USAGE)
    except InvalidFile as problem:
        give_up(str(problem), EXIT_USAGE)
    except (Failed, CannotListen) as problem:
        give_up(str(problem), getattr(problem, "code", EXIT_FAILED))
    except BrokenPipeError:
        # The reader of our output closed it, as `head` does. This is no error.
        drop_output()
    except KeyboardInterrupt:
        raise SystemExit(EXIT_INTERRUPTED) from None
    except _client_error() as problem:
        give_up(f"no answer from the sidecar: {problem}", EXIT_FAILED)


def _client_error() -> type[Exception]:
    """Return the base of the client's errors. The client imports gRPC, which the parent of workers must not."""
    from ciosidecar import SidecarError  # noqa: PLC0415 - see above

    return SidecarError


def reason(problem: OSError) -> str:
    """Return in a few words why a file or a stream cannot be used."""
    return "it is closed" if problem.errno == errno.EBADF else problem.strerror or str(problem)


def drop_output() -> None:
    """Discard what is buffered for standard output, which has no reader or no room."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str, style: str | None = None) -> None:
    """Print a sentence on stderr, if stderr can be written."""
    words = f"ciosidecar: {text}"
    with suppress(OSError):
        stderr.print(words, style=style, markup=False, highlight=False, soft_wrap=True)


def give_up(text: str, code: int) -> NoReturn:
    """End the command with a sentence and an exit code."""
    say(text, "red")
    raise SystemExit(code)
