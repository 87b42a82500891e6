"""
Which execution next, and how many at once. Takes them from the journal, hands each to a `Run`, puts them back on a
clean stop.
"""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.config.flow import Concurrency
from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.flows import AnyFlow, parse_flow
from tidewaiter.daemon.journal.executions import Candidate
from tidewaiter.daemon.journal.patience import until_recorded
from tidewaiter.daemon.loop import Crashed, supervised
from tidewaiter.daemon.records import Execution, ExecutionState, TaskRunState, parse_timestamp
from tidewaiter.daemon.run import Run, bucket_trigger, route_after
from tidewaiter.daemon.situation import Workplace
from tidewaiter.tasks.process import kill_survivors
from tidewaiter.triggers.s3 import BucketTrigger

_log = structlog.get_logger("tidewaiter.executor")


@dataclass(frozen=True, slots=True)
class _Running:
    execution: Execution
    run: Run
    task: asyncio.Task[None]


@dataclass(slots=True)
class Executor:
    """
    Starts executions in order of arrival: no more than *limit* at once, those of objects one at a time per trigger
    unless it allows more, and within the flow's own concurrency limit. One that only waits does not count to *limit*.

    *on_end* is told of each execution that ended, *crashed* of an error nobody foresaw; *wake* asks for another `step`.
    *failed* counts the executions that have ended in FAILED here.
    """

    place: Workplace
    limit: int
    wake: Callable[[], None]
    on_end: Callable[[Execution], None]
    crashed: Crashed
    failed: int = 0
    _running: dict[str, _Running] = field(default_factory=dict)
    _flows: dict[tuple[str, str, int], AnyFlow] = field(default_factory=dict)
    _draining: bool = False

    async def recover(self) -> int:
        """
        Put executions that a crash left RUNNING back in the queue, ending programs of theirs that outlived it. Gives
        how many. One that was running in crash after crash may be their cause: it has FAILED.
        """
        executions = self.place.journal.executions
        left = await executions.running()
        for execution in left:
            for run in await executions.task_runs(execution.id):
                if not run.state.ended:
                    await asyncio.to_thread(kill_survivors, run.id)
            # One that paused did nothing that could have caused the crash.
            await executions.requeue(execution.id, counted=execution.state is not ExecutionState.PAUSED)
            trigger = await self._trigger_of(execution)
            failures = trigger.max_attempts - 1 if trigger else 0
            if (
                execution.state is not ExecutionState.PAUSED
                and execution.attempts >= self.place.retry.crashes + failures
            ):
                error = f"the daemon crashed during attempt {execution.attempts}"
                await self._end(execution, ExecutionState.FAILED, error)
        return len(left)

    async def sweep(self) -> None:
        """Remove working directories that a crash left of executions that had ended."""
        folders = await asyncio.to_thread(lambda: list(self.place.work.iterdir()) if self.place.work.is_dir() else [])
        for folder in folders:
            execution = await self.place.journal.executions.get(folder.name)
            if execution is None or (execution.state.ended and not execution.after_pending):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def step(self) -> timedelta | None:
        """Start what may start now, and end what somebody asked to kill."""
        await self._kill_requested()
        if self._draining or self._full:
            return None
        for execution in await self.place.journal.executions.to_finish():
            if execution.id not in self._running:
                await self._finish(execution)
        for candidate in await self.place.journal.executions.runnable(self.limit):
            if self._draining or self._full:
                break
            await self._consider(candidate)
        return await self._wait()

    @property
    def _full(self) -> bool:
        return sum(not running.run.rest.resting for running in self._running.values()) >= self.limit

    async def _wait(self) -> timedelta | None:
        """How long until one of the executions that wait to be tried again is due."""
        moment = await self.place.journal.executions.next_try()
        return max(parse_timestamp(moment) - datetime.now(UTC), timedelta(0)) if moment else None

    @property
    def running(self) -> int:
        """How many executions run at the moment, but for those that only an operator can make go on."""
        return sum(running.run.unattended for running in self._running.values())

    async def drain(self, grace: timedelta) -> None:
        """
        Start nothing more, wait up to *grace* for what runs, then interrupt the rest: it is queued again, uncounted
        (style.md §4.14).
        """
        self._draining = True
        tasks = {running.task for running in self._running.values()}
        if not tasks:
            return
        for running in self._running.values():
            if running.run.rest.resting:
                running.task.cancel()
        _, late = await asyncio.wait(tasks, timeout=grace.total_seconds())
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def flow_of(self, execution: Execution) -> AnyFlow:
        """
        Give the flow as of the revision *execution* was created with.

        Raises:
            TidewaiterError: the journal does not have it, or this version no longer accepts it.
        """
        key = (execution.namespace, execution.flow_id, execution.flow_revision)
        if key not in self._flows:
            source = await self.place.journal.triggers.source(*key)
            name = f"{execution.flow_path} (revision {execution.flow_revision})"
            if source is None:
                raise TidewaiterError(f"flow {name} is not in the journal")
            if len(self._flows) > 256:
                self._flows.clear()
            self._flows[key] = parse_flow(source, name, self.place.expressions)
        return self._flows[key]

    async def _consider(self, candidate: Candidate) -> None:
        execution = candidate.execution
        try:
            flow = await self.flow_of(execution)
        except DatabaseError:
            raise
        except TidewaiterError as error:
            await self._end(execution, ExecutionState.FAILED, error.message)
            self.failed += 1
            self.on_end(execution)
            return
        if flow.concurrency and self._running_of(execution.flow_path) >= flow.concurrency.limit:
            await self._turn_away(execution, flow.concurrency)
            return
        if self._must_wait(candidate, flow) or not await self.place.journal.executions.start(execution):
            return
        started = await self.place.journal.executions.get(execution.id) or execution
        if self._draining:
            await self.place.journal.executions.requeue(execution.id, counted=False)
            return
        await self._begin(started, flow)

    async def _begin(self, execution: Execution, flow: AnyFlow) -> None:
        objects = await self.place.journal.detections.batch(execution.batch_id)
        run = Run(execution, flow, objects, self.place)
        task = supervised(self._carry_out(execution, run), f"execution {execution.id}", self.crashed)
        self._running[execution.id] = _Running(execution, run, task)

    async def _finish(self, execution: Execution) -> None:
        """Take up an execution that a crash left between its end and the tasks that come after it."""
        try:
            flow = await self.flow_of(execution)
        except DatabaseError:
            raise
        except TidewaiterError as error:
            _log.error("last_tasks_left_out", execution=execution.id, error=error.message)
            await self.place.journal.executions.finish(execution.id)
            return
        left = [run for run in await self.place.journal.executions.task_runs(execution.id) if not run.state.ended]
        for run in left:
            await asyncio.to_thread(kill_survivors, run.id)
        if any(run.state is TaskRunState.RUNNING and run.attempt >= self.place.retry.crashes for run in left):
            _log.error("last_tasks_given_up", execution=execution.id, error="the daemon crashed in them")
            await self.place.journal.executions.finish(execution.id)
            return
        await self.place.journal.executions.interrupt(execution.id)
        await self._begin(execution, flow)

    def _running_of(self, flow_path: str) -> int:
        return sum(running.execution.flow_path == flow_path for running in self._running.values())

    async def _turn_away(self, execution: Execution, concurrency: Concurrency) -> None:
        """Do with an execution that is one too many what its flow says; in the queue it simply stays where it is."""
        states = {"CANCEL": ExecutionState.CANCELLED, "FAIL": ExecutionState.FAILED}
        if concurrency.behavior in states and not execution.attempts:
            reason = f"{concurrency.limit} executions of the flow were running already (concurrency)"
            await self._end(execution, states[concurrency.behavior], reason)
            self.failed += concurrency.behavior == "FAIL"
            self.on_end(execution)

    def _must_wait(self, candidate: Candidate, flow: AnyFlow) -> bool:
        """Whether what came before is still in work: executions of one trigger wait for each other (kestra.md Q4)."""
        execution = candidate.execution
        trigger = next((trigger for trigger in flow.triggers if trigger.id == execution.trigger_id), None)
        if trigger.allow_concurrent if trigger else execution.variables is not None:
            return False
        return candidate.behind or any(r.execution.trigger == execution.trigger for r in self._running.values())

    async def _carry_out(self, execution: Execution, run: Run) -> None:
        with structlog.contextvars.bound_contextvars(execution=execution.id, flow=execution.flow_path):
            _log.info("execution_started", attempt=execution.attempts)
            try:
                state = await run.carry_out()
                self.failed += state is ExecutionState.FAILED
                _log.info("execution_ended" if state.ended else "execution_failed_for_now", state=state.value)
            except asyncio.CancelledError:
                await until_recorded(lambda: self._interrupted(execution))
            except TidewaiterError as error:
                # The journal or the disk failed, not the flow: the execution goes back to where it was.
                _log.error("execution_interrupted", error=error.message, hint=error.hint)
                await until_recorded(lambda: self._put_back(execution))
            finally:
                self._running.pop(execution.id, None)
        self.on_end(execution)
        self.wake()

    async def _put_back(self, execution: Execution) -> None:
        await self.place.journal.executions.requeue(execution.id, counted=False)

    async def _interrupted(self, execution: Execution) -> None:
        current = await self.place.journal.executions.get(execution.id)
        if current is not None and current.kill_requested and not current.state.ended:
            await self.place.journal.executions.request_kill_of_children(execution.id)
            await self._end(execution, ExecutionState.KILLED, "killed by an operator")
        else:
            await self.place.journal.executions.requeue(execution.id, counted=False)
            _log.info("execution_requeued")

    async def _kill_requested(self) -> None:
        for execution in await self.place.journal.executions.to_kill():
            running = self._running.get(execution.id)
            if running is not None and not running.task.cancelling():
                running.task.cancel()
            elif running is None:
                await self.place.journal.executions.request_kill_of_children(execution.id)
                await self._end(execution, ExecutionState.KILLED, "killed by an operator before it started")
                self.on_end(execution)

    async def _end(self, execution: Execution, state: ExecutionState, error: str) -> None:
        route = route_after(state, await self._trigger_of(execution))
        await self.place.journal.logs.flush()
        await self.place.journal.executions.end(execution.id, state, error=error, route=route)
        self.place.signals.tell(execution.id)
        await asyncio.to_thread(shutil.rmtree, self.place.work / execution.id, ignore_errors=True)

    async def _trigger_of(self, execution: Execution) -> BucketTrigger | None:
        """Give the trigger of *execution*; None for a run by hand, or where its flow can no longer be read."""
        try:
            flow = await self.flow_of(execution)
        except DatabaseError:
            raise
        except TidewaiterError:
            return None
        return bucket_trigger(flow, execution)
