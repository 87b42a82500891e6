"""
Inside one execution: its tasks in order, from wherever the journal says it stands.

Before a task begins, that is recorded; when it has ended, its result is. A task with a recorded result is never run
again, one without is run once more after a crash.
"""

import asyncio
import shutil
import subprocess
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from tidewaiter.config.errors import SyncError, TidewaiterError
from tidewaiter.config.expression import Expressions, Scope
from tidewaiter.config.fields import format_duration
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.settings import Retry
from tidewaiter.config.spec import concrete
from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.flows import AnyFlow
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.patience import until_recorded
from tidewaiter.daemon.records import (
    Detection,
    Execution,
    ExecutionState,
    LogLine,
    RoutePurpose,
    TaskRun,
    TaskRunState,
    now,
    timestamp,
)
from tidewaiter.daemon.scope import Host, execution_variables, nested, task_scope
from tidewaiter.daemon.storage import ExecutionFiles, Storage
from tidewaiter.tasks.context import GitSettings, Level, Result, RunnerSettings, TaskContext
from tidewaiter.tasks.directory import enter, leave
from tidewaiter.tasks.process import kill_survivors
from tidewaiter.tasks.runnable import task_type
from tidewaiter.tasks.script import output_dir
from tidewaiter.tasks.tree import WorkingDirectory
from tidewaiter.triggers.s3 import BucketTrigger

_log = structlog.get_logger("tidewaiter.run")

_BOOT = Path("/proc/sys/kernel/random/boot_id")

