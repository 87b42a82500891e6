"""Executions and task runs: each transition wins once, and a recorded result stands."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from workshop.builders import TRIGGER, Intake, source

from tidewaiter.daemon.database.sqlite import SqliteDatabase
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.executions import Executions
from tidewaiter.daemon.records import Execution, ExecutionState, TaskRun, TaskRunState, TriggerKey, now, timestamp


@pytest.fixture
async def ready(intake: Intake) -> Execution:
    """An execution that may start."""
    return await intake.deliver("a")


async def state(journal: Journal, execution: Execution) -> Execution:
    found = await journal.executions.get(execution.id)
    assert found is not None
    return found


def run(execution: Execution, path: str = "task", attempt: int = 1) -> TaskRun:
    return TaskRun(execution.id, path, attempt, TaskRunState.RUNNING, "")


async def test_an_execution_starts_once(journal: Journal, ready: Execution) -> None:
    """CREATED → RUNNING has one winner, and counts an attempt."""
    assert [await journal.executions.start(ready), await journal.executions.start(ready)] == [True, False]
    now = await state(journal, ready)
    assert (now.state, now.attempts, now.started_at is not None) == (ExecutionState.RUNNING, 1, True)


async def test_a_held_execution_does_not_start(intake: Intake, journal: Journal) -> None:
    """Before its objects are where they belong, nobody starts it."""
    [detection] = await intake.claim("a")
    await intake.store(detection)
    assert await journal.executions.runnable() == []
    assert not await journal.executions.start(await intake.execution(detection))


async def test_an_execution_ends_once(journal: Journal, ready: Execution) -> None:
    """The first end stands, with its outputs and reason."""
    await journal.executions.start(ready)
    assert await journal.executions.end(ready.id, ExecutionState.FAILED, {"n": 1}, "because")
    assert not await journal.executions.end(ready.id, ExecutionState.SUCCESS)
    now = await state(journal, ready)
    assert (now.state, now.outputs, now.error, now.ended_at is not None) == ("FAILED", {"n": 1}, "because", True)


@pytest.mark.parametrize(("counted", "attempts"), [(True, 2), (False, 1)])
async def test_a_crash_counts_as_an_attempt_and_a_clean_stop_does_not(
    journal: Journal, ready: Execution, counted: bool, attempts: int
) -> None:
    """RUNNING → CREATED, to be started again."""
    await journal.executions.start(ready)
    assert await journal.executions.requeue(ready.id, counted=counted)
    assert not await journal.executions.requeue(ready.id, counted=counted)
    await journal.executions.start(ready)
    assert (await state(journal, ready)).attempts == attempts


async def test_requeuing_interrupts_what_ran_and_keeps_what_ended(journal: Journal, ready: Execution) -> None:
    """A finished task run keeps its result, a running one makes room for the next attempt."""
    await journal.executions.start(ready)
    for path in ("done", "running"):
        await journal.executions.start_task(TaskRun(ready.id, path, 1, TaskRunState.RUNNING, now()))
    await journal.executions.end_task(run(ready, "done"), TaskRunState.SUCCESS, {"a": 1}, None)
    await journal.executions.requeue(ready.id, counted=True)
    states = {r.task_path: r.state for r in await journal.executions.task_runs(ready.id)}
    assert states == {"done": TaskRunState.SUCCESS, "running": TaskRunState.INTERRUPTED}


async def test_the_start_of_an_execution_is_that_of_its_first_attempt(journal: Journal, ready: Execution) -> None:
    """Interruptions do not make it younger."""
    await journal.executions.start(ready)
    first = (await state(journal, ready)).started_at
    await journal.executions.requeue(ready.id, counted=True)
    await journal.executions.start(ready)
    assert (await state(journal, ready)).started_at == first


async def test_a_task_run_ends_once(journal: Journal, ready: Execution) -> None:
    """The recorded result of an attempt stands."""
    await journal.executions.start_task(TaskRun(ready.id, "task", 1, TaskRunState.RUNNING, now()))
    assert await journal.executions.end_task(run(ready), TaskRunState.SUCCESS, {"a": [1, "é"]}, None)
    assert not await journal.executions.end_task(run(ready), TaskRunState.FAILED, {}, "late")
    [recorded] = await journal.executions.task_runs(ready.id)
    assert (recorded.state, recorded.outputs, recorded.error) == (TaskRunState.SUCCESS, {"a": [1, "é"]}, None)


async def test_an_attempt_is_recorded_once(journal: Journal, ready: Execution) -> None:
    """The same attempt cannot begin twice."""
    await journal.executions.start_task(TaskRun(ready.id, "task", 1, TaskRunState.RUNNING, now()))
    with pytest.raises(Exception, match="UNIQUE"):
        await journal.executions.start_task(TaskRun(ready.id, "task", 1, TaskRunState.RUNNING, now()))


async def test_text_that_no_database_takes_is_kept_as_near_as_can_be(journal: Journal, ready: Execution) -> None:
    """A program may tell half a surrogate pair in JSON: outputs come back the same, a reason without it."""
    await journal.executions.start_task(TaskRun(ready.id, "task", 1, TaskRunState.RUNNING, now()))
    await journal.executions.end_task(run(ready), TaskRunState.FAILED, {"a": "x\ud800"}, "bad \udfff")
    await journal.executions.end(ready.id, ExecutionState.FAILED, {"b": "\ud800"}, "bad \udfff")
    [recorded] = await journal.executions.task_runs(ready.id)
    assert (recorded.outputs, recorded.error) == ({"a": "x\ud800"}, "bad ?")
    assert ((ended := await state(journal, ready)).outputs, ended.error) == ({"b": "\ud800"}, "bad ?")


async def test_ending_an_execution_ends_what_ran(journal: Journal, ready: Execution) -> None:
    """No task run is left as running for ever."""
    await journal.executions.start_task(TaskRun(ready.id, "task", 1, TaskRunState.RUNNING, now()))
    await journal.executions.end(ready.id, ExecutionState.KILLED)
    assert [r.state for r in await journal.executions.task_runs(ready.id)] == [TaskRunState.KILLED]


async def test_a_kill_is_asked_for_until_the_end(journal: Journal, ready: Execution) -> None:
    """It can be asked for while the execution lives, and is on record until it has ended."""
    assert await journal.executions.request_kill(ready.id)
    assert [e.id for e in await journal.executions.to_kill()] == [ready.id]
    await journal.executions.end(ready.id, ExecutionState.KILLED)
    assert await journal.executions.to_kill() == []
    assert not await journal.executions.request_kill(ready.id)


async def test_a_replay_is_new_and_knows_where_it_comes_from(journal: Journal, ready: Execution) -> None:
    """It runs on the same objects at the same revision; nothing of the first attempt sticks to it."""
    await journal.executions.start(ready)
    await journal.executions.request_kill(ready.id)
    await journal.executions.end(ready.id, ExecutionState.FAILED, {"a": 1}, "x")
    replay = await journal.executions.replay(await state(journal, ready), str(uuid.uuid4()))
    assert (replay.state, replay.held, replay.attempts, replay.kill_requested) == ("CREATED", False, 0, False)
    assert (replay.started_at, replay.ended_at, replay.outputs, replay.error) == (None, None, {}, None)
    assert (replay.batch_id, replay.original_id) == (ready.batch_id, ready.id)


async def test_a_replay_of_a_replay_comes_from_the_first(journal: Journal, ready: Execution) -> None:
    """The objects lie with the first execution."""
    once = await journal.executions.replay(ready, str(uuid.uuid4()))
    assert (await journal.executions.replay(once, str(uuid.uuid4()))).original_id == ready.id


async def test_runnable_comes_in_order_of_arrival(intake: Intake, journal: Journal) -> None:
    """Earlier batches first."""
    made = [await intake.deliver(key) for key in "abc"]
    found = await journal.executions.runnable()
    assert [c.execution.batch_id for c in found] == sorted(e.batch_id for e in made)


async def test_an_execution_is_behind_an_earlier_batch_in_custody(intake: Intake, journal: Journal) -> None:
    """What is on its way and comes before it in key order goes first."""
    first, second = await intake.claim("a", "b")
    await intake.store(second)
    await journal.detections.done(second, removed=True)
    assert [c.behind for c in await journal.executions.runnable()] == [True]
    await intake.store(first)
    await journal.detections.done(first, removed=True)
    assert [c.behind for c in await journal.executions.runnable()] == [False, False]


async def test_nobody_waits_for_a_batch_in_trouble(intake: Intake, journal: Journal) -> None:
    """An object that has to be tried again does not hold up the others."""
    first, second = await intake.claim("a", "b")
    await intake.store(second)
    await journal.detections.done(second, removed=True)
    later = timestamp(datetime.now(UTC) + timedelta(hours=1))
    await journal.detections.postpone(intake.source, first, next_try=later, error="slow")
    assert [c.behind for c in await journal.executions.runnable()] == [False]


async def test_an_execution_is_found_by_the_beginning_of_its_id(intake: Intake, journal: Journal) -> None:
    """One means it, several show that more is needed."""
    made = [await intake.deliver(key) for key in "abc"]
    assert [e.id for e in await journal.executions.find(made[0].id)] == [made[0].id]
    assert [e.id for e in await journal.executions.find(made[0].id[:13])] == [made[0].id]
    assert len(await journal.executions.find("")) == 2
    assert await journal.executions.find("zzz") == []


async def test_the_newest_come_first(intake: Intake, journal: Journal) -> None:
    """A limit cuts off the oldest; state and flow, by id or full name, choose."""
    made = [await intake.deliver(key) for key in "abc"]
    await journal.executions.end(made[0].id, ExecutionState.FAILED)
    executions = journal.executions
    assert [e.id for e in await executions.newest(limit=2)] == [made[2].id, made[1].id]
    assert [e.id for e in await executions.newest(state="FAILED")] == [made[0].id]
    assert [len(await executions.newest(flow=flow)) for flow in ("orders", "demo.orders", "demo", "other")] == [
        3,
        3,
        0,
        0,
    ]


async def test_counts_by_state(intake: Intake, journal: Journal) -> None:
    """How many executions are in which state."""
    made = [await intake.deliver(key) for key in "abc"]
    await journal.executions.start(made[0])
    await journal.executions.end(made[1].id, ExecutionState.SUCCESS)
    assert await journal.executions.counts() == {"CREATED": 1, "RUNNING": 1, "SUCCESS": 1}


async def test_an_execution_can_be_made_by_hand(journal: Journal) -> None:
    """A flow run by hand has no objects and may start at once."""
    execution = await journal.executions.by_hand(TRIGGER, 4)
    assert (execution.state, execution.held, execution.flow_revision) == (ExecutionState.CREATED, False, 4)
    assert await journal.detections.batch(execution.batch_id) == []
    assert await journal.executions.start(execution)


@dataclass
class Interrupted:
    """A database between whose reads something happens."""

    database: SqliteDatabase
    happens: Callable[[], Awaitable[object]]

    async def read(self, work: Callable) -> object:
        found = await self.database.read(work)
        await self.happens()
        return found


async def test_starting_is_no_gap(database: SqliteDatabase, journal: Journal, ready: Execution) -> None:
    """Whether anything is unfinished is answered for one moment: what is just being started is not overlooked."""
    watched = Executions(Interrupted(database, lambda: journal.executions.start(ready)))
    assert await watched.unfinished()


async def test_no_trigger_waits_behind_the_executions_of_another(intake: Intake, journal: Journal) -> None:
    """Only the first few of each are asked for, however many there are."""
    busy = [await intake.deliver(key) for key in "abc"]
    other = TriggerKey("demo", "orders", "other")
    late = await Intake(journal, source(trigger=other)).deliver("d")
    assert [c.execution.id for c in await journal.executions.runnable(2)] == [busy[0].id, busy[1].id, late.id]
