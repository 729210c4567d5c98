"""Defects of the sidecar, without the texts of exceptions: those may quote events and keys."""

from pathlib import PurePath

_OWN = "ciosidecar_"


def kind_and_place(fault: BaseException) -> tuple[str, str]:
    """Return the type of an exception, and the last line of the sidecar's own code that it passed.

    The line is of a library if the exception never passed the sidecar's code.
    """
    place = last = ""
    trace = fault.__traceback__
    while trace is not None:
        file = PurePath(trace.tb_frame.f_code.co_filename)
        own = [index for index, part in enumerate(file.parts) if part.startswith(_OWN)]
        last = f"{file.name}:{trace.tb_lineno}"
        if own:
            place = f"{'/'.join(file.parts[own[-1] :])}:{trace.tb_lineno}"
        trace = trace.tb_next
    return type(fault).__name__, place or last or "unknown"
