"""Executions and their task runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidewaiter.daemon.database import Database, Row, Transaction
from tidewaiter.daemon.journal.launches import Launch, launch
from tidewaiter.daemon.journal.routes import begin_routes
from tidewaiter.daemon.records import (
    Execution,
    ExecutionState,
    RoutePurpose,
    TaskRun,
    TaskRunState,
    TriggerKey,
    execution_id,
    now,
    storable,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    An execution that may start. *behind*: an earlier batch of its trigger is on its way and would come first in key
    order.
    """

    execution: Execution
    behind: bool


class Executions:
    """Every read and write of executions and task runs; see the states in `tidewaiter.daemon.records`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def runnable(self, each: int = 1000) -> list[Candidate]:
        """
        Executions that wait to be started and are not held by an action, in order of arrival; of each trigger at most
        the first *each*.
        """
        rows = await self._database.read(lambda tx: tx.all("runnable_executions", now=now(), each=each))
        return [Candidate(_execution(row), bool(row["behind"])) for row in rows]

    async def start(self, execution: Execution) -> bool:
        """CREATED → RUNNING, one attempt more."""
        return bool(await self._database.write(lambda tx: tx.run("start_execution", id=execution.id, now=now())))

    async def requeue(self, execution_id: str, *, counted: bool) -> bool:
        """
        RUNNING → CREATED for an execution whose process is gone; its running tasks become INTERRUPTED and finished
        ones stay so.

        *counted*: a crash counts as an attempt, a clean stop does not.
        """

        def work(tx: Transaction) -> bool:
            tx.run("interrupt_task_runs", execution_id=execution_id, now=now())
            return bool(tx.run("requeue_execution", id=execution_id, uncounted=int(not counted)))

        return await self._database.write(work)

    async def interrupt(self, execution_id: str) -> None:
        """Let the task runs that a crash left RUNNING be INTERRUPTED."""
        await self._database.write(lambda tx: tx.run("interrupt_task_runs", execution_id=execution_id, now=now()))

    async def running(self) -> list[Execution]:
        """Executions in state RUNNING."""
        return [_execution(row) for row in await self._database.read(lambda tx: tx.all("running_executions"))]

    async def next_try(self) -> str | None:
        """The moment at which the next of the executions that wait to be tried again may start."""
        row = await self._database.read(lambda tx: tx.one("next_execution", now=now()))
        return row["moment"] if row else None

    async def unfinished(self) -> bool:
        """Whether an execution runs, or will without anything else having to happen."""
        row = await self._database.read(lambda tx: tx.one("unfinished_executions"))
        return bool(row and row["number"])

    async def to_kill(self) -> list[Execution]:
        """Executions that an operator wants killed and that have not ended."""
        return [_execution(row) for row in await self._database.read(lambda tx: tx.all("executions_to_kill"))]

    async def end(
        self,
        execution_id: str,
        state: ExecutionState,
        outputs: Mapping[str, Any] | None = None,
        error: str | None = None,
        route: RoutePurpose | None = None,
        *,
        after: bool = False,
    ) -> bool:
        """
        → an end state; task runs without a result of their own count as killed. Where its objects go from here
        (*route*), and whether tasks follow (*after*), is recorded in the same transaction, so that it cannot be
        forgotten; so is the end of its trigger, if that is to stop after such an end (`Triggers.order_stops`).
        """
        text = json.dumps(outputs or {})
        reason = storable(error) if error else None

        def work(tx: Transaction) -> bool:
            tx.run("kill_task_runs", execution_id=execution_id, now=now())
            values = {"outputs": text, "error": reason, "after_pending": int(after)}
            won = tx.run("end_execution", id=execution_id, state=state, now=now(), **values)
            if won:
                tx.run("stop_trigger", id=execution_id, state=state)
            if won and route:
                begin_routes(tx, execution_id, route)
            return bool(won)

        return await self._database.write(work)

    async def retry(self, execution_id: str, *, next_try: str, error: str, everything: bool = False) -> bool:
        """
        RUNNING → CREATED for an execution that failed, to be tried again at *next_try*. What failed, with everything
        inside it, runs again; other results stand, unless *everything* is to run again.
        """

        def work(tx: Transaction) -> bool:
            won = tx.run("retry_execution", id=execution_id, next_try=next_try, error=storable(error))
            runs = [_task_run(row) for row in tx.all("task_runs", execution_id=execution_id)]
            for run in runs if everything else _to_repeat(runs):
                tx.run("retry_task_run", execution_id=execution_id, task_path=run.task_path, attempt=run.attempt)
            return bool(won)

        return await self._database.write(work)

    async def request_kill(self, execution_id: str) -> bool:
        """Ask for an execution to be killed; False if it has ended or does not exist."""
        return bool(await self._database.write(lambda tx: tx.run("request_kill", id=execution_id)))

    async def replay(self, original: Execution, identifier: str) -> Execution:
        """Create a new execution over the same objects as *original*; the objects in the bucket are not touched."""
        order = Launch(
            TriggerKey.parse(original.trigger),
            original.trigger_type,
            original.flow_revision,
            original.batch_id,
            inputs=original.inputs,
            labels=original.labels,
            variables=original.variables,
            original_id=original.original_id or original.id,
        )
        return await self.create(order, identifier)

    async def create(self, order: Launch, identifier: str | None = None) -> Execution:
        """
        Create an execution that no object starts. With an *identifier* it is created once, however often it is asked
        for.
        """
        name = identifier or execution_id(order.batch_id)

        def work(tx: Transaction) -> Execution:
            launch(tx, name, order)
            return _found(tx, name)

        return await self._database.write(work)

    async def by_hand(
        self, trigger: TriggerKey, flow_revision: int, inputs: Mapping[str, Any] | None = None
    ) -> Execution:
        """Create an execution without objects, as a user who runs a flow by hand does."""
        return await self.create(Launch(trigger, "", flow_revision, inputs=inputs or {}))

    async def note(self, execution_id: str, inputs: Mapping[str, Any], labels: Mapping[str, str]) -> None:
        """Record the complete inputs and the labels of a live execution."""
        values = {"inputs": json.dumps(dict(inputs)), "labels": json.dumps(dict(labels))}
        await self._database.write(lambda tx: tx.run("note_execution", id=execution_id, **values))

    async def pause(self, execution_id: str, resume_at: str | None) -> bool:
        """RUNNING → PAUSED, until that moment or, with None, until an operator resumes it."""
        return bool(
            await self._database.write(lambda tx: tx.run("pause_execution", id=execution_id, resume_at=resume_at))
        )

    async def unpause(self, execution_id: str) -> bool:
        """PAUSED → RUNNING."""
        return bool(await self._database.write(lambda tx: tx.run("unpause_execution", id=execution_id)))

    async def resume(self, execution_id: str, inputs: Mapping[str, Any]) -> int:
        """Let the tasks go on that pause in a PAUSED execution, with *inputs*; gives how many there were."""

        def work(tx: Transaction) -> int:
            row = tx.one("execution", id=execution_id)
            if row is None or row["state"] != ExecutionState.PAUSED:
                return 0
            runs = [_task_run(found) for found in tx.all("task_runs", execution_id=execution_id)]
            paused = [run for run in runs if run.state is TaskRunState.RUNNING and (run.decision or {}).get("paused")]
            for run in paused:
                text = json.dumps({**(run.decision or {}), "resumed": {"on": now(), "inputs": dict(inputs)}})
                place = {"execution_id": execution_id, "task_path": run.task_path, "attempt": run.attempt}
                tx.run("decide_task_run", **place, decision=text)
            return len(paused)

        return await self._database.write(work)

    async def resumed(self, run: TaskRun) -> Mapping[str, Any] | None:
        """Give when, and with what inputs, somebody let a pausing task go on; None if nobody has."""
        runs = await self.task_runs(run.execution_id)
        found = next((r for r in runs if (r.task_path, r.attempt) == (run.task_path, run.attempt)), None)
        return (found.decision or {}).get("resumed") if found else None

    async def request_kill_of_children(self, execution_id: str) -> int:
        """Ask for the live executions that a task of this one started to be killed."""
        return await self._database.write(lambda tx: tx.run("request_kill_of_children", parent_id=execution_id))

    async def to_finish(self) -> list[Execution]:
        """Executions that have ended but for the tasks that come after the end."""
        return [_execution(row) for row in await self._database.read(lambda tx: tx.all("executions_to_finish"))]

    async def finish(self, execution_id: str) -> None:
        """Note that the tasks after the end have been run; those that have no result count as killed."""

        def work(tx: Transaction) -> None:
            tx.run("kill_task_runs", execution_id=execution_id, now=now())
            tx.run("finish_execution", id=execution_id)

        await self._database.write(work)

    async def expired(self, states: Sequence[ExecutionState], before: str, limit: int) -> list[Execution]:
        """
        Executions in one of *states* that ended before that moment, oldest first. Not those whose objects still wait
        for their action or are used by a later replay.
        """
        names = json.dumps([state.value for state in states])
        rows = await self._database.read(
            lambda tx: tx.all("expired_executions", before=before, states=names, limit=limit)
        )
        return [_execution(row) for row in rows]

    async def forget(self, execution: Execution) -> bool:
        """
        Delete an execution with its task runs, its log and its detections; False while a replay of it exists, which
        reads the same bytes. Idempotent.
        """

        def work(tx: Transaction) -> bool:
            if not tx.run("delete_execution", id=execution.id):
                return False
            for name in ("delete_logs", "delete_task_runs"):
                tx.run(name, id=execution.id)
            tx.run("delete_routes", batch_id=execution.batch_id)
            tx.run("delete_detections", batch_id=execution.batch_id)
            return True

        return await self._database.write(work)

    async def get(self, execution_id: str) -> Execution | None:
        """The execution with that id, or None."""
        row = await self._database.read(lambda tx: tx.one("execution", id=execution_id))
        return _execution(row) if row else None

    async def find(self, prefix: str) -> list[Execution]:
        """Executions whose id begins with *prefix*: none, the one meant, or two to show that more is needed."""
        rows = await self._database.read(lambda tx: tx.all("execution_by_prefix", first=prefix, last=f"{prefix}~"))
        return [_execution(row) for row in rows]

    async def newest(self, *, state: str | None = None, flow: str | None = None, limit: int = 100) -> list[Execution]:
        """Executions, newest first; *flow* is a flow's id or full name."""
        rows = await self._database.read(lambda tx: tx.all("list_executions", state=state, flow=flow, limit=limit))
        return [_execution(row) for row in rows]

    async def counts(self) -> dict[str, int]:
        """How many executions are in each state."""
        rows = await self._database.read(lambda tx: tx.all("count_executions"))
        return {row["state"]: row["number"] for row in rows}

    async def start_task(self, run: TaskRun) -> None:
        """Record, before anything of it happens, that an attempt at a task begins."""
        await self._database.write(
            lambda tx: tx.run(
                "insert_task_run",
                execution_id=run.execution_id,
                task_path=run.task_path,
                attempt=run.attempt,
                now=run.started_at,
                value=run.value and storable(run.value),
                iteration=run.iteration,
                decision=None if run.decision is None else json.dumps(dict(run.decision)),
            )
        )

    async def decide(self, run: TaskRun, decision: Mapping[str, Any]) -> bool:
        """Record what a running task has decided, before anything follows from it."""
        place = {"execution_id": run.execution_id, "task_path": run.task_path, "attempt": run.attempt}
        text = json.dumps(dict(decision))
        return bool(await self._database.write(lambda tx: tx.run("decide_task_run", **place, decision=text)))

    async def end_task(self, run: TaskRun, state: TaskRunState, outputs: Mapping[str, Any], error: str | None) -> bool:
        """RUNNING → an end state, with what the task gave; from here on it is never run again."""
        text = json.dumps(outputs)
        return bool(
            await self._database.write(
                lambda tx: tx.run(
                    "end_task_run",
                    execution_id=run.execution_id,
                    task_path=run.task_path,
                    attempt=run.attempt,
                    state=state,
                    now=now(),
                    outputs=text,
                    error=storable(error) if error else None,
                )
            )
        )

    async def task_runs(self, execution_id: str) -> list[TaskRun]:
        """Every attempt at every task of an execution, in order of start."""
        rows = await self._database.read(lambda tx: tx.all("task_runs", execution_id=execution_id))
        return [_task_run(row) for row in rows]


