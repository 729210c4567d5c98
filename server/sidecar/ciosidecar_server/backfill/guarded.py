"""Tasks whose faults name the part of the input or the partition, on every engine alike."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BackfillFailed
from .tasks import KeysTask, PartitionTask, SpillTask


@dataclass(frozen=True, slots=True)
class Guarded:
    """A function of tasks that raises nothing but BackfillFailed."""

    function: Callable[[Any], Any]

    def __call__(self, task: Any) -> Any:
        """Call the function.

        Raises:
            BackfillFailed: As the function raises it, or because of a fault in the function.
        """
        try:
            return self.function(task)
        except BackfillFailed:
            raise
        except Exception as fault:  # noqa: BLE001 - whatever it is, its text may quote an event
            frame = traceback.extract_tb(fault.__traceback__)[-1]
            raise BackfillFailed(
                f"{_name(task)}: {type(fault).__name__} ({Path(frame.filename).name}, line {frame.lineno})"
            ) from None


def _name(task: object) -> str:
    if isinstance(task, KeysTask | SpillTask):
        return f"part {task.number} of the input, in {task.split.input.path}"
    return f"partition {task.number}" if isinstance(task, PartitionTask) else "a task"
