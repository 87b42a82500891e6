"""
One execution, from wherever the journal says it stands to its end: inputs and labels, tasks, then what is to follow
them (kestra.md §1.4).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tidewaiter.config.errors import ExpressionError, TidewaiterError
from tidewaiter.config.expression import Scope
from tidewaiter.config.flow import Output
from tidewaiter.config.inputs import as_given, typed_inputs
from tidewaiter.daemon.branch import Branch
from tidewaiter.daemon.control_flow import ControlFlow
from tidewaiter.daemon.flows import AnyFlow
from tidewaiter.daemon.journal.patience import until_recorded
from tidewaiter.daemon.progress import Progress
from tidewaiter.daemon.records import Detection, Execution, ExecutionState, RoutePurpose, parse_timestamp, timestamp
from tidewaiter.daemon.rest import Rest
from tidewaiter.daemon.scope import execution_variables, nested
from tidewaiter.daemon.situation import Situation, Workplace
from tidewaiter.daemon.taskruns import remove
from tidewaiter.daemon.together import STOPPED
from tidewaiter.tasks.context import Result
from tidewaiter.triggers.s3 import BucketTrigger


def route_after(state: ExecutionState, trigger: BucketTrigger | None) -> RoutePurpose | None:
    """Say why objects are to go elsewhere after an execution of *trigger* ended in *state*; None if they stay."""
    if state in {ExecutionState.SUCCESS, ExecutionState.WARNING} and trigger and trigger.on_success:
        return RoutePurpose.SUCCESS
    if state is ExecutionState.FAILED and trigger and trigger.on_failure:
        return RoutePurpose.FAILURE
    return None


def bucket_trigger(flow: AnyFlow, execution: Execution) -> BucketTrigger | None:
    """Give the trigger whose objects started *execution*; None where something else did."""
    found = next((trigger for trigger in flow.triggers if trigger.id == execution.trigger_id), None)
    return found if isinstance(found, BucketTrigger) else None


@dataclass(slots=True)
class Run:
    """One execution being carried out. Call `carry_out` once."""

    execution: Execution
    flow: AnyFlow
    objects: Sequence[Detection]
    place: Workplace
    rest: Rest = field(init=False)
    _pauses: dict[str, str | None] = field(default_factory=dict)
    _noted: tuple[dict[str, Any], dict[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.rest = Rest(self.place.signals.launched)
        self._noted = (dict(self.execution.inputs), dict(self.execution.labels))

    @property
    def unattended(self) -> bool:
        """Whether it goes on by itself, without anybody having to resume it."""
        return not self.rest.resting or not self._pauses or any(self._pauses.values())

    async def carry_out(self) -> ExecutionState:
        """
        Run what is left of the execution and record its end. Cancelling it ends what runs at the moment and records
        nothing more.
        """
        situation = await self._situation()
        walk = ControlFlow(situation)
        if self.execution.after_pending:
            await self._take_up(situation)
            return await self._finish(situation, walk)
        result = await self._begin(situation) or await walk.sequence(self.flow.tasks, self._trunk)
        delay = self._begin_again_after(situation, result)
        if delay is not None:
            return await self._begin_again(result, delay, everything=situation.begin_again is not None)
        return await self._end(situation, walk, result)

    @property
    def _trunk(self) -> Branch:
        """Where the tasks of the flow itself are."""
        retry = self.flow.retry
        return Branch(retry=retry if retry and retry.behavior == "RETRY_FAILED_TASK" else None)

    async def _situation(self) -> Situation:
        runs = await self.place.journal.executions.task_runs(self.execution.id)
        return Situation(
            execution=self.execution,
            flow=self.flow,
            trigger=bucket_trigger(self.flow, self.execution),
            place=self.place,
            progress=Progress.of(runs),
            variables=execution_variables(self.flow, self.execution, self.objects, self.place.host),
            rest=self.rest,
            pauses=self._pauses,
            inputs=dict(self.execution.inputs),
            labels=dict(self.execution.labels),
        )

    async def _begin(self, situation: Situation) -> Result | None:
        """Complete inputs and labels, and record them; gives a result only when that fails."""
        scope = self.place.host.scope(situation.variables, self.place.host.functions(self.flow.namespace))
        try:
            inputs = self._inputs(scope)
            situation.inputs = as_given(self.flow.inputs, inputs)
            situation.variables["inputs"] = nested(inputs)
            situation.labels = {**self._labels(situation, scope), **situation.labels}
        except TidewaiterError as error:
            situation.log(situation.own_run)("ERROR", str(error))
            return Result("FAILED", error=situation.mask(error.message))
        situation.variables["labels"] = nested(situation.labels)
        await self._note(situation)
        return None

    async def _take_up(self, situation: Situation) -> None:
        """Let the last tasks see, after a crash, what those before them saw."""
        scope = self.place.host.scope(situation.variables, self.place.host.functions(self.flow.namespace))
        situation.variables["inputs"] = nested(self._inputs(scope))
        situation.variables["labels"] = nested(situation.labels)
        if self.execution.state is ExecutionState.FAILED:
            await self._gather_error_logs(situation)

    async def _note(self, situation: Situation) -> None:
        if (situation.inputs, situation.labels) != self._noted:
            await self.place.journal.executions.note(self.execution.id, situation.inputs, situation.labels)
            self._noted = (dict(situation.inputs), dict(situation.labels))

    def _inputs(self, scope: Scope) -> dict[str, Any]:
        """Type what was given and add the defaults; objects bring no inputs, so nothing can be required of them."""
        arrived = self.execution.variables is None and bool(self.execution.trigger_type)
        inputs = typed_inputs(
            self.flow.inputs,
            self.execution.inputs,
            lambda text: self.place.expressions.render(text, scope),
            lenient=arrived,
        )
        self.place.host.secrets.conceal_inputs(self.flow.inputs, inputs)
        return inputs

    def _labels(self, situation: Situation, scope: Scope) -> dict[str, str]:
        """Render the labels, the trigger's over the flow's (kestra.md §1.3)."""
        labels = {**self.flow.labels, **(situation.trigger.labels if situation.trigger else {})}
        try:
            return {name: self.place.expressions.render(text, scope) for name, text in labels.items()}
        except TidewaiterError as error:
            raise type(error)(f"labels: {error.message}", error.hint) from error

    def _begin_again_after(self, situation: Situation, result: Result) -> timedelta | None:
        """Say after which time the execution is to be tried again as a whole; None if it is not."""
        if result.state != "FAILED":
            return None
        retry = situation.begin_again or self.flow.retry
        if retry is not None and retry.behavior == "CREATE_NEW_EXECUTION":
            situation.begin_again = retry
            delay = retry.delay(self.execution.attempts)
            elapsed = datetime.now(UTC) - parse_timestamp(self.execution.started_at or self.execution.created_at)
            return delay if retry.allows(self.execution.attempts, elapsed, delay) else None
        trigger = bucket_trigger(self.flow, self.execution)
        attempts = trigger.max_attempts if trigger else 1
        return self.place.retry.delay(self.execution.attempts - 1) if self.execution.attempts < attempts else None

    async def _begin_again(self, result: Result, delay: timedelta, *, everything: bool) -> ExecutionState:
        """Put the failed execution back, to be tried again after a while; others of its trigger go first meanwhile."""
        due = timestamp(datetime.now(UTC) + delay)
        executions = self.place.journal.executions
        error = result.error or ""
        retry = partial(executions.retry, self.execution.id, next_try=due, error=error, everything=everything)
        # Before that is recorded: the next attempt must not take what this one left for its own after a crash.
        await asyncio.to_thread(remove, [self.place.work / self.execution.id])
        await until_recorded(self.place.journal.logs.flush)
        await until_recorded(retry)
        return ExecutionState.CREATED

    async def _end(self, situation: Situation, walk: ControlFlow, result: Result) -> ExecutionState:
        if result.state == "FAILED":
            await self._gather_error_logs(situation)
        if result.state == "FAILED" and self.flow.errors:
            situation.variables["execution"]["state"] = result.state
            await walk.sequence(self.flow.errors, Branch())
        if self.flow.finally_:
            last = await walk.sequence(self.flow.finally_, Branch())
            result = last if last.state in STOPPED and result.state not in STOPPED else result
        result = self._with_outputs(situation, result)
        state = ExecutionState(result.state)
        route = route_after(state, bucket_trigger(self.flow, self.execution))
        end = partial(self.place.journal.executions.end, after=bool(self.flow.after_execution))
        await until_recorded(partial(self._note, situation))
        await until_recorded(self.place.journal.logs.flush)
        await until_recorded(partial(end, self.execution.id, state, result.outputs, result.error, route))
        self.place.signals.tell(self.execution.id)
        if self.flow.after_execution:
            situation.variables["execution"]["state"] = state.value
            return await self._finish(situation, walk)
        await asyncio.to_thread(remove, [situation.folder])
        return state

    async def _finish(self, situation: Situation, walk: ControlFlow) -> ExecutionState:
        """Run the tasks that come after the end. They change nothing about how it ended."""
        state = ExecutionState(situation.variables["execution"]["state"])
        await walk.sequence(self.flow.after_execution, Branch())
        await until_recorded(self.place.journal.logs.flush)
        await until_recorded(partial(self.place.journal.executions.finish, self.execution.id))
        await asyncio.to_thread(remove, [situation.folder])
        return state

    async def _gather_error_logs(self, situation: Situation) -> None:
        await until_recorded(self.place.journal.logs.flush)
        situation.error_logs = await self.place.journal.logs.errors(self.execution.id)

    def _with_outputs(self, situation: Situation, result: Result) -> Result:
        """Render the flow's outputs; a flow whose outputs cannot be rendered has failed."""
        if result.state in STOPPED or not self.flow.outputs:
            return result
        scope = situation.scope(None, situation.own_run, Branch())
        try:
            rendered = {item.id: _output(situation, item, scope) for item in self.flow.outputs}
            values = {name: value for name, value in rendered.items() if value is not None}
        except TidewaiterError as error:
            situation.log(situation.own_run)("ERROR", f"flow outputs: {error}")
            return Result("FAILED", error=situation.mask(f"flow outputs: {error.message}"))
        return Result(result.state, values, result.error)


def _output(situation: Situation, item: Output, scope: Scope) -> Any:
    """Give the value of one output of the flow; of one that is not required None where it cannot be had."""
    try:
        return situation.concrete(item, scope).value
    except ExpressionError:
        if item.required:
            raise
        return None
