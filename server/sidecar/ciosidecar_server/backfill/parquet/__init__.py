"""Parquet files as inputs and outputs of a backfill. Only modules that need the extra `parquet` import pyarrow."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import EXIT_USAGE, BackfillFailed
from .mapping import ColumnMap

if TYPE_CHECKING:
    from ..inputs import InputFile

MISSING = "Parquet needs the package pyarrow: pip install 'ciosidecar-server[parquet]'"


def check_parquet(
    inputs: Sequence["InputFile"], columns: ColumnMap | None, *, output: bool, has_config: bool
) -> list[str]:
    """Check what a backfill with Parquet files needs, before it starts.

    Args:
        inputs: All inputs.
        columns: The mapping, if the caller gives one.
        output: Whether requests are written as Parquet.
        has_config: Whether one config holds for all events.

    Returns:
        Warnings.

    Raises:
        BackfillFailed: The package or the mapping is missing, or a file cannot be used.
    """
    paths = [file.path for file in inputs if file.kind == "parquet"]
    if (output or paths) and find_spec("pyarrow") is None:
        raise BackfillFailed(MISSING, EXIT_USAGE)
    if not paths:
        if columns is not None:
            raise BackfillFailed(
                "--events-column, --map and --column-map are for Parquet files, and no input is one",
                EXIT_USAGE,
            )
        return []
    if columns is None:
        raise BackfillFailed(
            f"{paths[0]} is a Parquet file: name its column of events with --events-column, or the columns of fields"
            " with --map FIELD=COLUMN",
            EXIT_USAGE,
        )
    if columns.fields and not has_config:
        raise BackfillFailed(
            "--map and --column-map need --config: a row has no config of its own", EXIT_USAGE
        )
    from .tables import check_tables  # noqa: PLC0415 - an extra

    return check_tables(paths, columns)
