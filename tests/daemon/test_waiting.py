"""Executions that wait: for a time, for somebody, for another execution, for room."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, Self

import pytest
from workshop.builders import Workshop, until
from workshop.yaml_tasks import body, broken, say, shell, task

from tidewaiter.daemon.control import Control, NotPossibleError
from tidewaiter.daemon.executor import Executor
from tidewaiter.daemon.records import Execution, TriggerKey
from tidewaiter.daemon.secrets import Secrets


class Service:
    """An executor that is woken as in the daemon."""

    def __init__(self, workshop: Workshop, limit: int = 4) -> None:
        self.workshop = workshop
        self._due = asyncio.Event()
        self.executor = Executor(
            workshop.place, limit, wake=self._due.set, on_end=lambda _: self._due.set(), crashed=workshop.crashes.append
        )
        workshop.place.signals.launched = self._due.set
        self.control = Control(workshop.journal, self._due.set, tell=workshop.place.signals.tell)

    async def __aenter__(self) -> Self:
        await self.executor.recover()
        self._task = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.executor.drain(timedelta(0))

    async def _serve(self) -> None:
        while True:
            self._due.clear()
            delay = await self.executor.step()
            try:
                await asyncio.wait_for(self._due.wait(), delay.total_seconds() if delay is not None else None)
            except TimeoutError:
                continue

    async def reaches(self, execution: Execution, state: str) -> Execution:
        async def there() -> Execution | None:
            found = await self.workshop.state(execution)
            return found if found.state == state and not found.after_pending else None

        found: Execution = await until(there)
        return found


async def register(workshop: Workshop, flow_id: str, text: str) -> int:
    return await workshop.journal.triggers.register("demo", flow_id, f"id: {flow_id}\nnamespace: demo\n{text}")


async def by_hand(workshop: Workshop, flow_id: str, text: str, **inputs: Any) -> Execution:
    revision = await register(workshop, flow_id, text)
    return await workshop.journal.executions.by_hand(TriggerKey("demo", flow_id, "by-hand"), revision, inputs)


PAUSE = body(task("flow.Pause", "p", onResume=[{"id": "n", "type": "INT"}]), say("a", "{{ outputs.p.onResume.n }}"))


class TestPause:
    async def test_it_lasts_its_time(self, workshop: Workshop) -> None:
        """Meanwhile the execution is PAUSED and says until when."""
        execution = await by_hand(workshop, "f", body(task("flow.Pause", "p", delay="PT0.4S"), say("a")))
        async with Service(workshop) as service:
            assert (await service.reaches(execution, "PAUSED")).resume_at is not None
            ended = await service.reaches(execution, "SUCCESS")
        assert ended.resume_at is None

    async def test_somebody_resumes_it(self, workshop: Workshop) -> None:
        """With the inputs it asks for; what does not fit leaves it paused."""
        execution = await by_hand(workshop, "f", PAUSE)
        async with Service(workshop) as service:
            await service.reaches(execution, "PAUSED")
            await service.control.resume(execution.id, {"n": "x"})
            await until(lambda: _said(workshop, execution, "not resumed: input 'n' must be a whole number"))
            await service.control.resume(execution.id, {"n": "5"})
            ended = await service.reaches(execution, "SUCCESS")
        assert (await workshop.task_runs(ended))["a"].outputs == {"value": "5"}

    async def test_what_is_secret_in_it_stays_so(self, workshop: Workshop) -> None:
        """No log shows it, neither before nor after a restart."""
        ask = task("flow.Pause", "p", onResume=[{"id": "pin", "type": "SECRET"}])
        again = task("flow.Pause", "q")
        tell = shell("a", "echo {{ outputs.p.onResume.pin }}")
        execution = await by_hand(workshop, "f", body(ask, again, tell))
        async with Service(workshop) as service:
            await service.reaches(execution, "PAUSED")
            await service.control.resume(execution.id, {"pin": "hush-hush"})
            await until(lambda: _began(workshop, execution, "q"))
        assert workshop.place.host.secrets.mask("hush-hush") == "******"
        workshop.place = replace(workshop.place, host=replace(workshop.place.host, secrets=Secrets({})))
        async with Service(workshop) as service:
            await service.reaches(execution, "PAUSED")
            await service.control.resume(execution.id, {})
            ended = await service.reaches(execution, "SUCCESS")
        assert "******" in await workshop.log(ended)

    async def test_only_what_is_paused_can_be_resumed(self, workshop: Workshop) -> None:
        """The state is named."""
        ended = await workshop.do(body(say("a")))
        with pytest.raises(NotPossibleError, match="is not paused \\(SUCCESS\\)"):
            await Control(workshop.journal).resume(ended.id, {})

    async def test_it_survives_a_restart(self, workshop: Workshop) -> None:
        """Still paused after, and it goes on where it was."""
        execution = await by_hand(workshop, "f", PAUSE)
        async with Service(workshop) as service:
            await service.reaches(execution, "PAUSED")
        assert (await workshop.state(execution)).state == "CREATED"
        async with Service(workshop) as service:
            await service.reaches(execution, "PAUSED")
            await service.control.resume(execution.id, {"n": "5"})
            ended = await service.reaches(execution, "SUCCESS")
        assert ended.attempts == 1

    @pytest.mark.parametrize(
        ("behavior", "state"), [("RESUME", "SUCCESS"), ("WARN", "WARNING"), ("FAIL", "FAILED"), ("CANCEL", "CANCELLED")]
    )
    async def test_what_follows_when_nobody_resumes_it(self, workshop: Workshop, behavior: str, state: str) -> None:
        """As its behaviour says."""
        execution = await by_hand(
            workshop, "f", body(task("flow.Pause", "p", pauseDuration="PT0.05S", behavior=behavior), say("a"))
        )
        async with Service(workshop) as service:
            await service.reaches(execution, state)

    async def test_who_pauses_takes_no_place(self, workshop: Workshop) -> None:
        """Another execution runs meanwhile, although there is room for one only."""
        paused = await by_hand(workshop, "f", PAUSE)
        async with Service(workshop, limit=1) as service:
            await service.reaches(paused, "PAUSED")
            other = await by_hand(workshop, "g", body(say("a")))
            service.control.wake_executor()
            await service.reaches(other, "SUCCESS")

    async def test_a_paused_execution_can_be_killed(self, workshop: Workshop) -> None:
        """At once."""
        execution = await by_hand(workshop, "f", PAUSE)
        async with Service(workshop) as service:
            await service.reaches(execution, "PAUSED")
            await service.control.kill(execution.id)
            await service.reaches(execution, "KILLED")


async def _began(workshop: Workshop, execution: Execution, path: str) -> bool:
    return path in await workshop.task_runs(execution)


async def _said(workshop: Workshop, execution: Execution, text: str) -> bool:
    await workshop.journal.logs.flush()
    return any(text in line for line in await workshop.log(execution))


class TestSubflow:
    async def test_inputs_go_in_and_outputs_come_out(self, workshop: Workshop) -> None:
        """The child knows who started it; one place is enough for both."""
        child = body(
            say("a", "{{ inputs.x }} {{ trigger.flowId }} {{ labels.team }}"),
            inputs=[{"id": "x", "type": "INT"}],
            outputs=[{"id": "y", "value": "{{ outputs.a.value }}"}],
        )
        await register(workshop, "child", child)
        start = task(
            "flow.Subflow", "s", namespace="demo", flowId="child", inputs={"x": "{{ 6 * 7 }}"}, labels={"team": "quay"}
        )
        parent = await by_hand(workshop, "parent", body(start, say("b", "{{ outputs.s.outputs.y }}")))
        async with Service(workshop, limit=1) as service:
            ended = await service.reaches(parent, "SUCCESS")
        runs = await workshop.task_runs(ended)
        assert runs["b"].outputs == {"value": "42 parent quay"}
        assert runs["s"].outputs["state"] == "SUCCESS"

    @pytest.mark.parametrize(("transmit", "state"), [(True, "FAILED"), (False, "SUCCESS")])
    async def test_its_failure_is_the_tasks(self, workshop: Workshop, transmit: bool, state: str) -> None:
        """Unless it is not to be transmitted."""
        await register(workshop, "child", body(broken("a")))
        start = task("flow.Subflow", "s", namespace="demo", flowId="child", transmitFailed=transmit)
        parent = await by_hand(workshop, "parent", body(start))
        async with Service(workshop) as service:
            await service.reaches(parent, state)

    async def test_nobody_has_to_wait(self, workshop: Workshop) -> None:
        """wait: false leaves the child to itself."""
        await register(workshop, "child", PAUSE)
        start = task("flow.Subflow", "s", namespace="demo", flowId="child", wait=False)
        parent = await by_hand(workshop, "parent", body(start))
        async with Service(workshop) as service:
            await service.reaches(parent, "SUCCESS")

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({"flowId": "nope"}, "there is no flow demo.nope"),
            ({"flowId": "child"}, "input 'x' is required"),
            ({"flowId": "child", "inputs": {"x": "a"}}, "input 'x' must be a whole number"),
            ({"flowId": "child", "revision": 7}, "there is no flow demo.child (revision 7)"),
        ],
    )
    async def test_what_cannot_be_started(self, workshop: Workshop, given: dict[str, Any], reason: str) -> None:
        """The task fails with the reason, and there is no execution of the child."""
        await register(workshop, "child", body(say("a"), inputs=[{"id": "x", "type": "INT"}]))
        parent = await by_hand(workshop, "parent", body(task("flow.Subflow", "s", namespace="demo", **given)))
        async with Service(workshop) as service:
            ended = await service.reaches(parent, "FAILED")
        assert reason in (ended.error or "")
        assert len(await workshop.journal.executions.newest()) == 1

    async def test_a_flow_that_starts_itself_comes_to_an_end(self, workshop: Workshop) -> None:
        """At a depth nobody needs."""
        execution = await by_hand(workshop, "f", body(task("flow.Subflow", "s", namespace="demo", flowId="f")))
        async with Service(workshop) as service:
            ended = await service.reaches(execution, "FAILED")
        assert "more than 25 executions are in each other" in (ended.error or "")

    async def test_a_restart_waits_for_the_same_child(self, workshop: Workshop) -> None:
        """No second one is started."""
        await register(workshop, "child", PAUSE)
        parent = await by_hand(workshop, "parent", body(task("flow.Subflow", "s", namespace="demo", flowId="child")))
        for _ in range(2):
            async with Service(workshop):
                await until(lambda: _paused(workshop))
        [child] = [e for e in await workshop.journal.executions.newest() if e.flow_id == "child"]
        async with Service(workshop) as service:
            await service.reaches(child, "PAUSED")
            await service.control.resume(child.id, {"n": "1"})
            await service.reaches(parent, "SUCCESS")

    async def test_a_restart_does_not_ask_for_the_flow_again(self, workshop: Workshop) -> None:
        """The child is there: that its flow has changed, or gone, since then does not matter."""
        await register(workshop, "child", PAUSE)
        parent = await by_hand(workshop, "parent", body(task("flow.Subflow", "s", namespace="demo", flowId="child")))
        async with Service(workshop):
            await until(lambda: _paused(workshop))
        await register(workshop, "child", body(say("a"), disabled=True))
        async with Service(workshop) as service:
            await until(lambda: _paused(workshop))
            [child] = [e for e in await workshop.journal.executions.newest() if e.flow_id == "child"]
            await service.control.resume(child.id, {"n": "1"})
            await service.reaches(parent, "SUCCESS")

    @pytest.mark.parametrize("around", [False, True])
    async def test_who_has_no_time_left_takes_its_children_along(self, workshop: Workshop, around: bool) -> None:
        """A timeout ends what was started, the tasks around it included."""
        await register(workshop, "child", PAUSE)
        start = task("flow.Subflow", "s", namespace="demo", flowId="child", **({} if around else {"timeout": "PT0.5S"}))
        outer = task("flow.Parallel", "p", tasks=[start], timeout="PT0.5S") if around else start
        parent = await by_hand(workshop, "parent", body(outer))
        async with Service(workshop) as service:
            await service.reaches(parent, "FAILED")
            [child] = [e for e in await workshop.journal.executions.newest() if e.flow_id == "child"]
            await service.reaches(child, "KILLED")

    async def test_who_is_killed_takes_its_children_along(self, workshop: Workshop) -> None:
        """They would work for nobody."""
        await register(workshop, "child", PAUSE)
        parent = await by_hand(workshop, "parent", body(task("flow.Subflow", "s", namespace="demo", flowId="child")))
        async with Service(workshop) as service:
            await until(lambda: _paused(workshop))
            await service.control.kill(parent.id)
            await service.reaches(parent, "KILLED")
            [child] = [e for e in await workshop.journal.executions.newest() if e.flow_id == "child"]
            await service.reaches(child, "KILLED")


async def _paused(workshop: Workshop) -> bool:
    return any(execution.state == "PAUSED" for execution in await workshop.journal.executions.newest())


class TestConcurrency:
    @pytest.mark.parametrize(("behavior", "state"), [("QUEUE", "CREATED"), ("CANCEL", "CANCELLED"), ("FAIL", "FAILED")])
    async def test_one_too_many(self, workshop: Workshop, behavior: str, state: str) -> None:
        """It waits, or ends at once, as the flow says."""
        text = PAUSE + f'concurrency: {{"limit": 1, "behavior": "{behavior}"}}\n'
        first, second = [await by_hand(workshop, "f", text) for _ in range(2)]
        async with Service(workshop) as service:
            await service.reaches(first, "PAUSED")
            await service.reaches(second, state)
            await service.control.resume(first.id, {"n": "1"})
            await service.reaches(first, "SUCCESS")
            if behavior == "QUEUE":
                await service.reaches(second, "PAUSED")


class TestForEachItem:
    CHILD = body(
        shell("a", "cat f", inputFiles={"f": "{{ inputs.items }}"}),
        inputs=[{"id": "items", "type": "FILE"}],
        outputs=[{"id": "n", "value": "{{ read(inputs.items) | trim }}{{ labels.batch }}"}],
    )

    def loop(self, **given: Any) -> dict[str, Any]:
        common = {"namespace": "demo", "flowId": "child", "items": "{{ outputs.w.uri }}"}
        return task(
            "flow.ForEachItem", "e", **common, inputs={"items": "{{ taskrun.items }}"},
            labels={"batch": "{{ taskrun.iteration }}"}, **given,
        )  # fmt: skip

    async def test_each_batch_has_an_execution(self, workshop: Workshop) -> None:
        """A child reads the file it is handed; what all of them gave is one file."""
        await register(workshop, "child", self.CHILD)
        write = task("storage.Write", "w", content="a\nb\nc\n", extension=".txt")
        show = say(
            "s",
            "{{ outputs.e.numberOfBatches }} {{ outputs.e.iterations.SUCCESS }} {{ read(outputs.e.subflowOutputs) }}",
        )
        parent = await by_hand(workshop, "parent", body(write, self.loop(), show))
        async with Service(workshop) as service:
            ended = await service.reaches(parent, "SUCCESS")
        shown = (await workshop.task_runs(ended))["s"].outputs["value"]
        assert shown == '3 3 {"n": "a0"}\n{"n": "b1"}\n{"n": "c2"}\n'

    async def test_batches_can_be_larger(self, workshop: Workshop) -> None:
        """As Split would make them; a failed child is a failure of the loop."""
        await register(workshop, "child", body(broken("a"), inputs=[{"id": "items", "type": "FILE"}]))
        write = task("storage.Write", "w", content="a\nb\nc\n")
        parent = await by_hand(workshop, "parent", body(write, self.loop(batch={"rows": 2})))
        async with Service(workshop) as service:
            ended = await service.reaches(parent, "FAILED")
        assert (await workshop.task_runs(ended))["e"].outputs == {"numberOfBatches": 2, "iterations": {"FAILED": 2}}

    async def test_nothing_in_the_file_is_nothing_to_do(self, workshop: Workshop) -> None:
        """No execution is started."""
        await register(workshop, "child", self.CHILD)
        write = task("storage.Write", "w", content="")
        parent = await by_hand(workshop, "parent", body(write, self.loop()))
        async with Service(workshop) as service:
            await service.reaches(parent, "SUCCESS")
        assert len(await workshop.journal.executions.newest()) == 1
