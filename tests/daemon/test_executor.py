"""Which execution next, how many at once, and what becomes of them when the daemon stops or crashes."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from workshop.builders import Intake, Workshop, source, until

from tidewaiter.daemon.database.sqlite import SqliteDatabase
from tidewaiter.daemon.executor import Executor
from tidewaiter.daemon.records import Execution, ExecutionState, TaskRun, TaskRunState, TriggerKey, now, task_run_id

CONCURRENT = "triggers: [{id: arrival, type: aws.s3.Trigger, bucket: b, action: NONE, allowConcurrent: true}]\n"
SERIAL = "triggers: [{id: arrival, type: aws.s3.Trigger, bucket: b, action: NONE}]\n"
QUICK = "tasks: [{id: a, type: debug.Return, format: x}]\n"


# Says it has begun, and takes its time to clean up when it is told to end.
PATIENT = """
import pathlib, signal, sys, time
def clean(*_):
    time.sleep(0.3)
    pathlib.Path(sys.argv[2]).touch()
    sys.exit()
signal.signal(signal.SIGTERM, clean)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def waiting(sign: Path) -> str:
    """A task that says it has begun and goes on until the file 'go' is there, or it is ended."""
    command = f"touch {sign}/$EXECUTION_ID.$ATTEMPT; while [ ! -e {sign}/go ]; do sleep 0.01; done"
    return f"tasks: [{{id: a, type: shell.Commands, runner: PROCESS, commands: ['{command}']}}]\n"


class Bench:
    """An executor that steps whenever it asks to be woken."""

    def __init__(self, workshop: Workshop, sign: Path) -> None:
        self.workshop = workshop
        self.sign = sign
        self.woken = asyncio.Event()
        self.executor: Executor = workshop.executor(limit=4)
        self.executor.wake = self.woken.set
        self.driver = asyncio.create_task(self.drive())

    async def drive(self) -> None:
        while True:
            await self.woken.wait()
            self.woken.clear()
            await self.executor.step()

    async def begun(self, *executions: Execution) -> None:
        for execution in executions:
            await until(lambda e=execution: list(self.sign.glob(f"{e.id}.*")))  # type: ignore[misc] # bound per turn

    async def ended(self, *executions: Execution) -> list[str]:
        """Wait for the ends; gives the states."""
        for execution in executions:
            await until(lambda e=execution: e.id in self.workshop.ended)  # type: ignore[misc] # bound per turn
        return [(await self.workshop.state(execution)).state.value for execution in executions]

    def go(self) -> None:
        (self.sign / "go").touch()


@pytest.fixture
async def bench(workshop: Workshop, tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "sign").mkdir()
    made = Bench(workshop, tmp_path / "sign")
    yield made
    await made.executor.drain(timedelta(0))
    made.driver.cancel()
    await asyncio.gather(made.driver, return_exceptions=True)
    assert workshop.crashes == []


async def test_an_execution_is_carried_out_and_told(bench: Bench, workshop: Workshop) -> None:
    """Who waits for room hears of its end."""
    execution = await workshop.execution(QUICK)
    bench.woken.set()
    assert (await bench.ended(execution), bench.executor.running) == (["SUCCESS"], 0)


async def test_one_at_a_time_per_trigger(bench: Bench, workshop: Workshop) -> None:
    """The next one starts when the one before has ended, in order of arrival."""
    first = await workshop.execution(SERIAL + waiting(bench.sign), key="a")
    second = await workshop.execution(SERIAL + waiting(bench.sign), key="b")
    bench.woken.set()
    await bench.begun(first)
    await bench.executor.step()
    assert bench.executor.running == 1
    bench.go()
    assert await bench.ended(first, second) == ["SUCCESS"] * 2
    assert workshop.ended == [first.id, second.id]


async def test_several_at_a_time_where_the_trigger_allows_it(bench: Bench, workshop: Workshop) -> None:
    """Up to the limit of the daemon."""
    made = [await workshop.execution(CONCURRENT + waiting(bench.sign), key=str(n)) for n in range(5)]
    bench.woken.set()
    await bench.begun(*made[:4])
    assert (bench.executor.running, (await workshop.state(made[4])).state) == (4, "CREATED")
    bench.go()
    assert await bench.ended(*made) == ["SUCCESS"] * 5


async def test_a_flow_limits_its_own_executions(bench: Bench, workshop: Workshop) -> None:
    """Further ones wait; another flow is not held up."""
    body = "concurrency: {limit: 2}\n" + CONCURRENT + waiting(bench.sign)
    made = [await workshop.execution(body, key=str(n)) for n in range(3)]
    other = await workshop.execution(QUICK, flow_id="other")
    bench.woken.set()
    await bench.begun(*made[:2])
    assert await bench.ended(other) == ["SUCCESS"]
    assert (await workshop.state(made[2])).state == "CREATED"
    bench.go()
    assert await bench.ended(*made) == ["SUCCESS"] * 3


