"""Engines: ways to run tasks on workers. A backfill is the same on each of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs tasks on workers.

    Tasks and results are small and can be pickled. The function is one of a module, so that a worker can import it. What is
    large goes through files in the output directory, which every worker MUST reach.
    """

    def run(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield the results of the tasks in any order, each as soon as it is there.

        The first failure of a task is raised as it is. Closing the iterator cancels the tasks that are not finished.

        Raises:
            BackfillFailed: A task failed, or a worker is gone.
        """

    def close(self) -> None:
        """End the workers, also in the middle of a task. May be called twice."""
