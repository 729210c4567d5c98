"""JSON lines in, JSON lines out: what `ciosidecar transform` and `deliver` read and print."""