async def test_an_execution_waits_for_an_earlier_object(bench: Bench, workshop: Workshop) -> None:
    """What comes first in key order runs first, even if it takes longer to fetch."""
    early = Intake(workshop.journal, source("NONE", trigger=TriggerKey("demo", "orders", "arrival")))
    [slow] = await early.claim("a")
    later = await workshop.execution(SERIAL + QUICK, key="b")
    await bench.executor.step()
    assert (await workshop.state(later)).state == "CREATED"
    await early.store(slow)
    bench.woken.set()
    await bench.ended(later)
    assert workshop.ended == [slow.execution_id, later.id]


async def test_a_flow_that_is_no_longer_accepted_fails(
    bench: Bench, workshop: Workshop, database: SqliteDatabase
) -> None:
    """It does not stop the others, and room is told."""
    other = await workshop.execution(QUICK)
    broken = await workshop.execution(QUICK, flow_id="broken")
    database._writing.execute("UPDATE flow SET source = 'id: [' WHERE flow_id = 'broken'")
    bench.woken.set()
    assert await bench.ended(broken, other) == ["FAILED", "SUCCESS"]
    assert "not valid YAML" in ((await workshop.state(broken)).error or "")


async def test_an_execution_runs_the_flow_it_was_created_with(bench: Bench, workshop: Workshop) -> None:
    """A newer revision counts for later ones."""
    first = await workshop.execution(CONCURRENT + "tasks: [{id: a, type: debug.Return, format: old}]\n", key="a")
    second = await workshop.execution(CONCURRENT + "tasks: [{id: a, type: debug.Return, format: new}]\n", key="b")
    bench.woken.set()
    await bench.ended(first, second)
    assert [(await workshop.task_runs(e))["a"].outputs["value"] for e in (first, second)] == ["old", "new"]


async def test_two_flows_whose_full_names_look_alike_are_not_mixed_up(workshop: Workshop) -> None:
    """Dots may be in namespaces and in ids."""
    executor = workshop.executor()
    for namespace, identifier in (("a.b", "c"), ("a", "b.c")):
        await workshop.journal.triggers.register(
            namespace, identifier, f"id: {identifier}\nnamespace: {namespace}\n{QUICK}"
        )
    made = [await workshop.journal.executions.by_hand(TriggerKey(*key, "t"), 1) for key in (("a.b", "c"), ("a", "b.c"))]
    assert [(await executor.flow_of(execution)).id for execution in made] == ["c", "b.c"]


async def test_draining_waits_within_the_grace(bench: Bench, workshop: Workshop) -> None:
    """What runs may end; nothing new is started."""
    first = await workshop.execution(SERIAL + waiting(bench.sign), key="a")
    second = await workshop.execution(SERIAL + QUICK, key="b")
    bench.woken.set()
    await bench.begun(first)
    drain = asyncio.create_task(bench.executor.drain(timedelta(seconds=20)))
    bench.go()
    await drain
    await bench.executor.step()
    assert [(await workshop.state(e)).state for e in (first, second)] == ["SUCCESS", "CREATED"]


async def test_what_draining_interrupts_is_queued_again_uncounted(bench: Bench, workshop: Workshop) -> None:
    """A clean stop is no attempt and no failure; the next start goes on."""
    execution = await workshop.execution(waiting(bench.sign))
    bench.woken.set()
    await bench.begun(execution)
    await bench.executor.drain(timedelta(0))
    state = await workshop.state(execution)
    assert (state.state, state.attempts, state.error) == ("CREATED", 0, None)
    assert [r.state for r in await workshop.journal.executions.task_runs(execution.id)] == ["INTERRUPTED"]


async def test_draining_twice_at_once_is_fine(bench: Bench, workshop: Workshop) -> None:
    """A second signal cuts the grace of the first short; the record is still made."""
    execution = await workshop.execution(waiting(bench.sign))
    bench.woken.set()
    await bench.begun(execution)
    patient = asyncio.create_task(bench.executor.drain(timedelta(seconds=20)))
    await asyncio.sleep(0.01)
    await asyncio.gather(bench.executor.drain(timedelta(0)), patient)
    assert (await workshop.state(execution)).state == "CREATED"


async def test_a_running_execution_is_killed(bench: Bench, workshop: Workshop) -> None:
    """With everything it started; its folder is gone, and room is told."""
    execution = await workshop.execution(waiting(bench.sign))
    bench.woken.set()
    await bench.begun(execution)
    await workshop.journal.executions.request_kill(execution.id)
    bench.woken.set()
    assert await bench.ended(execution) == ["KILLED"]
    assert (await workshop.task_runs(execution))["a"].state == "KILLED"
    assert not (workshop.place.work / execution.id).exists()


