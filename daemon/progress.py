"""How far an execution has come, as its task runs tell: what they gave and decided, how often they were tried."""

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tidewaiter.daemon.records import TaskRun, TaskRunState, parse_timestamp

_ITERATION = re.compile(r"([^\[\]]+)\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Failures:
    """The attempts at a task that failed in a row and are to be followed by another."""

    number: int
    first_began: datetime
    last_ended: datetime


@dataclass(slots=True)
class Progress:
    """
    *ended*: the result of each task that has one, by its path. *outputs* are what ``outputs`` shows, under the values
    of the loops a task is in (kestra.md §1.12); *states* the latest state of each task by its id.
    """

    ended: dict[str, TaskRun] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    states: dict[str, dict[str, str]] = field(default_factory=dict)
    _attempts: dict[str, list[TaskRun]] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Iterable[TaskRun]) -> "Progress":
        """Read the task runs of an execution, in order of their start."""
        progress = cls()
        for run in runs:
            progress._attempts.setdefault(run.task_path, []).append(run)
            if run.state.ended:
                progress.ended[run.task_path] = run
        for run in progress.ended.values():
            values = progress._values(run.task_path)
            if values is not None:
                note_outputs(progress.outputs, run, values)
            progress.states[run.task_id] = {"state": run.state.value}
        return progress

    def add(self, run: TaskRun) -> None:
        """Take in an attempt that has ended."""
        self._attempts.setdefault(run.task_path, []).append(run)
        self.states[run.task_id] = {"state": run.state.value}
        if run.state.ended:
            self.ended[run.task_path] = run

    def failed_inside(self, path: str) -> bool:
        """Whether a task inside the one at *path* has failed or warned, and said so itself."""
        states = {TaskRunState.FAILED, TaskRunState.WARNING}
        return any(
            run.state in states and inside.startswith((f"{path}/", f"{path}[")) for inside, run in self.ended.items()
        )

    def with_state(self, state: str) -> list[dict[str, Any]]:
        """Give the tasks that ended in *state*, as Kestra's function does."""
        return [
            {"taskId": run.task_id, "state": run.state.value, **({} if run.value is None else {"value": run.value})}
            for run in self.ended.values()
            if run.state.value == state.upper()
        ]

    def attempts(self, path: str) -> int:
        """How often the task at *path* was begun."""
        return max((run.attempt for run in self._attempts.get(path, ())), default=0)

    def decision(self, path: str) -> Mapping[str, Any] | None:
        """Give what the task at *path* decided in an attempt that an interruption ended, None if nothing."""
        latest = next(iter(reversed(self._attempts.get(path, ()))), None)
        stands = latest is not None and (latest.state is TaskRunState.INTERRUPTED or latest.state.ended)
        return latest.decision if latest is not None and stands else None

    def failures(self, path: str) -> Failures | None:
        """Give the failed attempts at the task at *path* since the execution itself was last tried again."""
        failed: list[TaskRun] = []
        for run in self._attempts.get(path, ()):
            if run.state is TaskRunState.RETRIED:
                failed = []
            elif run.state is TaskRunState.RETRYING:
                failed.append(run)
        if not failed:
            return None
        last = failed[-1].ended_at or failed[-1].started_at
        return Failures(len(failed), parse_timestamp(failed[0].started_at), parse_timestamp(last))

    def _values(self, path: str) -> list[str] | None:
        """
        Give the values of the loops that the task at *path* is in, the outermost first; None in a `Loop`, from which
        nothing is seen outside.
        """
        values = []
        for match in _ITERATION.finditer(path):
            loop = self._attempts.get(path[: match.end(1)], ())
            decided = next((run.decision for run in reversed(loop) if run.decision), None)
            if decided and "items" in decided:
                return None
            if decided and "values" in decided:
                values.append(str(decided["values"][int(match[2])]))
        return values


def note_outputs(outputs: MutableMapping[str, Any], run: TaskRun, values: Sequence[str]) -> None:
    """Put what *run* gave under its task's id, and below that under the *values* of the loops it is in."""
    node = outputs
    for name in (run.task_id, *values):
        inner = node.get(name)
        node[name] = node = dict(inner) if isinstance(inner, Mapping) else {}
    node.update(run.outputs)
