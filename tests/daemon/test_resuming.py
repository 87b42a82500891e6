"""Executions that are interrupted at one moment and go on later: as if nothing had come in between."""

import asyncio
from typing import Any

import pytest
from workshop.builders import Workshop, until
from workshop.yaml_tasks import body, broken, say, shell, task

from tidewaiter.daemon.journal.launches import Launch
from tidewaiter.daemon.records import Execution, ExecutionState, TaskRun, TaskRunState, TriggerKey, now


def gate(workshop: Workshop, identifier: str, **properties: Any) -> dict[str, Any]:
    """A task that is interrupted at its first attempt and ends at its second."""
    return shell(identifier, f"[ -e {workshop.folder}/open ] || sleep 60", **properties)


async def interrupted_in(workshop: Workshop, execution: Execution, *paths: str) -> None:
    """Run *execution* until tasks of it run, interrupt it there, and open the gates."""
    await workshop.journal.executions.start(execution)
    run = asyncio.create_task((await workshop.prepared(execution)).carry_out())

    async def there() -> bool:
        runs = await workshop.task_runs(execution)
        return {path for path, found in runs.items() if found.state is TaskRunState.RUNNING} >= set(paths)

    await until(there)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    await workshop.journal.executions.requeue(execution.id, counted=True)
    (workshop.folder / "open").touch()


async def resumed(workshop: Workshop, text: str, *paths: str) -> Execution:
    """Run a flow to its end, with an interruption while the tasks at *paths* run."""
    execution = await workshop.execution(text)
    await interrupted_in(workshop, execution, *paths)
    async with asyncio.timeout(20):
        return await workshop.run(execution)


async def states(workshop: Workshop, execution: Execution) -> dict[str, str]:
    return {path: run.state.value for path, run in (await workshop.task_runs(execution)).items()}


class TestSiblings:
    async def test_what_ran_beside_a_failure_is_seen_to_its_end(self, workshop: Workshop) -> None:
        """Also when it was interrupted: without that it would have ended."""
        parallel = task("flow.Parallel", "p", tasks=[broken("a"), gate(workshop, "b"), say("c")], concurrent=2)
        execution = await workshop.execution(body(parallel))
        await self.failed_and_interrupted(workshop, execution, "p/a", "p/b", ("p", {}))
        ended = await workshop.run(execution)
        assert await states(workshop, ended) == {"p": "FAILED", "p/a": "FAILED", "p/b": "SUCCESS"}

    async def test_a_dag_does_not_wait_for_what_is_not_begun(self, workshop: Workshop) -> None:
        """A failure before the interruption keeps others from being begun, those that wait for them included."""
        tasks = [{"task": say("c"), "dependsOn": ["b"]}, {"task": broken("a")}, {"task": gate(workshop, "b")}]
        execution = await workshop.execution(body(task("flow.Dag", "d", tasks=tasks)))
        await self.failed_and_interrupted(workshop, execution, "d/a", "d/b", ("d", {}))
        async with asyncio.timeout(10):
            ended = await workshop.run(execution)
        assert await states(workshop, ended) == {"d": "FAILED", "d/a": "FAILED", "d/b": "SUCCESS"}

    async def failed_and_interrupted(
        self, workshop: Workshop, execution: Execution, failed: str, left: str, around: tuple[str, dict[str, Any]]
    ) -> None:
        executions = workshop.journal.executions
        await executions.start(execution)
        await executions.start_task(TaskRun(execution.id, around[0], 1, TaskRunState.RUNNING, now()))
        run = TaskRun(execution.id, failed, 1, TaskRunState.RUNNING, now())
        await executions.start_task(run)
        await executions.start_task(TaskRun(execution.id, left, 1, TaskRunState.RUNNING, now()))
        await executions.end_task(run, TaskRunState.FAILED, {}, "no")
        await executions.requeue(execution.id, counted=True)
        (workshop.folder / "open").touch()


class TestLoops:
    async def test_outputs_of_an_iteration_are_seen_in_it(self, workshop: Workshop) -> None:
        """Those of tasks deeper inside as well, in the iteration that goes on and in those that had ended."""
        deep = task("flow.Sequential", "s", tasks=[say("t", "{{ item.value }}!")])
        last = gate(workshop, "u", runIf="{{ item.index == 1 }}")
        given = [{"id": "o", "value": "{{ outputs.t.value }}"}]
        loop = task(
            "flow.Loop", "l", values=["a", "b"], tasks=[deep, last, say("v", "{{ outputs.t.value }}")], outputs=given
        )
        ended = await resumed(workshop, body(loop), "l[1]/u")
        assert (await workshop.task_runs(ended))["l"].outputs == {"outputs": [{"o": "a!"}, {"o": "b!"}]}

    async def test_a_condition_that_was_false_is_not_asked_again(self, workshop: Workshop) -> None:
        """The iteration that was interrupted is carried on, whatever the condition would say of those before it."""
        tasks = [
            say("t", runIf="{{ taskrun.iteration == 1 }}"),
            gate(workshop, "u", runIf="{{ taskrun.iteration == 1 }}"),
        ]
        often = {"interval": "PT0.01S", "maxIterations": 5}
        loop = task(
            "flow.LoopUntil", "l", condition="{{ (outputs.t.value ?? '') == 'x' }}", tasks=tasks, checkFrequency=often
        )
        ended = await resumed(workshop, body(loop), "l[1]/u")
        runs = await workshop.task_runs(ended)
        assert (runs["l"].outputs, runs["l[1]/u"].state) == ({"iterationCount": 2}, "SUCCESS")


