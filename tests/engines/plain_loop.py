"""The plain loop beside which engines are measured: `.venv/bin/python -m tests.engines.plain_loop EVENTS OUTPUT`.

Reads lines, transforms each with `ciosidecar_transform`, and writes the requests: no workers, no order to keep.
"""

import sys
import time
from functools import cache
from pathlib import Path

import msgspec
from ciosidecar_transform import read_connection, read_destination, transform


class _Line(msgspec.Struct):
    event: msgspec.Raw
    config: msgspec.Raw
    connection: msgspec.Raw = msgspec.Raw()


def main(events: Path, output: Path) -> None:
    """Transform a file."""
    decode = msgspec.json.Decoder(_Line).decode
    destination_of, connection_of = cache(read_destination), cache(read_connection)
    now = int(time.time())
    with events.open("rb") as lines, output.open("wb") as requests_file:
        for text in lines:
            try:
                line = decode(text)
            except msgspec.DecodeError:
                continue
            destination, _ = destination_of(bytes(line.config))
            if destination is None:
                continue
            connection = connection_of(bytes(line.connection)) if line.connection else None
            _, requests = transform(bytes(line.event), destination, now=now, connection=connection)
            for request in requests:
                url = request.template.base_url + request.path
                requests_file.write(
                    f"{request.template.method} {url} ".encode() + request.body + b"\n"
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
