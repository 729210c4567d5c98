"""`ciosidecar backfill` of Parquet files, and to Parquet files."""

import datetime as dt
import json
import subprocess
import sys
import uuid
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.processes import run

CONFIG = {"siteID": "site", "apiKey": "key"}
NOW = "1774000000"
FIXED = ('type="track"', 'event="Order"')
_Done = subprocess.CompletedProcess[bytes]


def backfill(
    folder: Path, *inputs: Path | str, options: Sequence[str] = (), config: bool = True
) -> _Done:
    """A backfill into the folder `out`."""
    path = folder / "config.json"
    path.write_text(json.dumps(CONFIG))
    more = ["--config", str(path)] if config else []
    return run(
        "backfill",
        *map(str, inputs),
        *("--output", str(folder / "out"), "--workers", "1", "--now", NOW),
        *more,
        *options,
    )


def mapped(*assignments: str) -> list[str]:
    """The options of a mapping."""
    return [part for assignment in assignments for part in ("--map", assignment)]


def lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The lines of the output in the order of the input."""
    texts = [
        line
        for path in (folder / "out").glob(f"{kind}-*.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    return sorted(map(json.loads, texts), key=lambda line: line.get("failure", line)["line"])


def bodies(folder: Path) -> list[str]:
    """The bodies of the requests, as text, in the order of the input."""
    found = []
    for path in (folder / "out").glob("requests-*.jsonl"):
        for line in path.read_text().splitlines():
            body = line.split('"body":', 1)[1].rpartition('}],"warnings"')[0]
            found += [(json.loads(line)["line"], body)]
    return [body for _, body in sorted(found)]


def table(folder: Path, name: str = "events.parquet", **columns: Any) -> Path:
    """A file with columns."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def said(done: _Done) -> str:
    """What it says on stderr, in one line."""
    return " ".join(done.stderr.decode().split())


@pytest.mark.parametrize(
    "kind", ["string", "large_string", "string_view", "binary", "dictionary", "json"]
)
def test_a_column_of_events_is_read_as_lines_are(kind: str, tmp_path: Path) -> None:
    """Every digit and an unpaired surrogate arrive, and line feeds between tokens do no harm."""
    texts = [
        '{"type":"track","userId":"u1","event":"A",\n "properties":{"n":12345678901234567890.10}}',
        '{"type":"track","userId":"u1","event":"B","properties":{"half":"\\ud83d"}}',
        "no JSON",
    ]
    storage = {
        "binary": pa.binary(),
        "large_string": pa.large_string(),
        "string_view": pa.string_view(),
    }
    column = pa.array(texts).cast(storage.get(kind, pa.string()))
    if kind == "dictionary":
        column = column.dictionary_encode()
    if kind == "json":
        column = pa.ExtensionArray.from_storage(pa.json_(), column)
    done = backfill(
        tmp_path, table(tmp_path, payload=column), options=["--events-column", "payload"]
    )
    assert done.returncode == 1, said(done)
    first, second = bodies(tmp_path)
    assert '"n":12345678901234567890.10' in first
    assert '"half":"\\ufffd"' in second
    (refused,) = lines(tmp_path, "refused")
    assert (refused["failure"]["code"], refused["failure"]["line"]) == ("INVALID_JSON", 3)


def test_a_struct_is_an_event_and_may_bring_its_config(tmp_path: Path) -> None:
    """Without --config, a value of the column is {event, config}, as a line is."""
    event = {
        "type": "track",
        "userId": "u1",
        "event": "A",
        "properties": {"total": Decimal("59.70")},
    }
    path = table(tmp_path, line=[{"event": event, "config": CONFIG}, None])
    done = backfill(tmp_path, path, options=["--events-column", "line"], config=False)
    assert done.returncode == 1, said(done)
    assert bodies(tmp_path) == ['{"name":"A","type":"event","data":{"total":59.70}}']
    (refused,) = lines(tmp_path, "refused")
    assert refused["failure"]["message"] == "column line is null"