class TestDecisions:
    async def test_what_had_begun_is_not_skipped(self, workshop: Workshop) -> None:
        """A runIf that said yes has decided, even if it would say no by now."""
        inner = task(
            "flow.Sequential", "s", runIf="{{ outputs.t is not defined }}", tasks=[say("t"), gate(workshop, "u")]
        )
        ended = await resumed(workshop, body(inner), "s/u")
        assert await states(workshop, ended) == {"s": "SUCCESS", "s/t": "SUCCESS", "s/u": "SUCCESS"}

    async def test_a_task_that_asked_for_a_new_execution_gets_it(self, workshop: Workshop) -> None:
        """Although the daemon stopped between its failure and that."""
        retry = {"type": "constant", "interval": "PT0.01S", "maxAttempts": 5, "behavior": "CREATE_NEW_EXECUTION"}
        execution = await workshop.execution(body(broken("a", retry=retry)))
        await workshop.journal.executions.start(execution)
        run = TaskRun(execution.id, "a", 1, TaskRunState.RUNNING, now())
        await workshop.journal.executions.start_task(run)
        await workshop.journal.executions.end_task(run, TaskRunState.FAILED, {}, "no")
        await workshop.journal.executions.requeue(execution.id, counted=True)
        again = await workshop.run(execution)
        assert (again.state, again.next_try is not None) == ("CREATED", True)


class TestInputs:
    @pytest.mark.parametrize("kind", ["JSON", "YAML"])
    @pytest.mark.parametrize("given", ['"[1]"', '"5"', "null", '"null"', "[1]"])
    async def test_they_stay_what_they_were(self, workshop: Workshop, kind: str, given: str) -> None:
        """Text that was given as JSON is not read as JSON once more; neither is it in a replay."""
        inputs = [{"id": "x", "type": kind, "required": False, "defaults": "7"}]
        text = body(
            say("a", "{{ inputs.x | toJson }}"), gate(workshop, "b"), say("c", "{{ inputs.x | toJson }}"), inputs=inputs
        )
        await workshop.execution(text)
        order = Launch(TriggerKey("demo", "orders", "by-hand"), "", 1, inputs={"x": given}, variables={})
        execution = await workshop.journal.executions.create(order)
        await interrupted_in(workshop, execution, "b")
        ended = await workshop.run(execution)
        runs = await workshop.task_runs(ended)
        replay = await workshop.run(await workshop.journal.executions.replay(ended, "again"))
        again = (await workshop.task_runs(replay))["a"].outputs["value"]
        assert (runs["a"].outputs["value"], runs["c"].outputs["value"], again) == (given, given, given)


class TestAfterExecution:
    async def test_the_last_tasks_see_inputs_and_labels(self, workshop: Workshop) -> None:
        """As the tasks before them did; what an input keeps secret stays so."""
        last = say("g", "{{ inputs.x }} {{ labels.team }}")
        inputs = [{"id": "x", "type": "SECRET"}]
        execution = await self.ended_but_for(workshop, body(say("a"), inputs=inputs, afterExecution=[last]))
        await self.taken_up(workshop, execution)
        assert (await workshop.task_runs(execution))["g"].outputs == {"value": "hush-hush quay"}
        assert workshop.place.host.secrets.mask("hush-hush") == "******"

    async def test_they_hold_to_what_they_decided(self, workshop: Workshop) -> None:
        """A kill in the middle of them is one of the execution."""
        last = task("flow.If", "i", condition="false", then=[say("yes")], else_=[say("no")])
        execution = await self.ended_but_for(workshop, body(say("a"), afterExecution=[last]))
        run = TaskRun(execution.id, "i", 1, TaskRunState.RUNNING, now(), decision={"condition": True})
        await workshop.journal.executions.start_task(run)
        await self.taken_up(workshop, execution)
        assert await states(workshop, execution) == {"i": "SUCCESS", "i/yes": "SUCCESS"}

    async def test_tasks_that_crash_the_daemon_are_given_up(self, workshop: Workshop) -> None:
        """As an execution is."""
        execution = await self.ended_but_for(workshop, body(say("a"), afterExecution=[say("g")]))
        run = TaskRun(execution.id, "g", workshop.place.retry.crashes, TaskRunState.RUNNING, now())
        await workshop.journal.executions.start_task(run)
        await self.taken_up(workshop, execution)
        assert await states(workshop, execution) == {"g": "KILLED"}

    async def ended_but_for(self, workshop: Workshop, text: str) -> Execution:
        revision = await workshop.journal.triggers.register("demo", "f", f"id: f\nnamespace: demo\n{text}")
        inputs = {"x": "hush-hush"} if "SECRET" in text else {}
        trigger = TriggerKey("demo", "f", "by-hand")
        order = Launch(trigger, "", revision, inputs=inputs, labels={"team": "quay"}, variables={})
        execution = await workshop.journal.executions.create(order)
        await workshop.journal.executions.start(execution)
        await workshop.journal.executions.end(execution.id, ExecutionState.SUCCESS, after=True)
        return execution

    async def taken_up(self, workshop: Workshop, execution: Execution) -> None:
        executor = workshop.executor()
        await executor.recover()
        await executor.step()

        async def finished() -> bool:
            return not (await workshop.state(execution)).after_pending

        await until(finished)
