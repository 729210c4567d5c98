"""The rate store that the settings name. redis-py, an extra, is imported only if they name one."""

from importlib.util import find_spec

from ..delivery.rate_store import RateStore, RateStoreError
from ..settings import Settings

HOW_TO_INSTALL = (
    "needs redis-py, which is not installed: run pip install 'ciosidecar-server[rate-store]'"
)


def problem_of(settings: Settings) -> str | None:
    """Return why the rate store of the settings cannot be used, or None. Redis is not asked."""
    if settings.rate_store is None:
        return None
    if find_spec("redis") is None:
        return HOW_TO_INSTALL
    try:
        open_rate_store(settings)
    except ValueError as problem:
        return f"cannot be used: {problem}"
    return None


async def error_of(settings: Settings) -> str | None:
    """Return the kind of the error if the rate store does not answer or cannot be written; None if it works."""
    store = open_rate_store(settings)
    if store is None:
        return None
    try:
        await store.register()
    except RateStoreError as error:
        return error.kind
    finally:
        await store.aclose()
    return None


def open_rate_store(settings: Settings) -> RateStore | None:
    """Return the store that the settings name; None if they name none. It connects later."""
    if settings.rate_store is None or not settings.delivery:
        return None
    from .redis_store import RedisRateStore  # noqa: PLC0415 - an extra

    return RedisRateStore(settings.rate_store)
