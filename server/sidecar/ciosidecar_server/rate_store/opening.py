"""The rate store that the settings name. redis-py, an extra, is imported only if they name one."""

from importlib.util import find_spec

from ..delivery.rate_store import RateStore
from ..settings import Settings

HOW_TO_INSTALL = (
    "needs redis-py, which is not installed: run pip install 'ciosidecar-server[rate-store]'"
)


def installed() -> bool:
    """Return whether redis-py is installed."""
    return find_spec("redis") is not None


def open_rate_store(settings: Settings) -> RateStore | None:
    """Return the store that the settings name; None if they name none. It connects later."""
    if settings.rate_store is None or not settings.delivery:
        return None
    from .redis_store import RedisRateStore  # noqa: PLC0415 - an extra

    return RedisRateStore(settings.rate_store)
