"""Messages to systemd, as its page sd_notify(3) describes them."""

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Tell the service manager about this process, if it asked to be told.

    A message that cannot be sent is dropped: systemd then ends the service by its start timeout, and
    says so.

    Args:
        state: The message: READY=1.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # An abstract socket's name begins with a zero byte.
    path = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):
        sender.settimeout(0)
        sender.sendto(state.encode(), path)
