"""The log lines of a server's start and end."""

import platform
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from ciosidecar_transform import native

from .. import PROTOCOL_VERSION, __version__
from ..rpc.observer import StreamSnapshot
from ..settings import Settings
from .logging import get_logger

_log = get_logger("ciosidecar")
_MASKED = "***"


def build_info() -> dict[str, str]:
    """Return the version of the sidecar, the versions of what it runs on, and its implementation."""
    return {
        "version": __version__,
        "protocol": str(PROTOCOL_VERSION),
        "python": platform.python_version(),
        "grpc": version("grpcio"),
        "protobuf": version("protobuf"),
        "implementation": native.implementation(),
    }


def changed_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that differ from their defaults, as they may be shown."""
    return {
        field.name: _shown(getattr(settings, field.name))
        for field in fields(settings)
        if getattr(settings, field.name) != field.default
    }


def _shown(setting: Any) -> Any:
    """Return a setting without credentials. Tokens and keys are in files, of which only the paths are settings."""
    if isinstance(setting, tuple):
        return [_shown(part) for part in setting]
    if isinstance(setting, bool | int | float) or setting is None:
        return setting
    text = str(setting)
    return _MASKED if "://" in text and "@" in urlsplit(text).netloc else text


def log_started(settings: Settings, addresses: Sequence[str]) -> None:
    """Log that the server listens, and why it is not compiled if it is not."""
    because = {"implementation_reason": native.reason} if native.reason else {}
    _log.info(
        "started",
        **build_info(),
        **because,
        listen=list(addresses),
        settings=changed_settings(settings),
    )


def log_drain_began(grace_s: float, streams: int) -> None:
    """Log that the server accepts no more work."""
    _log.info("drain began", grace_s=grace_s, streams=streams)


def log_drain_waits(streams: Sequence[StreamSnapshot]) -> None:
    """Log how many streams hold up the drain, and which of them has the most events without a result."""
    slowest = max(streams, key=_unanswered)
    _log.info(
        "drain waits for streams",
        streams=len(streams),
        session_id=slowest.info.session_id,
        client_name=slowest.info.client_name,
        peer=slowest.info.peer,
        unanswered=_unanswered(slowest),
        unread_s=round(slowest.unread_s, 1),
    )


def _unanswered(stream: StreamSnapshot) -> int:
    return stream.counts.items - stream.counts.results


def log_drain_ended(duration_s: float, *, cut: bool) -> None:
    """Log that the server has ended. cut: whether a second signal ended it."""
    _log.info("drain ended", duration_s=round(duration_s, 3), cut=cut)