def _found(tx: Transaction, identifier: str) -> Execution:
    row = tx.one("execution", id=identifier)
    if row is None:
        raise LookupError(f"execution {identifier} could not be created")
    return _execution(row)


def _execution(row: Row) -> Execution:
    return Execution(
        id=row["id"],
        batch_id=row["batch_id"],
        namespace=row["namespace"],
        flow_id=row["flow_id"],
        flow_revision=row["flow_revision"],
        trigger=row["trigger_key"],
        trigger_type=row["trigger_type"],
        state=ExecutionState(row["state"]),
        held=bool(row["held"]),
        attempts=row["attempts"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        original_id=row["original_id"],
        outputs=json.loads(row["outputs"]),
        error=row["error"],
        kill_requested=bool(row["kill_requested"]),
        next_try=row["next_try"],
        inputs=json.loads(row["inputs"]),
        labels=json.loads(row["labels"]),
        variables=row["variables"] and json.loads(row["variables"]),
        parent_id=row["parent_id"],
        resume_at=row["resume_at"],
        after_pending=bool(row["after_pending"]),
    )


def _to_repeat(runs: Sequence[TaskRun]) -> list[TaskRun]:
    """Give the runs whose result must not stand when an execution is tried again: what failed, and what is inside."""
    failed = {run.task_path for run in runs if run.state in {TaskRunState.FAILED, TaskRunState.KILLED}}
    return [
        run
        for run in runs
        if run.task_path in failed or any(run.task_path.startswith((f"{path}/", f"{path}[")) for path in failed)
    ]


def _task_run(row: Row) -> TaskRun:
    return TaskRun(
        execution_id=row["execution_id"],
        task_path=row["task_path"],
        attempt=row["attempt"],
        state=TaskRunState(row["state"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        outputs=json.loads(row["outputs"]),
        error=row["error"],
        value=row["value"],
        iteration=row["iteration"],
        decision=row["decision"] and json.loads(row["decision"]),
    )
