"""One execution under way: what it is, how far it has come, and what its expressions see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tidewaiter.config.expression import Expressions, Scope
from tidewaiter.config.flow import TaskSpec, TriggerSpec
from tidewaiter.config.retry import Retry as TaskRetry
from tidewaiter.config.settings import Retry
from tidewaiter.config.spec import concrete
from tidewaiter.daemon.branch import Branch
from tidewaiter.daemon.flows import AnyFlow
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.kv import ScopedKeyValues
from tidewaiter.daemon.progress import Progress, note_outputs
from tidewaiter.daemon.records import Execution, LogLine, TaskRun, TaskRunState, now
from tidewaiter.daemon.rest import Rest
from tidewaiter.daemon.scope import Host, ScopedRendering, task_scope
from tidewaiter.daemon.signals import Signals
from tidewaiter.daemon.storage import ExecutionFiles, NamespaceFolders, Storage
from tidewaiter.daemon.tasklog import TaskLog
from tidewaiter.tasks.context import GitSettings, RunnerSettings, TaskContext
from tidewaiter.tasks.objectstore import ObjectStores
from tidewaiter.tasks.script import output_dir


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where and how tasks work: what every run of this daemon shares."""

    journal: Journal
    storage: Storage
    expressions: Expressions
    host: Host
    work: Path
    cache: Path
    runners: RunnerSettings
    git: GitSettings
    stores: ObjectStores
    log_lines: int = 100_000
    retry: Retry = field(default_factory=Retry)
    signals: Signals = field(default_factory=Signals)


@dataclass(slots=True)
class Situation:
    """
    What all the tasks of one execution share. *variables* are what each of them sees; *error_logs* what the failed ones
    had to say; *begin_again* the retry that asks for the execution to be begun again; *pauses* the tasks that pause, by
    path, with the moment until when; *children* the executions that tasks wait for, with the path of each task.
    """

    execution: Execution
    flow: AnyFlow
    trigger: TriggerSpec | None
    place: Workplace
    progress: Progress
    variables: dict[str, Any]
    rest: Rest
    error_logs: Sequence[LogLine] = ()
    begin_again: TaskRetry | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    pauses: dict[str, str | None] = field(default_factory=dict)
    children: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its tasks work."""
        return self.place.work / self.execution.id

    @property
    def own_run(self) -> TaskRun:
        """What the execution itself has to say is logged under, beside its tasks."""
        return TaskRun(self.execution.id, "", 1, TaskRunState.RUNNING, now())

    def log(self, run: TaskRun, level: str | None = None) -> TaskLog:
        """Make the log of a task run; *level* is the task's own, else the trigger's counts."""
        chosen = level or (self.trigger.log_level if self.trigger else None) or "INFO"
        return TaskLog(self.place.journal.logs, self.place.host.secrets, self.place.log_lines, run, chosen)

    def mask(self, text: str | None) -> str | None:
        """Take the secrets out of *text*."""
        return self.place.host.secrets.mask(text) if text else None

    def files(self, run: TaskRun) -> ExecutionFiles:
        """Give internal storage as a task run sees it."""
        folders = self.namespace_folders
        return ExecutionFiles.of(self.place.storage, self.execution, run.task_path or "outputs", run.id, folders)

    @property
    def namespace_folders(self) -> NamespaceFolders | None:
        """The namespace files of the flow and its neighbours, None if there are none."""
        root = self.place.host.namespace_files
        return NamespaceFolders(root, self.flow.namespace) if root else None

    def note(self, run: TaskRun, branch: Branch) -> None:
        """Let the tasks that follow see what *run* gave."""
        visible = self.progress.outputs if branch.local is None else branch.local
        note_outputs(visible, run, branch.values)

    def scope(self, task: TaskSpec | None, run: TaskRun, branch: Branch, workdir: Path | None = None) -> Scope:
        """Give what expressions of *task*, or of the flow itself, see at *branch*."""
        place = workdir or self.folder
        outputs = self.progress.outputs if branch.local is None else {**self.progress.outputs, **branch.local}
        variables = {**self.variables, "outputs": outputs, "tasks": self.progress.states, **_surroundings(branch)}
        scope = task_scope(variables, task, run, (place, output_dir(place)), self.files(run), self.place.host)
        functions: dict[str, Callable[..., Any]] = {
            "errorLogs": lambda: [_error_log(line) for line in self.error_logs],
            "tasksWithState": self.progress.with_state,
        }
        return replace(scope, functions={**scope.functions, **functions})

    def concrete(self, task: Any, scope: Scope, only: Sequence[str] | None = None) -> Any:
        """Render the properties of *task*, or *only* some. Raises as `tidewaiter.config.spec.concrete`."""
        return concrete(task, lambda source: self.place.expressions.render(source, scope), only)

    def context(self, run: TaskRun, log: TaskLog, workdir: Path, scope: Scope) -> TaskContext:
        """Give what a task may touch; its folders exist already. *scope* is what its expressions see."""
        namespace_files = self.place.host.namespace_files
        return TaskContext(
            task_run_id=run.id,
            task_key=(self.flow.namespace, self.flow.id, run.task_id, *((run.value,) if run.value is not None else ())),
            workdir=workdir,
            scratch=self.scratch(run),
            cache=self.place.cache,
            stores=self.place.stores,
            kv=ScopedKeyValues(self.place.journal.kv, self.flow.namespace),
            rendering=ScopedRendering(self.place.expressions, scope),
            log=log,
            files=self.files(run),
            environment=self._environment(run),
            runners=self.place.runners,
            git=self.place.git,
            namespace_files=namespace_files / self.flow.namespace if namespace_files else None,
        )

    def scratch(self, run: TaskRun) -> Path:
        """Where the programs of a task run have their home."""
        return self.folder / f"{run.id}.home"

    def _environment(self, run: TaskRun) -> dict[str, str]:
        """Name the run to programs: idempotency keys for effects outside (reliability.md §3.7, R5)."""
        return {
            "EXECUTION_ID": self.execution.id,
            "TASK_RUN_ID": run.id,
            "ATTEMPT": str(run.attempt),
            "FLOW_ID": self.flow.id,
            "NAMESPACE": self.flow.namespace,
            "TIDEWAITER_TASK_RUN_ID": run.id,
        }


def _surroundings(branch: Branch) -> dict[str, Any]:
    """Give what only tasks within others see."""
    seen: dict[str, Any] = {"parents": list(branch.parents)} if branch.parents else {}
    if branch.parents:
        seen["parent"] = branch.parents[0]
    if branch.item is not None:
        seen["item"] = branch.item
    return seen


def _error_log(line: LogLine) -> dict[str, Any]:
    task = line.task_path.rpartition("/")[2]
    return {"taskId": task, "timestamp": line.at, "level": line.level, "message": line.message}
