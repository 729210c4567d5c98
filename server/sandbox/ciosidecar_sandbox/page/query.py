"""What the address of a page asks for, and the addresses of the pages before and after it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from ..events import Event
from ..request_log import LogRow
from .views import PAGE_SIZE, LogFilter, Page, log_filter


def whole_number(text: str | None) -> int | None:
    """A number of the query; None for none, and for what is no number: a page is always shown."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def number(request: Request, name: str) -> int | None:
    """A number of the query, as above."""
    return whole_number(request.query_params.get(name))


def path_number(request: Request) -> int:
    """The number in the path; 0, which nothing has, if it is none."""
    return whole_number(request.path_params["number"]) or 0


def wanted_rows(request: Request) -> LogFilter:
    """The log's filter."""
    query = request.query_params
    return log_filter(query.get("outcome", ""), query.get("person", ""))


def address(path: str, query: Mapping[str, Any], fragment: str = "") -> str:
    """A path with the members of a query that say something."""
    text = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{text}{fragment}" if text else path + fragment


def after_these(
    path: str, found: Page[LogRow] | Page[Event], query: Mapping[str, str], fragment: str = ""
) -> str:
    """The next screenful of what is paged by number; "" if there is none."""
    if not found.more:
        return ""
    return address(path, {**query, "before": found.items[-1].number}, fragment)


def next_page(path: str, offset: int, found: Page[Any], query: Mapping[str, str]) -> str:
    """The next screenful of what is paged by position; "" if there is none."""
    return address(path, {**query, "offset": offset + PAGE_SIZE}) if found.more else ""


def page_before(path: str, offset: int, query: Mapping[str, str]) -> str:
    """The screenful before; "" on the first."""
    return address(path, {**query, "offset": max(0, offset - PAGE_SIZE)}) if offset else ""
