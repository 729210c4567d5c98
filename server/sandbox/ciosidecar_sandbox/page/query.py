"""The parameters of a page, and the addresses of the pages before and after it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from ..events import Event
from ..request_log import LogRow
from .views import PAGE_SIZE, LogFilter, Page, log_filter


def whole_number(text: str | None) -> int | None:
    """Return a parameter as a number; None for other texts, so that a page is always shown."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def number(request: Request, name: str) -> int | None:
    """Return a query parameter as a number, or None."""
    return whole_number(request.query_params.get(name))


def path_number(request: Request) -> int:
    """Return the number in the path; 0, which no row or event has, for other texts."""
    return whole_number(request.path_params["number"]) or 0


def requested_filter(request: Request) -> LogFilter:
    """Return the filter of the log that the query describes."""
    query = request.query_params
    return log_filter(query.get("outcome", ""), query.get("person", ""))


def address(path: str, query: Mapping[str, Any], fragment: str = "") -> str:
    """Return a path with the members of a query that are not empty."""
    text = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{text}{fragment}" if text else path + fragment


def after_these(
    path: str, current: Page[LogRow] | Page[Event], query: Mapping[str, str], fragment: str = ""
) -> str:
    """Return the address of the next page of a list paged by number; "" if there is none."""
    if not current.more:
        return ""
    return address(path, {**query, "before": current.items[-1].number}, fragment)


def next_page(path: str, offset: int, current: Page[Any], query: Mapping[str, str]) -> str:
    """Return the address of the next page of a list paged by position; "" if there is none."""
    return address(path, {**query, "offset": offset + PAGE_SIZE}) if current.more else ""


def page_before(path: str, offset: int, query: Mapping[str, str]) -> str:
    """Return the address of the page before; "" on the first page."""
    return address(path, {**query, "offset": max(0, offset - PAGE_SIZE)}) if offset else ""
