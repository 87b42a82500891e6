"""A task that waits: for a time, or for somebody who resumes the execution."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.config.inputs import typed_inputs
from tidewaiter.daemon.branch import Branch
from tidewaiter.daemon.journal.patience import until_recorded
from tidewaiter.daemon.records import TaskRun, parse_timestamp, timestamp
from tidewaiter.daemon.situation import Situation
from tidewaiter.daemon.tasklog import TaskLog
from tidewaiter.tasks.context import EndState, Result
from tidewaiter.tasks.tree import Pause

_AFTER: Mapping[str, EndState] = MappingProxyType(
    {"RESUME": "SUCCESS", "WARN": "WARNING", "CANCEL": "CANCELLED", "FAIL": "FAILED"}
)


async def pause(situation: Situation, task: Pause, run: TaskRun, branch: Branch, log: TaskLog) -> Result:
    """
    Wait until the pause is over. When it began is recorded, so that a restart does not prolong it; so is that somebody
    resumed it, which goes on at once if the daemon stopped in between.
    """
    scope = situation.scope(task, run, branch)
    spec = situation.concrete(task, scope, only=("pause_duration", "behavior"))
    executions = situation.place.journal.executions
    decision = run.decision
    if decision is None:
        due = timestamp(datetime.now(UTC) + spec.pause_duration) if spec.pause_duration else None
        decision = {"paused": True, "due": due}
        await executions.decide(run, decision)
    log("INFO", f"paused until {decision['due']}" if decision["due"] else f"paused; to go on: {_how(run)}")
    situation.pauses[run.task_path] = decision["due"]
    try:
        with situation.rest.wait():
            return await _resumed(situation, spec, run, decision, branch)
    finally:
        situation.pauses.pop(run.task_path, None)
        await until_recorded(partial(show_pauses, situation))


def _how(run: TaskRun) -> str:
    return f"tidewaiter executions resume {run.execution_id}"


async def show_pauses(situation: Situation) -> None:
    """Let the execution be PAUSED while something in it is, and RUNNING again after."""
    executions, moments = situation.place.journal.executions, list(situation.pauses.values())
    if moments:
        due = [moment for moment in moments if moment is not None]
        await executions.pause(situation.execution.id, min(due) if due else None)
    else:
        await executions.unpause(situation.execution.id)


async def _resumed(
    situation: Situation, spec: Pause, run: TaskRun, decision: Mapping[str, Any], branch: Branch
) -> Result:
    due = parse_timestamp(decision["due"]) if decision["due"] else None
    with situation.place.signals.listen(situation.execution.id) as listener:
        await show_pauses(situation)
        while True:
            resumed = await situation.place.journal.executions.resumed(run)
            result = _result(situation, spec, run, resumed, branch) if resumed else None
            left = due - datetime.now(UTC) if due else None
            if result is None and left is not None and left <= timedelta(0):
                result = _overdue(spec, decision["due"])
            if result is not None:
                return result
            await listener.news(left)


def _overdue(spec: Pause, due: str) -> Result:
    state = _AFTER[spec.behavior]
    return Result(state, {"resumed": {"on": due}}, None if state == "SUCCESS" else "nobody resumed it in time")


def _result(
    situation: Situation, spec: Pause, run: TaskRun, resumed: Mapping[str, Any], branch: Branch
) -> Result | None:
    """Give the result of a pause that was *resumed*; None, and it goes on waiting, if what was given does not fit."""
    scope = situation.scope(spec, run, branch)
    try:
        given = typed_inputs(
            spec.on_resume, resumed["inputs"], lambda text: situation.place.expressions.render(text, scope)
        )
    except TidewaiterError as error:
        situation.log(run)("WARN", f"not resumed: {error}")
        return None
    situation.place.host.secrets.conceal_inputs(spec.on_resume, given)
    return Result(outputs={"resumed": {"on": resumed["on"]}, "onResume": given})