async def test_a_killed_program_has_its_grace_however_often_the_executor_wakes(
    bench: Bench, workshop: Workshop
) -> None:
    """SIGTERM may be answered; other events do not cut that short."""
    (bench.sign / "patient.py").write_text(PATIENT)
    command = f"exec python3 {bench.sign}/patient.py {bench.sign}/$EXECUTION_ID.1 {bench.sign}/clean"
    execution = await workshop.execution(
        f"tasks: [{{id: a, type: shell.Commands, runner: PROCESS, commands: ['{command}']}}]\n"
    )
    bench.woken.set()
    await bench.begun(execution)
    await workshop.journal.executions.request_kill(execution.id)
    for _ in range(20):
        bench.woken.set()
        await asyncio.sleep(0.01)
    assert await bench.ended(execution) == ["KILLED"]
    assert (bench.sign / "clean").exists()


async def test_a_waiting_execution_is_killed_before_it_starts(bench: Bench, workshop: Workshop) -> None:
    """No task of it begins."""
    execution = await workshop.execution(QUICK)
    await workshop.journal.executions.request_kill(execution.id)
    bench.woken.set()
    assert await bench.ended(execution) == ["KILLED"]
    assert await workshop.task_runs(execution) == {}


async def test_after_a_crash_executions_are_queued_and_counted(bench: Bench, workshop: Workshop) -> None:
    """What was running runs once more; its attempts are counted."""
    execution = await workshop.execution(QUICK)
    await workshop.journal.executions.start(execution)
    await workshop.journal.executions.start_task(TaskRun(execution.id, "a", 1, TaskRunState.RUNNING, now()))
    assert await bench.executor.recover() == 1
    bench.woken.set()
    assert await bench.ended(execution) == ["SUCCESS"]
    assert ((await workshop.state(execution)).attempts, (await workshop.task_runs(execution))["a"].attempt) == (2, 2)


async def test_an_execution_present_at_every_crash_is_not_tried_for_ever(bench: Bench, workshop: Workshop) -> None:
    """After as many crashes as the settings allow it has failed, without being run once more."""
    execution = await workshop.execution(QUICK)
    executions = workshop.journal.executions
    for _ in range(workshop.place.retry.crashes):
        assert not (await workshop.state(execution)).state.ended
        await executions.start(execution)
        await bench.executor.recover()
    failed = await workshop.state(execution)
    assert (failed.state, failed.error) == (ExecutionState.FAILED, "the daemon crashed during attempt 10")


async def test_failures_do_not_count_as_crashes(bench: Bench, workshop: Workshop) -> None:
    """The last attempt that maxAttempts allows may be interrupted, too, and is then carried out."""
    watched = (
        "triggers: [{id: arrival, type: aws.s3.Trigger, bucket: b, prefix: raw/, action: NONE, maxAttempts: 12}]\n"
    )
    execution = await workshop.execution(QUICK + watched)
    executions = workshop.journal.executions
    for _ in range(11):
        await executions.start(execution)
        await executions.retry(execution.id, next_try="2000", error="not yet")
    await executions.start(execution)
    await bench.executor.recover()
    assert not (await workshop.state(execution)).state.ended


async def test_programs_that_outlived_a_crash_are_ended_first(bench: Bench, workshop: Workshop, tmp_path: Path) -> None:
    """The same task never runs twice at once."""
    execution = await workshop.execution(QUICK)
    await workshop.journal.executions.start(execution)
    await workshop.journal.executions.start_task(TaskRun(execution.id, "a", 1, TaskRunState.RUNNING, now()))
    marked = {"TIDEWAITER_TASK_RUN_ID": task_run_id(execution.id, "a"), "PATH": "/usr/bin:/bin"}
    orphan = subprocess.Popen(["sleep", "60"], env=marked, start_new_session=True)
    await bench.executor.recover()
    assert await asyncio.to_thread(orphan.wait, 10) == -9


async def test_a_full_disk_delays_an_execution_and_does_not_lose_it(
    bench: Bench, workshop: Workshop, database: SqliteDatabase
) -> None:
    """When there is room again, it goes on by itself."""
    (bench.sign / "big.py").write_text("""print('::{"outputs":{"x":"' + 'y' * 3000000 + '"}}::')""")
    command = f"python3 {bench.sign}/big.py; touch {bench.sign}/$EXECUTION_ID.1"
    execution = await workshop.execution(
        f"tasks: [{{id: a, type: shell.Commands, runner: PROCESS, commands: ['{command}']}}]\n"
    )
    pages = database._writing.execute("PRAGMA page_count").fetchone()[0]
    database._writing.execute(f"PRAGMA max_page_count = {pages + 60}")
    bench.woken.set()
    await bench.begun(execution)
    await asyncio.sleep(1.5)
    database._writing.execute("PRAGMA max_page_count = 1000000")
    await until(lambda: _is(workshop, execution, "SUCCESS"))


async def _is(workshop: Workshop, execution: Execution, state: str) -> bool:
    return (await workshop.state(execution)).state == state
