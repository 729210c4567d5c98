"""The state of a sidecar as tables for a terminal. Texts from outside cannot drive the terminal."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ..counted import counted
from .top_table import Column, Row, TopTable

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
        f"\n{state['events_per_s']:,.1f} events/s, {state['failed_per_s']:,.1f} failed/s,"
        f" {counted(state['streams_open'], 'stream')}, loop late by {1000 * state['event_loop_lag_s']:.0f} ms",
        "not bold",
    )
    if state["log_lines_dropped"]:
        head.append(
            f"\n{counted(state['log_lines_dropped'], 'log line', grouped=True)} dropped", "bold red"
        )
    if state["log_lines_waiting"] >= _MANY_LINES:
        head.append(f"\n{state['log_lines_waiting']:,} log lines wait for stderr", "bold red")
    return head


def _destinations(rows: list[State]) -> TopTable:
    columns = (
        Column("destination", folds=True),
        Column("state", folds=True),
        Column("rate/s", is_number=True),
        Column("events/s", is_number=True),
        Column("failed", is_number=True),
        Column("waiting", is_number=True),
        Column("in flight", is_number=True),
    )
    return TopTable("Destinations", columns, [_destination(row) for row in rows])


def _destination(row: State) -> Row:
    failure = row["last_failure"]
    return Row(
        (
            _text(row["destination_ref"]),
            _state(row),
            Text(f"{row['rate_per_s']:,.0f}" if row["workspaces"] else ""),
            Text(f"{row['events_per_s']:,.1f}"),
            Text(f"{row['failed']:,}", "red" if row["failed"] else ""),
            Text(f"{row['waiting']:,}"),
            Text(f"{row['in_flight']:,}"),
        ),
        _text(f"last failed request: {failure['text']}") if failure else None,
    )


def _failures(rows: list[State]) -> TopTable:
    columns = (
        Column("times", is_number=True),
        Column("destination", folds=True),
        Column("failure", folds=True),
        Column("of"),
    )
    return TopTable(
        "Recent failures",
        columns,
        [
            Row(
                (
                    Text(f"{row['count']:,}"),
                    _text(row["destination_ref"]),
                    _text(row["code"] or row["text"]),
                    _text("events" if row["code"] else row["endpoint_path"]),
                )
            )
            for row in rows[:_MAX_FAILURES]
        ],
        len(rows[_MAX_FAILURES:]),
    )


def _streams(state: State) -> TopTable:
    columns = (
        Column("client", folds=True),
        Column("peer"),
        Column("destination", folds=True),
        Column("open for", is_number=True),
        Column("events", is_number=True),
        Column("results", is_number=True),
    )
    latest = state["streams"][-_MAX_STREAMS:]
    more = max(0, state["streams_open"] - len(latest))
    return TopTable("Streams", columns, [_stream(row) for row in latest], more)


def _stream(row: State) -> Row:
    unread = _unread(row)
    return Row(
        (
            _text(f"{row['client_name']} {row['client_version']}"),
            _text(row["peer"]),
            _text(row["destination_ref"]),
            Text(f"{row['age_s']:,.0f} s"),
            Text(f"{row['items']:,}"),
            Text(f"{row['results']:,}"),
        ),
        Text(unread, "bold red") if unread else None,
    )


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