LEVELS: Mapping[str, int] = {"TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40}


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
    log_lines: int = 100_000
    retry: Retry = field(default_factory=Retry)


def route_after(state: ExecutionState, trigger: BucketTrigger | None) -> RoutePurpose | None:
    """Say why objects are to go elsewhere after an execution of *trigger* ended in *state*; None if they stay."""
    if state in {ExecutionState.SUCCESS, ExecutionState.WARNING} and trigger and trigger.on_success:
        return RoutePurpose.SUCCESS
    if state is ExecutionState.FAILED and trigger and trigger.on_failure:
        return RoutePurpose.FAILURE
    return None


@dataclass(slots=True)
class Run:
    """One execution being carried out. Call `carry_out` once."""

    execution: Execution
    flow: AnyFlow
    objects: Sequence[Detection]
    place: Workplace
    _variables: dict[str, Any] = field(default_factory=dict)
    _ended: dict[str, TaskRun] = field(default_factory=dict)
    _attempts: dict[str, int] = field(default_factory=dict)

    async def carry_out(self) -> ExecutionState:
        """
        Run what is left of the execution and record its end. Cancelling it ends what runs at the moment and records
        nothing more.
        """
        for run in await self.place.journal.executions.task_runs(self.execution.id):
            self._attempts[run.task_path] = run.attempt
            if run.state.ended:
                self._ended[run.task_path] = run
        self._variables = execution_variables(self.flow, self.execution, self.objects, self.place.host)
        self._variables["outputs"] = {run.task_id: dict(run.outputs) for run in self._ended.values()}
        result = self._labelled() or await self._sequence(self.flow.tasks, "", None)
        attempts = self._trigger.max_attempts if self._trigger else 1
        again = result.state == "FAILED" and self.execution.attempts < attempts
        return await (self._try_again(result) if again else self._end(result))

    async def _end(self, result: Result) -> ExecutionState:
        if result.state == "FAILED" and self.flow.errors:
            await self._sequence(self.flow.errors, "", None)
        result = self._with_outputs(result)
        state = ExecutionState(result.state)
        route = route_after(state, self._trigger)
        end = self.place.journal.executions.end
        await until_recorded(self.place.journal.logs.flush)
        await until_recorded(partial(end, self.execution.id, state, result.outputs, result.error, route))
        await asyncio.to_thread(_remove, [self._folder])
        return state

    async def _try_again(self, result: Result) -> ExecutionState:
        """Put the failed execution back, to be tried again after a while; others of its trigger go first meanwhile."""
        due = timestamp(datetime.now(UTC) + self.place.retry.delay(self.execution.attempts - 1))
        retry = partial(self.place.journal.executions.retry, self.execution.id, next_try=due, error=result.error or "")
        # Before that is recorded: the next attempt must not take what this one left for its own after a crash.
        await asyncio.to_thread(_remove, [self._folder])
        await until_recorded(self.place.journal.logs.flush)
        await until_recorded(retry)
        return ExecutionState.CREATED

    def _labelled(self) -> Result | None:
        """Render the labels, the trigger's before the flow's (kestra.md §1.3); gives a result only when that fails."""
        labels = {**self.flow.labels, **(self._trigger.labels if self._trigger else {})}
        scope = Scope(self._variables, {"secret": self.place.host.secrets.get})
        try:
            rendered = {name: self.place.expressions.render(text, scope) for name, text in labels.items()}
        except TidewaiterError as error:
            _TaskLog(self.place, self._own_run, "INFO")("ERROR", f"labels: {error}")
            return Result("FAILED", error=f"labels: {error.message}")
        self._variables["labels"] = nested(rendered)
        return None

    @property
    def _trigger(self) -> BucketTrigger | None:
        """The trigger of the execution, None for a run by hand."""
        return next((trigger for trigger in self.flow.triggers if trigger.id == self.execution.trigger_id), None)

    @property
    def _own_run(self) -> TaskRun:
        """What the execution itself has to say is logged under, beside its tasks."""
        return TaskRun(self.execution.id, "", 1, TaskRunState.RUNNING, now())

    @property
    def _folder(self) -> Path:
        return self.place.work / self.execution.id

    async def _sequence(self, tasks: Sequence[TaskSpec], parent: str, directory: Path | None) -> Result:
        """Run *tasks* one after another until one fails; the worst state of any is the state of all."""
        worst = Result()
        for task in tasks:
            if task.disabled:
                continue
            result = await self._task(task, f"{parent}{task.id}", directory)
            if result.state == "FAILED":
                return Result("FAILED", error=f"task '{task.id}': {result.error}")
            if result.state == "WARNING":
                worst = Result("WARNING", error=f"task '{task.id}': {result.error}")
        return worst

    async def _task(self, task: TaskSpec, path: str, directory: Path | None) -> Result:
        """Run *task* unless its result is recorded already, and record its result."""
        ended = self._ended.get(path)
        if ended is None:
            ended = await self._attempt(task, path, directory)
        self._variables["outputs"] = {**self._variables["outputs"], task.id: dict(ended.outputs)}
        state = ended.state.value
        return Result("FAILED" if state == "KILLED" else state, ended.outputs, ended.error)  # type: ignore[arg-type]

    async def _attempt(self, task: TaskSpec, path: str, directory: Path | None) -> TaskRun:
        attempt = self._attempts.get(path, 0) + 1
        run = TaskRun(self.execution.id, path, attempt, TaskRunState.RUNNING, now())
        if attempt > 1:
            await asyncio.to_thread(kill_survivors, run.id)
        await self.place.journal.executions.start_task(run)
        with structlog.contextvars.bound_contextvars(task=path, attempt=attempt):
            result = _forgiven(task, await self._guarded(task, run, directory))
        state = TaskRunState(result.state)
        error = self.place.host.secrets.mask(result.error) if result.error else None
        journal = self.place.journal
        ending = partial(journal.executions.end_task, run, state, result.outputs, error)
        # Handed in together, log and result share one fsync. A result that is there is recorded, even if the disk is
        # full or the execution is interrupted at this very moment.
        await asyncio.shield(asyncio.gather(until_recorded(journal.logs.flush), until_recorded(ending)))
        if isinstance(task, WorkingDirectory):
            # Not before its result is recorded: after a crash the outputs are taken from the directory once more.
            await asyncio.to_thread(_remove, [self._folder / run.id, self._folder / f"{run.id}.home"])
        return TaskRun(run.execution_id, path, attempt, state, run.started_at, now(), result.outputs, error)

    async def _guarded(self, task: TaskSpec, run: TaskRun, directory: Path | None) -> Result:
        """Do the task; whatever goes wrong in it becomes a FAILED result with the reason in its log."""
        trigger = self._trigger
        log = _TaskLog(self.place, run, task.log_level or (trigger.log_level if trigger else None) or "INFO")
        try:
            if isinstance(task, WorkingDirectory):
                result = await self._working_directory(task, run, log)
            else:
                result = await self._runnable(task, run, log, directory)
        except (DatabaseError, SyncError):
            raise  # of a task inside: the journal or the disk failed, not the task
        except TidewaiterError as error:
            log("ERROR", str(error))
            return Result("FAILED", error=error.message)
        except Exception as error:  # noqa: BLE001 - the boundary between the daemon and a task's code
            _log.exception("task_crashed")
            log("ERROR", f"unexpected {type(error).__name__}: {error}")
            return Result("FAILED", error=f"unexpected {type(error).__name__}: {error}")
        if result.error and result.state != "SUCCESS":
            log("ERROR" if result.state == "FAILED" else "WARN", result.error)
        return result

    async def _runnable(self, task: TaskSpec, run: TaskRun, log: "_TaskLog", directory: Path | None) -> Result:
        workdir = directory or self._folder / run.id
        context = await self._context(run, log, workdir)
        try:
            spec = self._concrete(task, run, context)
            return await _within(spec.timeout, task_type(spec).run(spec, context))
        finally:
            gone = [context.scratch] if directory else [context.scratch, workdir]
            await asyncio.to_thread(_remove, gone)

    async def _working_directory(self, task: WorkingDirectory, run: TaskRun, log: "_TaskLog") -> Result:
        """
        Children share one directory, in order. After a crash the directory is still there and goes on being used; its
        inputs are placed only once. What a power cut left of it is not to be trusted: nothing in it was fsynced.
        """
        workdir, entered = self._folder / run.id, self._folder / f"{run.id}.entered"
        boot = _boot()
        usable = _text(entered) == boot
        if not usable:
            if any(path.startswith(f"{run.task_path}/") for path in self._ended):
                return Result(
                    "FAILED", error="the working directory was lost while the daemon was down; replay the execution"
                )
            await asyncio.to_thread(_remove, [workdir])
        context = await self._context(run, log, workdir)
        if not usable:
            await enter(self._concrete(task, run, context, only=("input_files", "namespace_files")), context)
            entered.write_text(boot)
        limit = self._concrete(task, run, context, only=("timeout",)).timeout
        result = await _within(limit, self._sequence(task.tasks, f"{run.task_path}/", workdir))
        outputs = await leave(self._concrete(task, run, context, only=("output_files",)), context)
        return Result(result.state, outputs, result.error)

    async def _context(self, run: TaskRun, log: "_TaskLog", workdir: Path) -> TaskContext:
        scratch = self._folder / f"{run.id}.home"
        for folder in (workdir, scratch):
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True, mode=0o700)
        namespace_files = self.place.host.namespace_files
        return TaskContext(
            task_run_id=run.id,
            workdir=workdir,
            scratch=scratch,
            cache=self.place.cache,
            log=log,
            files=ExecutionFiles.of(self.place.storage, self.execution, run.task_path, run.id),
            environment=self._environment(run),
            runners=self.place.runners,
            git=self.place.git,
            namespace_files=namespace_files / self.flow.namespace if namespace_files else None,
        )

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

    def _concrete(self, task: Any, run: TaskRun, context: TaskContext, only: Sequence[str] | None = None) -> Any:
        files = ExecutionFiles.of(self.place.storage, self.execution, run.task_path, run.id)
        directories = (context.workdir, output_dir(context.workdir))
        scope = task_scope(self._variables, task, run, directories, files.path, self.place.host)
        return concrete(task, lambda source: self.place.expressions.render(source, scope), only)

    def _with_outputs(self, result: Result) -> Result:
        """Render the flow's outputs; a flow whose outputs cannot be rendered has failed."""
        if result.state == "FAILED" or not self.flow.outputs:
            return result
        run = self._own_run
        log = _TaskLog(self.place, run, "INFO")
        files = ExecutionFiles.of(self.place.storage, self.execution, "outputs", run.id)
        scope = task_scope(
            self._variables, self.flow.tasks[-1], run, (self._folder, self._folder), files.path, self.place.host
        )
        try:
            values = {
                item.id: concrete(item, lambda source: self.place.expressions.render(source, scope)).value
                for item in self.flow.outputs
            }
        except TidewaiterError as error:
            log("ERROR", f"flow outputs: {error}")
            return Result("FAILED", error=self.place.host.secrets.mask(f"flow outputs: {error.message}"))
        return Result(result.state, values, result.error)


