"""What a command line that cannot be understood is told: one sentence, and where to look."""

from difflib import get_close_matches

from cyclopts import CoercionError, CycloptsError, UnknownCommandError, UnusedCliTokensError
from rich.console import Console
from rich.text import Text

_NUMBERS = {float: "a number", int: "a whole number"}

stderr = Console(stderr=True, soft_wrap=True)


def usage_error(error: CycloptsError) -> Text:
    """Return the sentence about a wrong command line, as the other failures of commands are printed."""
    commands = list(error.command_chain or ())
    help_command = " ".join(["ciosidecar", *commands, "--help"])
    problem = _problem(error)
    full_stop = "" if problem.endswith((".", "?")) else "."
    return Text(f"ciosidecar: {problem}{full_stop} See: {help_command}", style="red")


def _problem(error: CycloptsError) -> str:
    unused = error.unused_tokens or [""]
    if isinstance(error, UnknownCommandError):
        return _unknown_command(error, unused[0])
    if isinstance(error, UnusedCliTokensError):
        return f"{unused[0]!r} is one argument too many."
    text = str(error).strip()
    if isinstance(error, CoercionError) and error.target_type in _NUMBERS:
        return f"{text.partition(': ')[0]}: it must be {_NUMBERS[error.target_type]}."
    return text


def _unknown_command(error: UnknownCommandError, word: str) -> str:
    # Cyclopts itself lists only the commands that it has imported.
    known = [name for name in error.app or () if not name.startswith("-")]
    close = get_close_matches(word, known, n=1)
    meant = f" Did you mean {close[0]}?" if close else f" The commands are {', '.join(known)}."
    return f"There is no command {word!r}.{meant}"
