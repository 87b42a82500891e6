"""
One task of an execution, from its first attempt to its result.

Before an attempt begins, that is recorded; when it has ended, its result is. A task with a recorded result is never run
again, one without is run once more after a crash.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast

import structlog

from tidewaiter.config.errors import SyncError, TidewaiterError
from tidewaiter.config.expression.truth import truthy
from tidewaiter.config.fields import format_duration
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.retry import Retry
from tidewaiter.daemon.branch import Branch
from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.journal.patience import until_recorded
from tidewaiter.daemon.progress import Failures
from tidewaiter.daemon.records import TaskRun, TaskRunState, now, parse_timestamp
from tidewaiter.daemon.situation import Situation
from tidewaiter.daemon.tasklog import TaskLog
from tidewaiter.tasks.context import EndState, Result
from tidewaiter.tasks.process import kill_survivors
from tidewaiter.tasks.runnable import is_runnable, task_type
from tidewaiter.tasks.tree import Pause

_log = structlog.get_logger("tidewaiter.run")


@dataclass(frozen=True, slots=True)
class Terms:
    """What one attempt at a task that holds others writes its *log* to, and how long it may take."""

    log: TaskLog
    limit: timedelta | None


Walk = Callable[[TaskSpec, TaskRun, Branch, Terms], Awaitable[Result]]
"""Does a task that holds others."""


@dataclass(frozen=True, slots=True)
class TaskRuns:
    """Runs single tasks of one execution; *walk* does those that hold others."""

    situation: Situation
    walk: Walk

    async def carry_out(self, task: TaskSpec, branch: Branch) -> Result:
        """Run *task*, as often as it is to be tried, unless its result is recorded already."""
        path = f"{branch.path}{task.id}"
        progress = self.situation.progress
        run = progress.ended.get(path)
        if run is not None and isinstance(task, Pause):
            self.situation.place.host.secrets.conceal_inputs(task.on_resume, run.outputs.get("onResume") or {})
        while run is None:
            await self._pause_before(path, task, branch)
            attempt = await self._attempt(task, path, branch)
            run = attempt if attempt.state.ended else None
        self.situation.note(run, branch)
        retry = task.retry or branch.retry
        if run.state is TaskRunState.FAILED and retry is not None and retry.behavior == "CREATE_NEW_EXECUTION":
            self.situation.begin_again = retry
        state = "FAILED" if run.state is TaskRunState.KILLED else run.state.value
        return Result(cast("EndState", state), run.outputs, run.error)

    async def _pause_before(self, path: str, task: TaskSpec, branch: Branch) -> None:
        """Wait until the next attempt is due; a crash in between does not begin the waiting anew."""
        failures, retry = self.situation.progress.failures(path), task.retry or branch.retry
        if failures is not None and retry is not None:
            waited = datetime.now(UTC) - failures.last_ended
            await self.situation.rest.sleep(retry.delay(failures.number) - waited)

    async def _attempt(self, task: TaskSpec, path: str, branch: Branch) -> TaskRun:
        situation = self.situation
        run = self._begun(path, branch)
        if run.attempt > 1:
            await asyncio.to_thread(kill_survivors, run.id)
        journal = situation.place.journal
        await journal.executions.start_task(run)
        with structlog.contextvars.bound_contextvars(task=path, attempt=run.attempt):
            result = await self._guarded(task, run, branch)
        state, result = self._judged(task, run, branch, result)
        error = situation.mask(result.error)
        ending = partial(journal.executions.end_task, run, state, result.outputs, error)
        # Handed in together, log and result share one fsync. A result that is there is recorded, even if the disk is
        # full or the execution is interrupted at this very moment.
        await asyncio.shield(asyncio.gather(until_recorded(journal.logs.flush), until_recorded(ending)))
        if not is_runnable(task):
            # Not before its result is recorded: after a crash the outputs are taken from the directory once more.
            await asyncio.to_thread(remove, [situation.folder / run.id, situation.scratch(run)])
        ended = replace(run, state=state, ended_at=now(), outputs=result.outputs, error=error)
        situation.progress.add(ended)
        situation.labels.update(result.labels)
        return ended

    def _begun(self, path: str, branch: Branch) -> TaskRun:
        progress = self.situation.progress
        return TaskRun(
            self.situation.execution.id,
            path,
            progress.attempts(path) + 1,
            TaskRunState.RUNNING,
            now(),
            value=branch.value,
            iteration=branch.iteration,
            decision=progress.decision(path),
        )

    def _judged(self, task: TaskSpec, run: TaskRun, branch: Branch, result: Result) -> tuple[TaskRunState, Result]:
        """
        Decide what a result means: another attempt, else ``allowFailure`` (FAILED counts as WARNING) and then
        ``allowWarning`` (WARNING counts as SUCCESS), kestra.md §1.5.
        """
        failures, retry = self.situation.progress.failures(run.task_path), task.retry or branch.retry
        if result.state == "FAILED" and retry is not None and _another(task, run, retry, failures):
            return TaskRunState.RETRYING, result
        if failures is not None and retry is not None and retry.warning_on_retry and result.state == "SUCCESS":
            result = replace(result, state="WARNING", error=f"succeeded after {failures.number} failed attempts")
        if result.state == "FAILED" and task.allow_failure:
            result = replace(result, state="WARNING")
        if result.state == "WARNING" and task.allow_warning:
            result = replace(result, state="SUCCESS")
        return TaskRunState(result.state), result

    async def _guarded(self, task: TaskSpec, run: TaskRun, branch: Branch) -> Result:
        """Do the task; whatever goes wrong in it becomes a FAILED result with the reason in its log."""
        log = self.situation.log(run, task.log_level)
        try:
            result = await self._done(task, run, branch, log)
            json.dumps(result.outputs)  # What cannot be recorded is a failure of the task, while it can be one.
        except (DatabaseError, SyncError):
            raise  # of a task inside: the journal or the disk failed, not the task
        except TidewaiterError as error:
            log("ERROR", str(error))
            return Result("FAILED", error=error.message)
        except Exception as error:  # noqa: BLE001 - the boundary between the daemon and a task's code
            _log.exception("task_crashed")
            log("ERROR", f"unexpected {type(error).__name__}: {error}")
            return Result("FAILED", error=f"unexpected {type(error).__name__}: {error}")
        told = not is_runnable(task) and self.situation.progress.failed_inside(run.task_path)
        if result.error and result.state not in {"SUCCESS", "SKIPPED"} and not told:
            log("ERROR" if result.state == "FAILED" else "WARN", result.error)
        return result

    async def _done(self, task: TaskSpec, run: TaskRun, branch: Branch, log: TaskLog) -> Result:
        situation = self.situation
        if not (self._goes_on(run) or truthy(self._concrete(task, run, branch, "run_if").run_if)):
            return Result("SKIPPED")
        if is_runnable(task):
            with situation.rest.work():
                return await self._runnable(task, run, branch, log)
        limit = self._concrete(task, run, branch, "timeout").timeout
        return await self.walk(task, run, branch, Terms(log, limit))

    def _concrete(self, task: TaskSpec, run: TaskRun, branch: Branch, name: str) -> TaskSpec:
        rendered: TaskSpec = self.situation.concrete(task, self.situation.scope(task, run, branch), only=(name,))
        return rendered

    def _goes_on(self, run: TaskRun) -> bool:
        """Whether something had come of the task before an interruption: its ``runIf`` has said yes, then."""
        return run.decision is not None or self.situation.progress.begun_inside(run.task_path)

    async def _runnable(self, task: TaskSpec, run: TaskRun, branch: Branch, log: TaskLog) -> Result:
        situation = self.situation
        workdir = branch.directory or situation.folder / run.id
        scratch = situation.scratch(run)
        await make_folders(workdir, scratch)
        scope = situation.scope(task, run, branch, workdir)
        context = situation.context(run, log, workdir, scope)
        try:
            spec = situation.concrete(task, scope)
            return await within(spec.timeout, task_type(spec).run(spec, context))
        finally:
            gone = [scratch] if branch.directory else [scratch, workdir]
            await asyncio.to_thread(remove, gone)


def _another(task: TaskSpec, run: TaskRun, retry: Retry, failures: Failures | None) -> bool:
    """Whether a failed attempt is to be followed by another. Only what works is tried again, not what holds it."""
    if retry.behavior == "CREATE_NEW_EXECUTION" or (not is_runnable(task) and task.children()):
        return False
    number = (failures.number if failures else 0) + 1
    began = failures.first_began if failures else parse_timestamp(run.started_at)
    return retry.allows(number, datetime.now(UTC) - began, retry.delay(number))


async def make_folders(*folders: Path) -> None:
    """Make folders that only this user can look into."""
    for folder in folders:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True, mode=0o700)


def remove(folders: Sequence[Path]) -> None:
    """Remove what tasks left; a tree too deep for Python's own removal is one that a task made to be."""
    for folder in folders:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except RecursionError:
            subprocess.run(["/bin/rm", "-rf", "--", str(folder)], check=False)  # noqa: S603 - the path is ours


async def within(limit: timedelta | None, work: Awaitable[Result]) -> Result:
    """Give what *work* gives, or a failure when it takes longer than *limit*."""
    if limit is None:
        return await work
    try:
        async with asyncio.timeout(limit.total_seconds()):
            return await work
    except TimeoutError:
        return Result("FAILED", error=f"timed out after {format_duration(limit)}; everything it had started was ended")