def _boot() -> str:
    """Tell this run of the machine from others: the kernel makes a new id each time it starts (random(4))."""
    return _BOOT.read_text()


def _text(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


def _forgiven(task: TaskSpec, result: Result) -> Result:
    """
    Apply ``allowFailure`` (FAILED counts as WARNING) and ``allowWarning`` (WARNING counts as SUCCESS), kestra.md
    §1.5.
    """
    if result.state == "FAILED" and task.allow_failure:
        return Result("WARNING", result.outputs, result.error)
    if result.state == "WARNING" and task.allow_warning:
        return Result("SUCCESS", result.outputs, result.error)
    return result


async def _within(limit: timedelta | None, work: Awaitable[Result]) -> Result:
    if limit is None:
        return await work
    try:
        async with asyncio.timeout(limit.total_seconds()):
            return await work
    except TimeoutError:
        return Result("FAILED", error=f"timed out after {format_duration(limit)}; everything it had started was ended")


def _remove(folders: Sequence[Path]) -> None:
    """Remove what tasks left; a tree too deep for Python's own removal is one that a task made to be."""
    for folder in folders:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except RecursionError:
            subprocess.run(["/bin/rm", "-rf", "--", str(folder)], check=False)  # noqa: S603 - the path is ours


@dataclass(slots=True)
class _TaskLog:
    """
    The log of one task run: masked, cut at a number of lines, kept in the journal and told to the daemon's own log.
    """

    place: Workplace
    run: TaskRun
    level: str
    lines: int = 0

    def __call__(self, level: Level, message: str) -> None:
        if LEVELS[level] < LEVELS[self.level] or self.lines > self.place.log_lines:
            return
        self.lines += 1
        if self.lines > self.place.log_lines:
            level, message = "WARN", f"log cut after {self.place.log_lines} lines; raise limits.log_lines to see more"
        text = self.place.host.secrets.mask(message)
        line = LogLine(self.run.execution_id, self.run.task_path, self.run.attempt, now(), level, text)
        self.place.journal.logs.append(line)
        _log.log(max(LEVELS[level], LEVELS["DEBUG"]), "task_log", message=text)
