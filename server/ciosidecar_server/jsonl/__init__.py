"""JSON lines in, JSON lines out: what `ciosidecar transform` reads and prints."""
