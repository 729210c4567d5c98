"""The state as a page of HTML that needs no script. Every text in it is escaped."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from string import Template
from typing import Any

from ..counted import counted
from ..rpc.observer import STALLED_S
from .chart import chart

MAX_DESTINATIONS = 200
"""The rows of destinations, the worst first: a browser and a reader have enough of them."""

Row = dict[str, Any]
Cell = Callable[[Row], str]

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ciosidecar</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/page.css">
<noscript><meta http-equiv="refresh" content="5"></noscript>
<script src="/page.js" defer></script>
</head>
<body>
<main>
<header>
<h1>ciosidecar $version</h1>
<p>$readiness</p>
<p>up $uptime, process $pid, event loop late by $lag ms at most$lost</p>
$rate_store
<p><a href="/api/state">JSON</a> <a href="/metrics">metrics</a></p>
<p id="stale" class="stale" hidden>The sidecar does not answer: this is old.</p>
</header>
<figure>
$chart
<figcaption>$throughput</figcaption>
</figure>
<h2>Destinations</h2>
$destinations
<h2>Recent failures</h2>
$failures
<h2>Streams</h2>
$streams
</main>
</body>
</html>
""")


def page(state: Row) -> str:
    """Return the page of a state."""
    return _PAGE.substitute(
        version=escape(state["version"]),
        readiness=_readiness(state),
        uptime=_duration(state["uptime_s"]),
        pid=state["pid"],
        lag=round(1000 * state["event_loop_lag_s"]),
        chart=chart(state["throughput"]),
        lost=_lost(state["log_lines_dropped"]),
        rate_store=_rate_store(state["rate_store"]),
        throughput=(
            f"{state['events_per_s']:,.1f} events a second, of which {state['failed_per_s']:,.1f} failed;"
            " the last ten minutes"
        ),
        destinations=_table(
            _DESTINATIONS, state["destinations"][:MAX_DESTINATIONS], "No events yet."
        )
        + _more(len(state["destinations"]) - MAX_DESTINATIONS),
        failures=_table(_FAILURES, state["failures"], "None since the start."),
        streams=_table(_STREAMS, state["streams"], "No open streams.")
        + _more(state["streams_open"] - len(state["streams"])),
    )


def _readiness(state: Row) -> str:
    if state["ready"]:
        return '<span class="ok">ready</span>'
    return f'<span class="failed">not ready</span>: {escape(state["not_ready_reason"])}'


def _lost(lines: int) -> str:
    dropped = counted(lines, "log line", grouped=True)
    return f', <span class="failed">{dropped} dropped</span>' if lines else ""


def _rate_store(store: Row | None) -> str:
    if store is None:
        return ""
    if store["up"]:
        return f"<p>rate shared by {store['sidecars']:,} sidecars</p>"
    return (
        f'<p><span class="failed">rate store down</span> ({escape(store["last_error"])}):'
        f" this sidecar keeps to 1/{store['sidecars']:,} of the rate</p>"
    )


def _unread(row: Row) -> str:
    unread_s = row["unread_s"]
    if unread_s < STALLED_S:
        return f"{row['results']:,}"
    return f'{row["results"]:,} <span class="failed">not read for {unread_s:,.0f} s</span>'


def _more(hidden: int) -> str:
    return f'<p class="dim">and {hidden:,} more</p>' if hidden > 0 else ""


def _table(columns: Sequence[tuple[str, str, Cell]], rows: Iterable[Row], nothing: str) -> str:
    lines = [
        "".join(f'<td class="{kind}">{cell(row)}</td>' for _, kind, cell in columns) for row in rows
    ]
    if not lines:
        return f'<p class="dim">{nothing}</p>'
    head = "".join(f'<th class="{kind}">{name}</th>' for name, kind, _ in columns)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'


def _text(name: str) -> Cell:
    return lambda row: escape(str(row[name]))


def _number(name: str) -> Cell:
    return lambda row: f"{row[name]:,}"


def _destination(row: Row) -> str:
    more = row["more_destinations"]
    rest = f' <span class="dim">and {more} more</span>' if more else ""
    urls = "<br>".join(f'<span class="dim">{escape(url)}</span>' for url in row["urls"])
    return f"<code>{escape(row['destination_ref'])}</code>{rest}<br>{urls}"


def _state(row: Row) -> str:
    state = row["state"]
    pause = f" for {row['pause_s']:.0f} s" if row["pause_s"] else ""
    region = "<br>in the other region" if row["other_region"] else ""
    return f'<span class="{escape(state)}">{escape(state.replace("_", " "))}</span>{pause}{region}'


def _rate(row: Row) -> str:
    if not row["workspaces"]:
        return ""
    return f"{row['rate_per_s']:,.0f} of {row['full_rate_per_s']:,.0f}"


def _failed(row: Row) -> str:
    failed = f"{row['failed']:,}"
    return f'<span class="failed">{failed}</span>' if row["failed"] else failed


def _last_failure(row: Row) -> str:
    failure = row["last_failure"]
    if failure is None:
        return ""
    return f"{escape(failure['text'])} <span class='dim'>{_clock(failure['time'])}</span>"


def _failure(row: Row) -> str:
    if row["code"]:
        return f"<code>{escape(row['code'])}</code> <span class='dim'>(events)</span>"
    return f"{escape(row['text'])} <span class='dim'>{escape(row['endpoint_path'])}</span>"


def _client(row: Row) -> str:
    return escape(f"{row['client_name']} {row['client_version']}".strip() or "(no name)")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"


_DESTINATIONS: tuple[tuple[str, str, Cell], ...] = (
    ("destination", "text", _destination),
    ("state", "", _state),
    ("requests/s allowed", "number", _rate),
    ("events/s", "number", lambda row: f"{row['events_per_s']:,.1f}"),
    ("failed events", "number", _failed),
    ("waiting", "number", _number("waiting")),
    ("in flight", "number", _number("in_flight")),
    ("last failed request", "text", _last_failure),
)
_FAILURES: tuple[tuple[str, str, Cell], ...] = (
    ("last", "", lambda row: _clock(row["last_time"])),
    ("times", "number", _number("count")),
    ("destination", "text", lambda row: f"<code>{escape(row['destination_ref'])}</code>"),
    ("failure", "text", _failure),
)
_STREAMS: tuple[tuple[str, str, Cell], ...] = (
    ("client", "text", _client),
    ("peer", "text", _text("peer")),
    ("delivery", "", lambda row: "yes" if row["delivery"] else "no"),
    ("open for", "number", lambda row: _duration(row["age_s"])),
    ("batches", "number", _number("batches")),
    ("events", "number", _number("items")),
    ("results", "number", _unread),
    ("session", "", lambda row: f"<code>{escape(row['session_id'])}</code>"),
)
