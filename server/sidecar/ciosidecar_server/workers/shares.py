"""Settings of each worker: its addresses, and its share of what the whole sidecar may do."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import get_args

from cyclopts import Parameter

from ..addresses import CannotListen
from ..settings import Settings

_SOCKETS = ("unix:", "unix-abstract:")
_MAX_PORT = 65_535
_PREFIX = "CIOSIDECAR_"
_NO_ADMIN = "none"
_SECRET = ("rate_store",)
_ANY_LOOPBACK_PORT = "127.0.0.1:0"


def worker_address(address: str, number: int) -> str:
    """Return the address of a worker: port + number - 1, or PATH-number.

    Port 0, and what is neither host:port nor a socket, stays as it is: the worker takes any port, or says what is wrong.

    Args:
        address: An address that was given with --listen.
        number: The number of the worker, counted from 1.

    Raises:
        CannotListen: The port would be greater than 65535.
    """
    if address.startswith(_SOCKETS):
        return f"{address}-{number}"
    host, colon, port = address.rpartition(":")
    if not (colon and port.isascii() and port.isdecimal() and 0 < int(port) <= _MAX_PORT):
        return address
    own_port = int(port) + number - 1
    if own_port > _MAX_PORT:
        raise CannotListen(
            f"cannot listen on {address}: worker {number} would need port {own_port}, and the last one is"
            f" {_MAX_PORT}; give a lower port with --listen"
        )
    return f"{host}:{own_port}"


def settings_of_workers(settings: Settings) -> list[Settings]:
    """Return the settings of each worker.

    Requests to a workspace and connections are limited for all workers together, so each worker gets a share. Limits of
    one stream, call or message are the same in each worker. With a rate store each worker is a sidecar to it, which
    shares the whole rate.

    Raises:
        CannotListen: Two workers, or a worker and the admin port, would have the same address.
    """
    numbers = range(1, settings.workers + 1)
    listen = [
        tuple(worker_address(address, number) for address in settings.listen) for number in numbers
    ]
    _check_different(listen, settings)
    is_shared = settings.rate_store is not None
    return [
        replace(
            settings,
            listen=addresses,
            workers=1,
            admin_listen=_NO_ADMIN if settings.admin_listen == _NO_ADMIN else _ANY_LOOPBACK_PORT,
            delivery_rate=settings.delivery_rate / (1 if is_shared else settings.workers),
            replicas=settings.workers * (settings.replicas or 1) if is_shared else None,
            delivery_concurrency=_share(settings.delivery_concurrency, settings.workers),
            max_connections=_share(settings.max_connections, settings.workers),
        )
        for addresses in listen
    ]


def _share(limit: int, workers: int) -> int:
    return max(1, limit // workers)


def _check_different(listen: Sequence[Sequence[str]], settings: Settings) -> None:
    owners = defaultdict(list)
    for number, addresses in enumerate(listen, 1):
        for address in addresses:
            owners[address].append(f"worker {number}")
    owners[settings.admin_listen].append("the admin port")
    for address, names in owners.items():
        if len(names) > 1 and not address.endswith(":0"):
            raise CannotListen(
                f"{address} would be the address of {' and of '.join(names)}: worker 1 has the ports of --listen,"
                f" and each further worker the next ones; leave {settings.workers} ports for each --listen, and"
                " choose an --admin-listen beside them"
            )


def secrets(settings: Settings) -> dict[str, str]:
    """Return the environment variables of settings that may hold a password: all users of a machine can read flags."""
    found = {name: getattr(settings, name) for name in _SECRET}
    return {_PREFIX + name.upper(): value for name, value in found.items() if value is not None}


def flags(settings: Settings) -> list[str]:
    """Return the flags of `ciosidecar serve` that stand for settings; defaults and secrets are left out."""
    words = []
    for field in fields(settings):
        value, name = getattr(settings, field.name), field.name.replace("_", "-")
        if value is None or value == field.default or field.name in _SECRET:
            continue
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
            continue
        values = value if isinstance(value, tuple) else (value,)
        words.extend(f"--{name}={one}" for one in values)
    return words


def variables() -> set[str]:
    """Return the names of the environment variables that stand for settings.

    A worker gets its settings as flags. It must not read these variables in their place, nor a file that they name.
    """
    names = {"settings"}
    for field in fields(Settings):
        names.add(field.name)
        for note in get_args(field.type):
            if isinstance(note, Parameter):
                names.update(note.alias or ())
    return {_PREFIX + name.strip("-").replace("-", "_").upper() for name in names}
