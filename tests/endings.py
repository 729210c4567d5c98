"""How a long form ends: its exit code, also after Ctrl-C, and what it started ends before it."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from .early_interrupt import INTERRUPTED, interrupt_on_ctrl_c

_GRACE_S = 30


def exit_with(main: Callable[[], int | bool]) -> NoReturn:
    """Run the main function of a long form, and exit with the code that it returns.

    Ctrl-C and SIGTERM raise KeyboardInterrupt in it. If the reader of stdout is gone (`| head -1`), the exit code is 1,
    without a traceback.
    """
    interrupt_on_ctrl_c()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = int(main())
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nended early", file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:
        if not _is_unread(sys.stdout.fileno()):
            raise
        code = 1
    if _is_unread(sys.stdout.fileno()):
        # Python writes what is left once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run_child(command: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[Any]":
    """Run a command to its end. KeyboardInterrupt ends the command first, with whatever it started.

    The command has a process group of its own: it gets one SIGINT, from here, and not a second one from the terminal.
    """
    with subprocess.Popen(command, process_group=0, **options) as process:
        try:
            out, err = process.communicate()
        except BaseException:
            _end(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _end(process: "subprocess.Popen[Any]") -> None:
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=_GRACE_S)
    # Whatever the command left in its group, or the command itself.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _is_unread(descriptor: int) -> bool:
    """Return True if the descriptor is a pipe that no process reads."""
    waiting = select.poll()
    waiting.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in waiting.poll(0))
