"""How far an execution has come, as its task runs tell: what they gave and decided, how often they were tried."""

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tidewaiter.daemon.records import TaskRun, TaskRunState, parse_timestamp

_ITERATION = re.compile(r"([^\[\]]+)\[(\d+)\]")
_ENDS = re.compile(r"[\[/]")


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
    of the loops a task is in (kestra.md §1.12); *states* the latest state of each task by its id. *inner* are the
    outputs that are seen only in one iteration of a `Loop`, by its path.
    """

    ended: dict[str, TaskRun] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    states: dict[str, dict[str, str]] = field(default_factory=dict)
    inner: dict[str, dict[str, Any]] = field(default_factory=dict)
    _attempts: dict[str, list[TaskRun]] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _around: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, runs: Iterable[TaskRun]) -> "Progress":
        """Read the task runs of an execution, in order of their start."""
        progress = cls()
        for run in runs:
            progress._attempts.setdefault(run.task_path, []).append(run)
            if run.state.ended:
                progress.ended[run.task_path] = run
            if run.state is not TaskRunState.RETRIED:
                progress._begun.add(run.task_path)
                progress._around.update(run.task_path[: end.start()] for end in _ENDS.finditer(run.task_path))
        for run in progress.ended.values():
            iteration, values = progress._place(run.task_path)
            seen = progress.outputs if iteration is None else progress.inner.setdefault(iteration, {})
            _put(seen, run, values)
            progress.states[run.task_id] = {"state": run.state.value}
        return progress

    def begun(self, path: str) -> bool:
        """Whether the task or iteration at *path* had begun before the execution was taken up this time."""
        return path in self._begun or path in self._around

    def begun_inside(self, path: str) -> bool:
        """Whether a task inside the one at *path* had."""
        return path in self._around

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

    def _place(self, path: str) -> tuple[str | None, list[str]]:
        """
        Give where the outputs of the task at *path* are seen: in which iteration of a `Loop`, None if everywhere, and
        under which values of other loops, the outermost first.
        """
        iteration, values = None, []
        for match in _ITERATION.finditer(path):
            loop = self._attempts.get(path[: match.end(1)], ())
            decided = next((run.decision for run in reversed(loop) if run.decision), None)
            if decided and "items" in decided:
                iteration = path[: match.end()]
            if decided and "values" in decided:
                values.append(str(decided["values"][int(match[2])]))
        return iteration, values


def note_outputs(outputs: MutableMapping[str, Any], run: TaskRun, values: Sequence[str]) -> None:
    """
    Put what *run* gave under its task's id, and below that under the *values* of the loops it is in. What others hold
    of it already stays as it is.
    """
    node = outputs
    for name in (run.task_id, *values):
        node[name] = node = dict(node.get(name, {}))
    node.update(run.outputs)


def _put(outputs: dict[str, Any], run: TaskRun, values: Sequence[str]) -> None:
    """Do what `note_outputs` does, while nobody holds anything of it: without a copy of a long loop for each turn."""
    node = outputs
    for name in (run.task_id, *values):
        node = node.setdefault(name, {})
    node.update(run.outputs)
