"""The targets of the fuzzer: each takes any bytes and raises if a promise is broken."""

from collections.abc import Callable

from .events import try_config, try_connection, try_event
from .exchanges import try_exchange
from .prepared import try_prepared
from .responses import try_response

TARGETS: dict[str, Callable[[bytes], None]] = {
    "event": try_event,
    "config": try_config,
    "connection": try_connection,
    "prepared": try_prepared,
    "response": try_response,
    "exchange": try_exchange,
}
"""What each target tries, by its name on the command line and in corpus/."""
