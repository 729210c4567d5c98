"""Files of unix sockets: left ones are removed, and permissions are set before anybody can connect."""

import errno
import fcntl
import grp
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .addresses import Address, CannotListen, TcpAddress, UnixAddress

_CONNECT_S = 1.0
_LOCK_S = 2.0
_MODE = re.compile("0?[0-7]{3}")
_OWNER_WRITES = 0o200
_GROUP_MODE = 0o660


@dataclass(frozen=True, slots=True)
class SocketAccess:
    """The permissions of socket files."""

    mode: int
    """The mode."""
    group: int | None
    """The id of the group. None: the group of the process."""


def socket_access(
    mode: str | None, group: str | None, addresses: Sequence[Address]
) -> SocketAccess | None:
    """Return the permissions for the socket files among the addresses.

    Args:
        mode: The text of --socket-mode.
        group: The text of --socket-group.
        addresses: The addresses of the server.

    Returns:
        The permissions. None: what the umask leaves.

    Raises:
        CannotListen: A text cannot be used, or no address is of a kind that has permissions.
    """
    if mode is None and group is None:
        return None
    _check_have_permissions(addresses)
    return SocketAccess(
        mode=_GROUP_MODE if mode is None else _mode(mode),
        group=None if group is None else _group_id(group),
    )


def _check_have_permissions(addresses: Sequence[Address]) -> None:
    local = [address for address in addresses if not isinstance(address, TcpAddress)]
    if not local:
        raise CannotListen(
            "--socket-mode and --socket-group are permissions of a unix socket, and no --listen is"
            " unix:PATH: add one, or leave them out"
        )
    for address in local:
        if not isinstance(address, UnixAddress):
            raise CannotListen(
                f"{address.text} is an abstract socket, which every user of this machine may connect to:"
                " with --socket-mode or --socket-group, listen on unix:PATH instead"
            )


def _mode(text: str) -> int:
    if not _MODE.fullmatch(text):
        raise CannotListen(
            f"--socket-mode {text!r} is no mode: write three octal digits, such as 0660 or 600"
        )
    mode = int(text, 8)
    if not mode & _OWNER_WRITES:
        raise CannotListen(
            f"--socket-mode {text!r} keeps the sidecar's own user out, because connecting needs the permission"
            " to write: write 0660, for example"
        )
    return mode


def _group_id(text: str) -> int:
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise CannotListen(
            f"--socket-group {text!r}: there is no such group; `getent group` lists them"
        ) from None


@contextmanager
def socket_file(address: UnixAddress, access: SocketAccess | None) -> Iterator[None]:
    """Let the block bind a socket's file, and give the file its permissions.

    Until it has them, nobody can connect. No other sidecar binds a file of the same directory meanwhile: two that start
    at once could otherwise both take a file that was left there.

    Raises:
        CannotListen: The file cannot be made, or not with these permissions.
    """
    _check_directory(address)
    with _locked(address.path.parent):
        _remove_left_file(address)
        if access is None:
            yield
            return
        # The umask is the process's own. Nothing else makes files while a server starts.
        former = os.umask(0o777)
        try:
            yield
        finally:
            os.umask(former)
        _set_permissions(address, access)


def _check_directory(address: UnixAddress) -> None:
    directory = address.path.parent
    try:
        is_directory = directory.is_dir()
    except PermissionError:
        raise _cannot(address, f"this user may not look into {directory.parent}") from None
    if not is_directory:
        why = "is no directory" if os.path.lexists(directory) else "does not exist"
        raise _cannot(address, f"the directory {directory} {why}: make it, or give another path")
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        raise _cannot(
            address,
            f"permission denied: user {os.geteuid()} may not make files in {directory}; change its"
            " permissions, or give another path",
        )


def _remove_left_file(address: UnixAddress) -> None:
    """Remove a socket's file that no server listens on any more."""
    path = address.path
    if not os.path.lexists(path):
        return
    if not path.is_socket():
        raise _cannot(address, "there is a file that is no socket: remove it, or give another path")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_CONNECT_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        except PermissionError:
            # A socket of this user without any permission: its server died before it set them.
            if path.stat().st_uid != os.geteuid():
                raise _cannot(
                    address, "permission denied: the socket that is there belongs to another user"
                ) from None
        except OSError as problem:
            if problem.errno not in (errno.EPROTOTYPE, errno.EAGAIN, None):
                raise _cannot(address, str(problem.strerror)) from None
            raise _taken(address) from None
        else:
            raise _taken(address)
    try:
        path.unlink(missing_ok=True)
    except OSError as problem:
        raise _cannot(
            address, f"a socket was left there and cannot be removed: {problem.strerror}"
        ) from None


def _set_permissions(address: UnixAddress, access: SocketAccess) -> None:
    try:
        if access.group is not None:
            os.chown(address.path, -1, access.group)
        address.path.chmod(access.mode)
    except OSError as problem:
        with suppress(OSError):
            address.path.unlink()
        raise _cannot(
            address,
            f"the socket cannot be given to group {access.group}: {problem.strerror}; a user can give files"
            " to groups of its own only, so add the user to the group",
        ) from None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold a lock on a directory, unless the directory cannot be locked within two seconds."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # a directory that may be written but not read
        yield
        return
    try:
        give_up_at = time.monotonic() + _LOCK_S
        while time.monotonic() < give_up_at:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _taken(address: UnixAddress) -> CannotListen:
    return _cannot(
        address,
        "another server listens on it: stop that server, or give another path with --listen",
    )


def _cannot(address: UnixAddress, why: str) -> CannotListen:
    return CannotListen(f"cannot listen on {address.text}: {why}")
