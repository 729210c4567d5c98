"""Ctrl-C while a long form still imports its modules, which takes seconds."""

import os
import signal

INTERRUPTED = 130
"""The exit code after Ctrl-C or SIGTERM, as shells have it."""


def end_on_ctrl_c() -> None:
    """Let Ctrl-C end the process at once, without a traceback. What has started nothing has nothing to end."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))


def interrupt_on_ctrl_c() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, so that the long form ends what it started."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
