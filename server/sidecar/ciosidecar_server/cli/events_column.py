"""The number of events in a progress line."""

from collections.abc import Callable

from rich.progress import ProgressColumn, Task
from rich.text import Text

from ..counted import counted


class EventsColumn(ProgressColumn):
    """The number of events so far."""

    def __init__(self, events: Callable[[Task], int]) -> None:
        """events: returns the number of events of a task."""
        super().__init__()
        self._events = events

    def render(self, task: Task) -> Text:
        """Return the number, with its noun."""
        return Text(counted(self._events(task), "event", grouped=True))
