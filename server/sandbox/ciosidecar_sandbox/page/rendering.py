"""Rendering of HTML: the templates, their filters, and the headers of every page."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from msgspec.json import decode
from msgspec.json import format as indented
from starlette.responses import HTMLResponse

from .. import __version__
from ..sent_json import encode
from .query import address

HEADERS = {
    # Attribute values come from clients: even if one were rendered as HTML, no script would run.
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
MAX_EXCERPT = 160
"""Number of characters of an event's data that a list shows."""
_RECENT = range(1_000_000_000, 4_000_000_000)


def moment(seconds: float, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return Unix seconds as date and time of UTC; as a number if they are beyond the calendar."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (OverflowError, OSError, ValueError):
        return str(seconds)


def time_tag(seconds: float, form: str = "%Y-%m-%d %H:%M:%S") -> Markup:
    """Return a <time> element."""
    exact = moment(seconds, "%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(
        exact, moment(seconds, form)
    )


def value_text(value: Any) -> str:
    """Return an attribute as text: a string as it is, any other value as JSON."""
    return value if type(value) is str else encode(value).decode()


def as_date(name: str, value: Any) -> str:
    """Return the date of an attribute that is Unix seconds by its name and size, else ""."""
    has_time_name = name.endswith(("_at", "_on", "_date", "timestamp"))
    return (
        f"{moment(value)} UTC" if has_time_name and type(value) is int and value in _RECENT else ""
    )


def excerpt(data_json: bytes) -> str:
    """Return the beginning of an event's data on one line."""
    text = data_json[: MAX_EXCERPT * 4].decode(errors="replace")
    text = re.sub(r"\s+", " ", text)
    return text if len(text) <= MAX_EXCERPT else text[:MAX_EXCERPT] + "…"


def pretty(json: str | bytes) -> str:
    """Return JSON with one member a line; other texts as they are."""
    text = json.decode(errors="replace") if isinstance(json, bytes) else json
    try:
        decode(text)
        return indented(text, indent=2)
    except (ValueError, RecursionError):
        return text


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        time=time_tag,
        value=value_text,
        excerpt=excerpt,
        pretty=pretty,
        thousands="{:,}".format,
    )
    environment.globals.update(version=__version__, as_date=as_date, address=address)
    return environment


_ENVIRONMENT = _environment()


def render(template: str, context: Mapping[str, Any]) -> str:
    """Render a template to text."""
    return _ENVIRONMENT.get_template(template).render(context)


def page(template: str, context: Mapping[str, Any], status: int = 200) -> HTMLResponse:
    """Render a whole page to a response."""
    return HTMLResponse(render(template, context), status, HEADERS)