def test_typed_columns_keep_every_digit(tmp_path: Path) -> None:
    """Integers, decimals, numbers of 32 bits, times with and without a zone; a null is an absent member."""
    zone = dt.timezone(dt.timedelta(hours=2))
    path = table(
        tmp_path,
        user_id=pa.array([2**63 - 1], type=pa.int64()),
        ts=pa.array([dt.datetime(2026, 3, 4, 5, 6, 7, 890000)], type=pa.timestamp("us")),  # noqa: DTZ001
        zoned=pa.array(
            [dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=zone)],
            type=pa.timestamp("ns", tz="Europe/Paris"),
        ),
        price=pa.array([Decimal("12345678901234567890.10")], type=pa.decimal128(38, 2)),
        share=pa.array([0.1], type=pa.float32()),
        vast=pa.array([2**64 - 1], type=pa.uint64()),
        day=[dt.date(2026, 3, 4)],
        nothing=pa.array([None], type=pa.string()),
        label=pa.array(["x"]).dictionary_encode(),
        tags=[["a", None]],
        counts=pa.array([[("a", 1), ("b", None)]], type=pa.map_(pa.string(), pa.int32())),
        nested=[{"a": {"b": 1, "c": None}}],
        key=pa.array([uuid.UUID(int=1).bytes], type=pa.uuid()),
    )
    names = (
        "zoned",
        "price",
        "share",
        "vast",
        "day",
        "nothing",
        "label",
        "tags",
        "counts",
        "nested.a",
        "key",
    )
    more = [f"properties.{name.replace('.', '_')}={name}" for name in names]
    done = backfill(
        tmp_path, path, options=mapped(*FIXED, "userId=user_id", "originalTimestamp=ts", *more)
    )
    assert done.returncode == 0, said(done)
    (line,) = lines(tmp_path, "requests")
    assert line["requests"][0]["url"].endswith("/customers/9223372036854775807/events")
    (body,) = bodies(tmp_path)
    assert body == (
        '{"name":"Order","type":"event","data":{"zoned":"2026-03-04T03:06:07Z","price":12345678901234567890.10,'
        '"share":0.1,"vast":18446744073709551615,"day":"2026-03-04","label":"x","tags":["a",null],"counts":{"a":1},'
        '"nested_a":{"b":1},"key":"00000000-0000-0000-0000-000000000001"},"timestamp":1772600767}'
    )


def test_json_text_in_a_column_becomes_an_object(tmp_path: Path) -> None:
    """For properties by itself, for other fields with :json; a file of the mapping says the same."""
    path = table(
        tmp_path,
        user_id=["u1", "u2", "u3", "u4"],
        props=['{"total":1.50}', None, "", "[1]"],
        items=['[{"a.b":1}]', "null", None, None],
    )
    mapping = tmp_path / "map.json"
    mapping.write_text(
        '{"type":{"value":"track"},"event":{"value":"Order"},"userId":"user_id","properties":"props",'
        '"context.items":{"column":"items","json":true}}'
    )
    done = backfill(tmp_path, path, options=["--column-map", str(mapping)])
    assert done.returncode == 1, said(done)
    assert [body.partition('"data":')[2] for body in bodies(tmp_path)] == [
        '{"total":1.50}}',
        "{}}",
        "{}}",
    ]
    (refused,) = lines(tmp_path, "refused")
    assert refused["failure"]["message"] == "column props: '[1]' is not a JSON object"


