"""Parquet files as inputs and outputs of a backfill. Only what the extra `parquet` installs imports pyarrow."""
