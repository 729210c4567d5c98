"""The command `ciosidecar sandbox` if the distribution ciosidecar-sandbox is not installed."""

from typing import Annotated

from cyclopts import App, Parameter

from .outcome import EXIT_FAILED, give_up

HOW_TO_INSTALL = (
    "the sandbox is not installed: run pip install ciosidecar-sandbox, or make setup in a checkout"
)

# The command has no flags: `--help` and every option print the same sentence.
sandbox_app = App(
    name="sandbox",
    help="Run a local simulator of Customer.io, in memory (needs ciosidecar-sandbox).",
    help_flags=[],
    version_flags=[],
)


@sandbox_app.default
def sandbox(
    *_arguments: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
) -> None:
    """Say how to install the sandbox, and exit with code 1 as for other errors at the start."""
    give_up(HOW_TO_INSTALL, EXIT_FAILED)
