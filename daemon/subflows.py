"""The tasks that start executions of another flow, and wait for their end if they are told to."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from tidewaiter.config.errors import TaskError
from tidewaiter.config.expression import Scope
from tidewaiter.config.inputs import typed_inputs
from tidewaiter.daemon.branch import Branch
from tidewaiter.daemon.flows import AnyFlow, parse_flow
from tidewaiter.daemon.journal.launches import Launch
from tidewaiter.daemon.journal.patience import until_recorded
from tidewaiter.daemon.progress import Progress
from tidewaiter.daemon.records import SUBFLOW, Execution, ExecutionState, TaskRun, TriggerKey, task_run_id
from tidewaiter.daemon.scope import flow_variables
from tidewaiter.daemon.situation import Situation, Workplace
from tidewaiter.daemon.together import combined
from tidewaiter.tasks.context import EndState, Result, TaskContext
from tidewaiter.tasks.split import Cut, split_stored
from tidewaiter.tasks.tree import ForEachItem, PerBatch, Subflow

DEEPEST = 25
"""How many executions may be in each other: a flow that starts itself would never end."""


@dataclass(frozen=True, slots=True)
class Child:
    """The flow that is started, as of *revision*."""

    flow: AnyFlow
    revision: int


async def run_subflow(situation: Situation, task: Subflow, run: TaskRun, branch: Branch) -> Result:
    """
    Start the execution, once, whatever comes in between, and give how it ended.

    Raises:
        TaskError: there is no such flow, or what it is given does not fit it.
    """
    only = tuple(name for name in type(task).model_fields if name != "outputs")
    spec = situation.concrete(task, situation.scope(task, run, branch), only=only)
    if spec.schedule_date is not None and not _is_moment(spec.schedule_date):
        raise TaskError(f"property 'scheduleDate' should be a moment, got '{spec.schedule_date}'")
    identifier = task_run_id(run.id, f"attempt {run.attempt}") if run.decision is None else run.decision["execution"]
    execution = await situation.place.journal.executions.get(identifier)
    if execution is None:
        child = await child_flow(situation.place, spec.namespace, spec.flow_id, spec.revision)
        await situation.place.journal.executions.decide(run, {"execution": identifier})
        execution = await start_child(situation, child, identifier, spec, run)
    if not spec.wait:
        return Result(outputs={"executionId": execution.id, "state": execution.state.value})
    situation.children[execution.id] = run.task_path
    ended = await until_ended(situation, execution.id)
    outputs = {"executionId": ended.id, "state": ended.state.value, "outputs": await _outputs(situation, task, ended)}
    return judged(ended, outputs, transmit=spec.transmit_failed)


async def run_for_each_item(
    situation: Situation, task: ForEachItem, run: TaskRun, branch: Branch, context: TaskContext
) -> Result:
    """
    Start an execution for each batch of a file, once, whatever comes in between, and give how they ended.

    Raises:
        TaskError: there is no such file or flow, or what it is given does not fit it.
    """
    scope = situation.scope(task, run, branch)
    only = tuple(name for name in type(task).model_fields if name not in {"inputs", "labels"})
    spec = situation.concrete(task, scope, only=only)
    decision = run.decision
    if decision is None:
        decision = {"batches": await split_stored(spec.items, _cut(spec), context), "attempt": run.attempt}
        await situation.place.journal.executions.decide(run, decision)
    started: list[Execution] = []
    for number, uri in enumerate(decision["batches"]):
        identifier = task_run_id(run.id, f"attempt {decision['attempt']} batch {number}")
        execution = await situation.place.journal.executions.get(identifier)
        if execution is None:
            child = await child_flow(situation.place, spec.namespace, spec.flow_id, spec.revision)
            per_batch = _per_batch(situation, task, scope, uri, number, inherit=spec.inherit_labels)
            execution = await start_child(situation, child, identifier, per_batch, replace(run, iteration=number))
        started.append(execution)
        if spec.wait:
            situation.children[execution.id] = run.task_path
    ended = [await until_ended(situation, execution.id) if spec.wait else execution for execution in started]
    return await _all_judged(ended, context, transmit=spec.wait and spec.transmit_failed)


def _cut(spec: ForEachItem) -> Cut:
    cut = spec.batch
    ways = (cut.size, cut.partitions, cut.rows, cut.regex_pattern)
    return cut if any(way is not None for way in ways) else cut.model_copy(update={"rows": 1})


def _per_batch(
    situation: Situation, task: ForEachItem, scope: Scope, uri: str, number: int, *, inherit: bool
) -> PerBatch:
    """Render what the execution of one batch is given."""
    taskrun = {**scope.variables["taskrun"], "items": uri, "iteration": number}
    given = PerBatch.model_validate({"inputs": task.inputs, "labels": task.labels, "inheritLabels": inherit})
    inner = replace(scope, variables={**scope.variables, "taskrun": taskrun})
    rendered: PerBatch = situation.concrete(given, inner)
    return rendered


async def _all_judged(executions: Sequence[Execution], context: TaskContext, *, transmit: bool) -> Result:
    if not executions:
        return Result()
    counts = Counter(execution.state.value for execution in executions)
    outputs: dict[str, Any] = {"numberOfBatches": len(executions), "iterations": dict(counts)}
    lines = [json.dumps(dict(execution.outputs)) for execution in executions if execution.outputs]
    if lines:
        file = context.scratch / "outputs.jsonl"
        await asyncio.to_thread(file.write_text, "".join(f"{line}\n" for line in lines))
        outputs["subflowOutputs"] = await context.files.store(file, file.name)
    results = [judged(execution, {}, transmit=transmit) for execution in executions]
    worst = combined((f"batch {number}", result) for number, result in enumerate(results))
    return replace(worst, outputs=outputs)


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


async def child_flow(place: Workplace, namespace: str, flow_id: str, revision: int | None) -> Child:
    """
    Give the flow of that name, as it is served now or as of *revision*.

    Raises:
        TaskError: there is none.
    """
    triggers = place.journal.triggers
    name = f"{namespace}.{flow_id}"
    found = await triggers.served(namespace, flow_id) if revision is None else revision
    source = await triggers.source(namespace, flow_id, found) if found is not None else None
    if found is None or source is None:
        which = name if revision is None else f"{name} (revision {revision})"
        raise TaskError(f"there is no flow {which}", "put its file into the folder of flows")
    flow = parse_flow(source, name, place.expressions)
    if flow.disabled:
        raise TaskError(f"flow {name} is disabled", "remove 'disabled: true' from it")
    return Child(flow, found)


async def start_child(situation: Situation, child: Child, identifier: str, spec: Any, run: TaskRun) -> Execution:
    """
    Create the execution with that id, unless it is there already.

    Raises:
        TaskError: too many executions are in each other.
        InputError: the inputs do not fit the flow.
    """
    await _check_depth(situation)
    place, parent = situation.place, situation.execution
    inputs = dict(spec.inputs or {})
    scope = place.host.scope(
        flow_variables(child.flow, child.revision, place.host), place.host.functions(child.flow.namespace)
    )
    typed_inputs(child.flow.inputs, inputs, lambda text: place.expressions.render(text, scope))
    variables = {
        "executionId": parent.id,
        "namespace": parent.namespace,
        "flowId": parent.flow_id,
        "flowRevision": parent.flow_revision,
        "taskRunId": run.id,
        **({} if run.value is None else {"taskRunValue": run.value}),
        **({} if run.iteration is None else {"taskRunIteration": run.iteration}),
    }
    inherited = situation.labels if spec.inherit_labels else {}
    order = Launch(
        TriggerKey(child.flow.namespace, child.flow.id, "subflow"),
        SUBFLOW,
        child.revision,
        inputs=inputs,
        labels={**inherited, **(spec.labels or {})},
        variables=variables,
        parent_id=parent.id,
    )
    created = await place.journal.executions.create(order, identifier)
    place.signals.launched()
    return created


async def _check_depth(situation: Situation) -> None:
    depth, parent = 1, situation.execution.parent_id
    while parent is not None and depth <= DEEPEST:
        execution = await situation.place.journal.executions.get(parent)
        depth, parent = depth + 1, execution.parent_id if execution else None
    if depth > DEEPEST:
        raise TaskError(f"more than {DEEPEST} executions are in each other", "does a flow start itself?")


async def until_ended(situation: Situation, identifier: str) -> Execution:
    """Wait for the end of an execution; who waits takes no place from it."""
    with situation.rest.wait(), situation.place.signals.listen(identifier) as listener:
        while True:
            execution = await situation.place.journal.executions.get(identifier)
            if execution is None:
                raise TaskError(f"execution {identifier} is not in the journal any more")
            if execution.state.ended:
                situation.children.pop(identifier, None)
                return execution
            await listener.news()


async def abandon_children(situation: Situation, path: str) -> None:
    """Have the executions killed that the task at *path*, or one in it, no longer waits for although they go on."""
    left = [child for child, task in situation.children.items() if f"{task}/".startswith((f"{path}/", f"{path}["))]
    for child in left:
        await until_recorded(partial(situation.place.journal.executions.request_kill, child))
        del situation.children[child]
    if left:
        situation.place.signals.launched()


async def _outputs(situation: Situation, task: Subflow, ended: Execution) -> dict[str, Any]:
    """Give the outputs of the ended flow; those that old flows ask for are rendered as that flow sees itself."""
    if not isinstance(task.outputs, Mapping) and task.outputs is None:
        return dict(ended.outputs)
    runs = await situation.place.journal.executions.task_runs(ended.id)
    scope = Scope({"outputs": Progress.of(runs).outputs, "inputs": dict(ended.inputs)}, {})
    return {**ended.outputs, **situation.concrete(task, scope, only=("outputs",)).outputs}


def judged(ended: Execution, outputs: Mapping[str, Any], *, transmit: bool) -> Result:
    """Give what the end of a child means for the task that started it."""
    states: Mapping[ExecutionState, EndState] = {
        ExecutionState.SUCCESS: "SUCCESS", ExecutionState.WARNING: "WARNING",
    }  # fmt: skip
    state = states.get(ended.state, "FAILED") if transmit else "SUCCESS"
    reason = f"execution {ended.id} of flow {ended.flow_path} ended in {ended.state.value}"
    detail = f": {ended.error}" if ended.error else ""
    return Result(state, outputs, None if state == "SUCCESS" else reason + detail)
