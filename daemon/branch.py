"""Where in the tree of tasks work goes on."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.retry import Retry
from tidewaiter.daemon.records import TaskRun


@dataclass(frozen=True, slots=True)
class Branch:
    """
    What the tasks at one place of the tree have in common.

    *path* begins the path of each. *directory* is that of the `WorkingDirectory` they are in. *retry* is what those
    without one of their own inherit. *values* are those of the loops around them, the outermost first, *iteration* the
    number of the innermost. *parents* are the task runs around them, the nearest first, as expressions see them. *item*
    and *local*, the outputs seen only here, belong to a `Loop`.
    """

    path: str = ""
    directory: Path | None = None
    retry: Retry | None = None
    values: tuple[str, ...] = ()
    iteration: int | None = None
    parents: tuple[Mapping[str, Any], ...] = ()
    item: Mapping[str, Any] | None = None
    local: MutableMapping[str, Any] | None = None

    @property
    def value(self) -> str | None:
        """The value of the innermost loop, None outside of any."""
        return self.values[-1] if self.values else None

    def inside(self, task: TaskSpec, run: TaskRun) -> "Branch":
        """Give the branch of the tasks inside *task*."""
        parents = ({"taskrun": _taskrun(run)}, *self.parents) if run.value is not None else self.parents
        return replace(self, path=f"{self.path}{task.id}/", retry=task.retry or self.retry, parents=parents)

    def turn(self, number: int, value: str | None = None) -> "Branch":
        """Give the branch of one iteration of the loop that this is the inside of; without a *value*, outputs stay."""
        values = self.values if value is None else (*self.values, value)
        return replace(self, path=f"{self.path.removesuffix('/')}[{number}]/", values=values, iteration=number)


def _taskrun(run: TaskRun) -> dict[str, Any]:
    return {"id": run.id, "value": run.value, "iteration": run.iteration}
