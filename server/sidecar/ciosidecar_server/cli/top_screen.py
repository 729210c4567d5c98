"""The state of a sidecar as tables for a terminal. Texts from outside cannot drive the terminal."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_STYLES = {
    "ok": "green",
    "idle": "dim",
    "throttled": "yellow",
    "paused": "yellow",
    "down": "bold red",
    "credentials_refused": "bold red",
}
_MAX_STREAMS = 15
_MAX_FAILURES = 8
_MANY_LINES = 10
_UNREAD_S = 5.0

State = dict[str, Any]


def screen(state: State, stale: str = "") -> RenderableType:
    """Return tables of a state. stale: why it is not renewed; "" if it is."""
    parts: list[RenderableType] = [_head(state)]
    if stale:
        parts.append(Text(_plain(stale), "bold red"))
    parts += [Text(), _destinations(state["destinations"])]
    if state["failures"]:
        parts += [Text(), _failures(state["failures"])]
    return Group(*parts, Text(), _streams(state))


def _head(state: State) -> Text:
    head = Text(f"ciosidecar {_plain(state['version'])}  ", "bold")
    if state["ready"]:
        head.append("ready", "green")
    else:
        head.append(f"not ready: {_plain(state['not_ready_reason'])}", "bold red")
    head.append(
        f"  {state['events_per_s']:,.1f} events/s, {state['failed_per_s']:,.1f} failed/s,"
        f" {state['streams_open']} streams, loop late by {1000 * state['event_loop_lag_s']:.0f} ms",
        "not bold",
    )
    if state["log_lines_dropped"]:
        head.append(f"  {state['log_lines_dropped']:,} log lines dropped", "bold red")
    if state["log_lines_waiting"] >= _MANY_LINES:
        head.append(f"  {state['log_lines_waiting']:,} log lines wait for stderr", "bold red")
    return head


def _table(title: str, *columns: tuple[str, bool]) -> Table:
    """Return an empty table. columns: their names, and whether they are numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name, is_number in columns:
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    return table


def _destinations(rows: list[State]) -> Table:
    table = _table(
        "Destinations",
        ("destination", False),
        ("state", False),
        ("rate/s", True),
        ("events/s", True),
        ("failed", True),
        ("waiting", True),
        ("in flight", True),
        ("last failed request", False),
    )
    for row in rows:
        failure = row["last_failure"]
        table.add_row(
            _text(row["destination_ref"]),
            _state(row),
            f"{row['rate_per_s']:,.0f}" if row["workspaces"] else "",
            f"{row['events_per_s']:,.1f}",
            Text(f"{row['failed']:,}", "red" if row["failed"] else ""),
            f"{row['waiting']:,}",
            f"{row['in_flight']:,}",
            _text(failure["text"] if failure else ""),
        )
    return table


def _failures(rows: list[State]) -> Table:
    table = _table(
        "Recent failures",
        ("times", True),
        ("destination", False),
        ("failure", False),
        ("of", False),
    )
    for row in rows[:_MAX_FAILURES]:
        table.add_row(
            f"{row['count']:,}",
            _text(row["destination_ref"]),
            _text(row["code"] or row["text"]),
            _text("events" if row["code"] else row["endpoint_path"]),
        )
    return table


def _streams(state: State) -> Table:
    table = _table(
        "Streams",
        ("client", False),
        ("peer", False),
        ("destination", False),
        ("open for", True),
        ("events", True),
        ("results", True),
        ("", False),
    )
    for row in state["streams"][-_MAX_STREAMS:]:
        table.add_row(
            _text(f"{row['client_name']} {row['client_version']}"),
            _text(row["peer"]),
            _text(row["destination_ref"]),
            f"{row['age_s']:,.0f} s",
            f"{row['items']:,}",
            f"{row['results']:,}",
            Text(_unread(row), "bold red"),
        )
    return table


def _state(row: State) -> Text:
    name = _plain(row["state"]).replace("_", " ")
    style = _STYLES.get(row["state"], "")
    if row["other_region"]:
        return Text(f"{name}, other region", style if row["state"] != "ok" else "yellow")
    return Text(name, style)


def _unread(row: State) -> str:
    unread_s = row["unread_s"]
    return f"has not read for {unread_s:,.0f} s" if unread_s >= _UNREAD_S else ""


def _text(text: str) -> Text:
    return Text(_plain(text))


def _plain(text: str) -> str:
    """Return a text without what could drive a terminal."""
    return "".join(character if character.isprintable() else "?" for character in str(text))[:200]
