"""Core files: none of a command, because its memory has events and keys."""

import resource

_AT_START = resource.getrlimit(resource.RLIMIT_CORE)


def forbid() -> None:
    """Let this process and its children leave no core file. The hard limit stays, so that `allow` can undo this."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, _AT_START[1]))


def allow() -> None:
    """Leave to the system whether there are core files, as at the start of this process."""
    resource.setrlimit(resource.RLIMIT_CORE, _AT_START)
