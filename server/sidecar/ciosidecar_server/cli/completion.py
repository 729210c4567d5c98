"""The command `ciosidecar completion`."""

import sys
from typing import Literal

from cyclopts import App

from .examples import examples


def add_completion(app: App) -> None:
    """Add the command that prints a shell's completion of all commands of an app."""

    @app.command(help_epilogue=examples("completion"))
    def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
        """Print a script that completes commands and options in a shell.

        In zsh, write the script to a file named _ciosidecar in a directory of fpath.

        Args:
            shell: The shell that reads the script.
        """
        sys.stdout.write(app.generate_completion(shell=shell))