def test_a_value_without_a_form_in_json_refuses_its_row_alone(tmp_path: Path) -> None:
    """The refused event has the value as text: mended, it is read again as it is."""
    path = table(
        tmp_path,
        u=["u1", "u2", "u3"],
        n=[float("nan"), 1.5, float("-inf")],
        b=[b"x", b"\xff", b"y"],
    )
    options = mapped(*FIXED, "userId=u", "properties.n=n", "properties.b=b")
    assert backfill(tmp_path, path, options=options).returncode == 1
    refused = lines(tmp_path, "refused")
    assert [line["failure"]["message"] for line in refused] == [
        "column n: 'nan' is not a finite number",
        "column b: '\ufffd' is not text in UTF-8",
        "column n: '-inf' is not a finite number",
    ]
    assert [line["failure"]["line"] for line in refused] == [1, 2, 3]
    assert refused[0]["event"]["properties"] == {"n": "nan", "b": "x"}
    again = tmp_path / "again"
    again.mkdir()
    (again / "mended.jsonl").write_text(json.dumps(refused[0]).replace('"nan"', "0.5"))
    assert backfill(again, again / "mended.jsonl").returncode == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--events-column", "payloads"],
            "has no column payloads; there are user_id, total, ctx, tags",
        ),
        (
            ["--events-column", "total"],
            "column total is double; an event is text, bytes, a struct or a map",
        ),
        (mapped("userId=user"), "has no column user; there are user_id, total, ctx, tags"),
        (mapped("userId=ctx.port"), "has no column ctx.port; there are"),
        (mapped("userId=tags"), "column tags is list<element: string>; userId is a single value"),
        (
            mapped("properties=total"),
            "column total is double; properties is a struct, a map, or text that is JSON",
        ),
        (
            mapped("properties.took=ctx.took"),
            "has the type duration[us], which JSON has no form for",
        ),
        (mapped("user=user_id"), "an event has no field user; its fields are action, anonymousId"),
        (mapped("userId=user_id", "userId=ctx.ip"), "userId is mapped twice"),
        (mapped("properties=ctx", "properties.a=total"), "properties.a is a part of properties"),
        ([], "name its column of events with --events-column, or the columns of fields with --map"),
    ],
)
def test_a_mapping_that_cannot_be_is_a_usage_error(
    options: list[str], says: str, tmp_path: Path
) -> None:
    """What is wrong is said before anything is read or written."""
    took = dt.timedelta(seconds=1)
    path = table(
        tmp_path, user_id=["u1"], total=[1.5], ctx=[{"ip": "1.2.3.4", "took": took}], tags=[["a"]]
    )
    done = backfill(tmp_path, path, options=options)
    assert (done.returncode, says in said(done)) == (2, True), said(done)
    assert not list((tmp_path / "out").glob("re*-*"))


