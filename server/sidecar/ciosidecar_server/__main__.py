"""`python -m ciosidecar_server`, the same as the command `ciosidecar`."""

from .cli import main

main()
