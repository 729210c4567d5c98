"""Run the command `ciosidecar` for `python -m ciosidecar_server`."""

from .cli import main

main()