def test_files_that_are_no_whole_parquet_are_usage_errors(tmp_path: Path) -> None:
    """Cut off anywhere, empty, or something else: the file is named."""
    whole = table(
        tmp_path, payload=[json.dumps({"type": "track", "n": n}) for n in range(1000)]
    ).read_bytes()
    cases = {
        "half": (whole[: len(whole) // 2], "as if its writer had not finished"),
        "middle": (whole[:100] + whole[-(len(whole) // 10) :], ""),
        "empty": (b"", "is empty, which a Parquet file never is"),
        "text": (b'{"type":"track"}\n', "is not a Parquet file"),
    }
    for name, (content, says) in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "events.parquet").write_bytes(content)
        done = backfill(folder, folder / "events.parquet", options=["--events-column", "payload"])
        assert done.returncode in (1, 2), name
        assert says in said(done), name
        assert "events.parquet" in said(done), name
        assert "Traceback" not in said(done), name


def test_a_damaged_row_group_ends_the_run_before_anything_is_written(tmp_path: Path) -> None:
    """The footer is whole, so only reading finds it. Row groups before it have been read."""
    path = tmp_path / "events.parquet"
    rows = [
        json.dumps({"type": "track", "userId": f"u{n}", "event": "A", "x": str(uuid.uuid4())})
        for n in range(900)
    ]
    pq.write_table(pa.table({"payload": rows}), path, row_group_size=300, write_page_checksum=True)
    group = pq.read_metadata(path).row_group(1).column(0)
    content = bytearray(path.read_bytes())
    at = (group.dictionary_page_offset or group.data_page_offset) + group.total_compressed_size // 2
    content[at : at + 64] = bytes(64)
    path.write_bytes(content)
    done = backfill(tmp_path, path, options=["--events-column", "payload"])
    assert done.returncode == 1, said(done)
    assert "events.parquet: row group 1 is damaged" in said(done)
    assert not list((tmp_path / "out").glob("re*-*"))


def test_a_file_without_rows_has_no_events(tmp_path: Path) -> None:
    """Neither with a schema alone, nor without columns that are mapped."""
    empty = table(tmp_path, payload=pa.array([], type=pa.string()))
    done = backfill(tmp_path, empty, options=["--events-column", "payload", "--json"])
    assert done.returncode == 0, said(done)
    assert json.loads(done.stdout)["events"] == 0


def test_files_of_a_directory_may_have_different_columns(tmp_path: Path) -> None:
    """A column that is missing in older files is null there, and stderr says so; its type may differ."""
    folder = tmp_path / "export"
    table(tmp_path, "export/2025.parquet", user_id=[1], total=[1])
    table(
        tmp_path, "export/2026.snappy.parquet", user_id=["u2"], total=[2.5], coupon=["X"], more=[1]
    )
    (folder / "_SUCCESS").touch()
    options = mapped(*FIXED, "userId=user_id", "properties.total=total", "properties.coupon=coupon")
    done = backfill(tmp_path, folder, options=options)
    assert done.returncode == 0, said(done)
    assert "Parquet files without column coupon: 1 of 2" in said(done)
    found = [
        json.dumps(request["body"]["data"])
        for line in lines(tmp_path, "requests")
        for request in line["requests"]
    ]
    assert sorted(found) == ['{"total": 1}', '{"total": 2.5, "coupon": "X"}']


def test_memory_does_not_grow_with_a_row_group(tmp_path: Path) -> None:
    """A group of 200,000 rows and 200 MB is read in parts."""
    path = tmp_path / "events.parquet"
    rows = 200_000
    text = pa.array(["x" * 1000] * rows)
    pq.write_table(
        pa.table({"u": pa.array(range(rows)), "text": text}),
        path,
        row_group_size=rows,
        use_dictionary=False,
    )
    program = (
        "import resource, sys\n"
        "from ciosidecar_server.backfill.parquet.mapping import column_map\n"
        "from ciosidecar_server.backfill.parquet.tables import rows_of_groups\n"
        "columns = column_map('', ['userId=u', 'properties.text=text'])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(sum(1 for _ in rows_of_groups(sys.argv[1], range(1), columns)))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    count, grown_kib = map(int, done.stdout.split())
    assert count == rows
    assert grown_kib < 100 << 10


def test_parquet_output_says_what_lines_say(tmp_path: Path) -> None:
    """Typed columns, bounded row groups, and the same requests to the byte."""
    rows = [
        {
            "type": "track",
            "userId": f"u{n % 7}",
            "event": "A",
            "messageId": f"m{n}",
            "properties": {"big": 2**63 + n},
        }
        for n in range(12_000)
    ]
    rows.append({"type": "track", "event": "Nobody"})
    events = tmp_path / "events.jsonl"
    events.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folders = [tmp_path / name for name in ("jsonl", "parquet")]
    for folder in folders:
        folder.mkdir()
        done = backfill(folder, events, options=["--format", folder.name, "--partitions", "1"])
        assert done.returncode == 1, said(done)
    (path,) = (folders[1] / "out").glob("requests-*.parquet")
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(group).num_rows for group in range(2)] == [10_000, 2_000]
    assert file.schema_arrow.field("line").type == pa.int64()
    (texts,) = (folders[0] / "out").glob("requests-*.jsonl")
    for row, line in zip(file.read().to_pylist(), texts.read_text().splitlines(), strict=True):
        of_line = json.loads(line)
        (request,), (of_request,) = row.pop("requests"), of_line.pop("requests")
        assert {name: value for name, value in row.items() if value is not None} == of_line
        assert dict(request["headers"]) == of_request["headers"]
        assert request["body"] in line
        assert (request["url"], request["events"]) == (of_request["url"], None)
    assert [line["failure"]["code"] for line in lines(folders[1], "refused")] == [
        "MISSING_IDENTITY"
    ]


def test_packed_requests_name_their_events_in_parquet(tmp_path: Path) -> None:
    """A shared request is on the last of its events, with the place of each."""
    events = tmp_path / "events.jsonl"
    event = {"type": "track", "userId": "u1", "event": "A", "messageId": "m"}
    line = {"event": event, "config": CONFIG | {"apiVersion": "v2"}}
    events.write_text((json.dumps(line) + "\n") * 2)
    done = backfill(tmp_path, events, options=["--format", "parquet", "--pack"], config=False)
    assert done.returncode == 0, said(done)
    (path,) = (tmp_path / "out").glob("requests-*.parquet")
    first, last = pq.read_table(path).to_pylist()
    assert first["requests"] == []
    assert [place["line"] for place in last["requests"][0]["events"]] == [1, 2]


def test_columns_are_for_parquet_files(tmp_path: Path) -> None:
    """An option that does nothing is an error."""
    events = tmp_path / "events.jsonl"
    events.write_text('{"type":"track","userId":"u1","event":"A"}\n')
    done = backfill(tmp_path, events, options=["--events-column", "payload"])
    assert (done.returncode, "are for Parquet files, and no input is one" in said(done)) == (
        2,
        True,
    )
