"""The destinations that unary calls have declared lately. Most calls declare the same ones again."""

import asyncio
from copy import copy

from ciosidecar_transform import AnyDestination, Destination, SettingProblem, read_destination

from .templates import EncodedTemplates

_FORGOTTEN_AFTER_S = 60.0
_MAX_DESTINATIONS = 200
# An ordinary config has some hundred bytes. Of larger ones, 200 would hold too much memory.
_MAX_CONFIG_BYTES = 8192

_Read = tuple[AnyDestination | None, list[SettingProblem]]


class RecentDestinations:
    """Destinations by their settings, and their request templates.

    To read the settings takes as long as five events. Both hold credentials, so each is forgotten within two minutes
    after its last use.
    """

    def __init__(self) -> None:
        """Begin without destinations."""
        self._recent: dict[bytes, _Read] = {}
        self._older: dict[bytes, _Read] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._templates: EncodedTemplates | None = None

    @property
    def templates(self) -> EncodedTemplates:
        """Return the templates of the calls of the last minute."""
        if self._templates is None:
            self._templates = EncodedTemplates()
            self._forget_later()
        return self._templates

    def read(self, config_json: bytes) -> _Read:
        """Return the destination of a config and its problems, as `read_destination`. The caller MUST NOT change them."""
        read = self._recent.get(config_json)
        if read is None:
            read = self._older.get(config_json) or read_destination(config_json)
            # Settings that each event fills in may hold the credentials of many workspaces.
            if isinstance(read[0], Destination) and len(config_json) <= _MAX_CONFIG_BYTES:
                self._keep(config_json, read)
        destination, problems = read
        # Another object each time: requests are shared by the items of one destination (rule 10.3).
        return copy(destination) if isinstance(destination, Destination) else destination, problems

    def _keep(self, config_json: bytes, read: _Read) -> None:
        if len(self._recent) >= _MAX_DESTINATIONS:
            self._forget_older()
        self._recent[config_json] = read
        self._forget_later()

    def _forget_later(self) -> None:
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_FORGOTTEN_AFTER_S, self._minute_is_over)

    def _minute_is_over(self) -> None:
        self._timer = None
        self._forget_older()
        if self._older:
            self._forget_later()

    def _forget_older(self) -> None:
        """Forget the destinations that were not used since the last time."""
        self._older, self._recent = self._recent, {}
        self._templates = None
