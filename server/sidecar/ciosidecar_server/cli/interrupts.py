"""Ctrl-C, at the times at which a command has no handler of its own."""

import os
import signal

EXIT_INTERRUPTED = 130


def end_on_ctrl_c() -> None:
    """Let Ctrl-C end the process at once, without a traceback."""
    if not _is_ignored():
        signal.signal(signal.SIGINT, lambda *_: os._exit(EXIT_INTERRUPTED))


def interrupt_on_ctrl_c() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, so that a command can say how far it came."""
    if not _is_ignored():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_ignored() -> bool:
    """Return True for a background job, which a shell lets ignore the signal."""
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN
