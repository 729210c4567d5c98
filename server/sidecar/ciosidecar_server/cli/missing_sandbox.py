"""`ciosidecar sandbox` where the distribution ciosidecar-sandbox is not installed."""

from typing import Annotated

from cyclopts import App, Parameter

from .outcome import EXIT_FAILED, give_up

HOW_TO_INSTALL = (
    "the sandbox is not installed: run pip install ciosidecar-sandbox, or make setup in a checkout"
)

# No flags of its own: `--help` and every option get the same sentence.
sandbox_app = App(
    name="sandbox",
    help="Run a Customer.io of your own on loopback, in memory (needs ciosidecar-sandbox).",
    help_flags=[],
    version_flags=[],
)


@sandbox_app.default
def sandbox(
    *_arguments: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
) -> None:
    """Say how to install the sandbox, and exit with the code of other errors at the start."""
    give_up(HOW_TO_INSTALL, EXIT_FAILED)
