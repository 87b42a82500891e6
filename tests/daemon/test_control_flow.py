"""The tasks that hold other tasks: what runs, in which order, and what is seen of it."""

import asyncio
from typing import Any

import pytest
from workshop.builders import Workshop
from workshop.yaml_tasks import body, broken, say, shell, task

from tidewaiter.daemon.records import Execution, TaskRun, TaskRunState, now


async def states(workshop: Workshop, execution: Execution) -> dict[str, str]:
    return {path: run.state.value for path, run in (await workshop.task_runs(execution)).items()}


async def value(workshop: Workshop, execution: Execution, path: str) -> Any:
    return (await workshop.task_runs(execution))[path].outputs["value"]


async def interrupted(workshop: Workshop, execution: Execution, path: str, **decision: Any) -> None:
    """Leave a task behind as a crash does: begun, with what it had decided."""
    run = TaskRun(execution.id, path, 1, TaskRunState.RUNNING, now(), decision=decision or None)
    await workshop.journal.executions.start_task(run)
    await workshop.journal.executions.start(execution)
    await workshop.journal.executions.requeue(execution.id, counted=True)


class TestSequential:
    async def test_its_tasks_run_in_order(self, workshop: Workshop) -> None:
        """Tasks inside see each other's outputs, those after it see them, too."""
        inner = task("flow.Sequential", "s", tasks=[say("a", "one"), say("b", "{{ outputs.a.value }} two")])
        ended = await workshop.do(body(inner, say("c", "{{ outputs.b.value }} three")))
        assert (ended.state, await value(workshop, ended, "c")) == ("SUCCESS", "one two three")
        assert list(await states(workshop, ended)) == ["s", "s/a", "s/b", "c"]

    async def test_its_errors_and_finally_run_after_a_failure(self, workshop: Workshop) -> None:
        """They change nothing about the failure; the flow's own errors run, too."""
        inner = task("flow.Sequential", "s", tasks=[broken("a"), say("b")], errors=[say("e")], finally_=[say("f")])
        ended = await workshop.do(body(inner, say("c"), errors=[say("g")]))
        assert ended.state == "FAILED"
        assert list(await states(workshop, ended)) == ["s", "s/a", "s/e", "s/f", "g"]

    async def test_finally_runs_after_success(self, workshop: Workshop) -> None:
        """Its failure is the task's."""
        ended = await workshop.do(body(task("flow.Sequential", "s", tasks=[say("a")], finally_=[broken("f")])))
        assert (ended.state, (ended.error or "").count("task 'f'")) == ("FAILED", 1)

    async def test_errors_and_finally_run_after_a_timeout(self, workshop: Workshop) -> None:
        """Its time is over, theirs is not."""
        inner = task(
            "flow.Sequential",
            "s",
            timeout="PT0.3S",
            tasks=[shell("a", "sleep 60")],
            errors=[say("e")],
            finally_=[say("f")],
        )
        ended = await workshop.do(body(inner))
        assert await states(workshop, ended) == {"s": "FAILED", "s/a": "KILLED", "s/e": "SUCCESS", "s/f": "SUCCESS"}

    async def test_errors_and_finally_run_when_nothing_could_be_decided(self, workshop: Workshop) -> None:
        """A condition that cannot be rendered is a failure like others."""
        choice = task("flow.If", "i", condition="{{ nope }}", then=[say("a")], errors=[say("e")], finally_=[say("f")])
        ended = await workshop.do(body(choice))
        assert await states(workshop, ended) == {"i": "FAILED", "i/e": "SUCCESS", "i/f": "SUCCESS"}


class TestAllowFailure:
    async def test_the_flow_goes_on_with_a_warning(self, workshop: Workshop) -> None:
        """The flow's errors are not for what was allowed."""
        inner = task("flow.AllowFailure", "s", tasks=[broken("a")], errors=[say("e")])
        ended = await workshop.do(body(inner, say("c"), errors=[say("g")]))
        assert ended.state == "WARNING"
        assert await states(workshop, ended) == {"s": "WARNING", "s/a": "FAILED", "s/e": "SUCCESS", "c": "SUCCESS"}


class TestParallel:
    async def test_its_tasks_run_at_the_same_time(self, workshop: Workshop) -> None:
        """Each of two tasks waits for a sign of the other."""
        here = workshop.folder
        wait = "for _ in $(seq 500); do [ -e {} ] && exit 0; sleep 0.02; done; exit 1"
        first = shell("a", f"touch {here}/a; {wait.format(f'{here}/b')}")
        second = shell("b", f"touch {here}/b; {wait.format(f'{here}/a')}")
        assert (await workshop.do(body(task("flow.Parallel", "p", tasks=[first, second])))).state == "SUCCESS"

    async def test_a_limit_of_one_is_an_order(self, workshop: Workshop) -> None:
        """With concurrent: 1 they run as they are written."""
        file = workshop.folder / "order"
        tasks = [shell(name, f"echo {name} >> {file}") for name in "abc"]
        await workshop.do(body(task("flow.Parallel", "p", tasks=tasks, concurrent=1)))
        assert file.read_text().split() == ["a", "b", "c"]

    async def test_what_runs_is_seen_to_its_end_after_a_failure(self, workshop: Workshop) -> None:
        """A sibling is not cut off."""
        tasks = [broken("a"), shell("b", 'sleep 0.3; echo \'::{"outputs":{"x":1}}::\'')]
        ended = await workshop.do(body(task("flow.Parallel", "p", tasks=tasks)))
        assert await states(workshop, ended) == {"p": "FAILED", "p/a": "FAILED", "p/b": "SUCCESS"}


class TestIf:
    @pytest.mark.parametrize(
        ("condition", "chosen"),
        [("{{ 1 == 1 }}", "yes"), ("", "no"), ("0", "no"), ("false", "no"), ("-0", "no"), ("anything", "yes")],
    )
    async def test_the_branch_that_is_taken(self, workshop: Workshop, condition: str, chosen: str) -> None:
        """Truth is as in Kestra: everything but blank, 0, -0 and false."""
        choice = task("flow.If", "i", condition=condition, then=[say("yes")], else_=[say("no")])
        ended = await workshop.do(body(choice))
        runs = await workshop.task_runs(ended)
        assert list(runs) == ["i", f"i/{chosen}"]
        assert runs["i"].outputs == {"evaluationResult": chosen == "yes"}

    async def test_without_an_else_nothing_runs(self, workshop: Workshop) -> None:
        """That is a success."""
        ended = await workshop.do(body(task("flow.If", "i", condition="false", then=[say("yes")])))
        assert await states(workshop, ended) == {"i": "SUCCESS"}

    async def test_the_branch_taken_before_a_crash_is_taken_again(self, workshop: Workshop) -> None:
        """Even if the condition would now say otherwise."""
        choice = task("flow.If", "i", condition="false", then=[say("yes")], else_=[say("no")])
        execution = await workshop.execution(body(choice))
        await interrupted(workshop, execution, "i", condition=True)
        assert list(await states(workshop, await workshop.run(execution))) == ["i", "i/yes"]


class TestSwitch:
    async def test_the_case_of_the_value_runs(self, workshop: Workshop) -> None:
        """The value may be rendered."""
        cases = {"csv": [say("a")], "json": [say("b")]}
        ended = await workshop.do(body(task("flow.Switch", "s", value="{{ 'js' ~ 'on' }}", cases=cases)))
        runs = await workshop.task_runs(ended)
        assert (list(runs), runs["s"].outputs) == (["s", "s/b"], {"value": "json", "defaults": False})

    async def test_defaults_run_for_other_values(self, workshop: Workshop) -> None:
        """The outputs tell."""
        ended = await workshop.do(
            body(task("flow.Switch", "s", value="z", cases={"a": [say("a")]}, defaults=[say("d")]))
        )
        runs = await workshop.task_runs(ended)
        assert (list(runs), runs["s"].outputs) == (["s", "s/d"], {"value": "z", "defaults": True})

    async def test_a_value_without_a_case_fails(self, workshop: Workshop) -> None:
        """When there are no defaults either."""
        ended = await workshop.do(body(task("flow.Switch", "s", value="z", cases={"a": [say("a")]})))
        assert (ended.state, ended.error) == ("FAILED", "task 's': there is no case 'z' and there are no 'defaults'")


class TestForEach:
    @pytest.mark.parametrize(
        "values", [["a", 2, {"k": "v"}], '["a", 2, {"k": "v"}]', "{{ ['a', 2, {'k': 'v'}] | toJson }}"]
    )
    async def test_values_and_their_outputs(self, workshop: Workshop, values: object) -> None:
        """Values are text; outputs are found under them."""
        loop = task(
            "flow.ForEach", "each", values=values, tasks=[say("t", "{{ taskrun.iteration }}:{{ taskrun.value }}")]
        )
        ended = await workshop.do(
            body(loop, say("after", "{{ outputs.t | keys | join(' ') }} {{ outputs.t.a.value }}"))
        )
        assert await value(workshop, ended, "each[2]/t") == '2:{"k":"v"}'
        assert await value(workshop, ended, "after") == 'a 2 {"k":"v"} 0:a'

    async def test_nested_loops_know_their_parents(self, workshop: Workshop) -> None:
        """Outputs are found under the values of all loops, the outermost first."""
        inner = task(
            "flow.ForEach", "inner", values=["x"], tasks=[say("t", "{{ parent.taskrun.value }}{{ taskrun.value }}")]
        )
        outer = task("flow.ForEach", "outer", values=["1", "2"], tasks=[inner])
        last = say("last", "{{ outputs.t['2'].x.value }}")
        assert await value(workshop, await workshop.do(body(outer, last)), "last") == "2x"

    async def test_a_task_deeper_inside_sees_the_value_too(self, workshop: Workshop) -> None:
        """As its own, and as its parent's, where older flows look for it."""
        deep = say("t", "{{ taskrun.value }} {{ parent.taskrun.value }} {{ parents[0].taskrun.value }}")
        loop = task("flow.ForEach", "each", values=["v"], tasks=[task("flow.Sequential", "s", tasks=[deep])])
        ended = await workshop.do(body(loop, say("after", "{{ outputs.t.v.value }}")))
        assert await value(workshop, ended, "after") == "v v v"

    async def test_the_output_of_the_same_iteration(self, workshop: Workshop) -> None:
        """Both spellings Kestra has for it."""
        tasks = [
            say("a", "{{ taskrun.value }}!"),
            say("b", "{{ outputs.a[taskrun.value].value }} {{ currentEachOutput(outputs.a).value }}"),
        ]
        ended = await workshop.do(body(task("flow.ForEach", "each", values=["v"], tasks=tasks)))
        assert await value(workshop, ended, "each[0]/b") == "v! v!"

    async def test_a_failure_ends_the_loop(self, workshop: Workshop) -> None:
        """Values after it are not begun, the reason names the value."""
        loop = task("flow.ForEach", "each", values=["0", "1", "2"], tasks=[shell("t", "[ {{ taskrun.value }} != 1 ]")])
        ended = await workshop.do(body(loop))
        assert await states(workshop, ended) == {"each": "FAILED", "each[0]/t": "SUCCESS", "each[1]/t": "FAILED"}
        assert (ended.error or "").startswith("task 'each': value '1': task 't': ")

    async def test_values_run_at_the_same_time_if_they_may(self, workshop: Workshop) -> None:
        """concurrencyLimit: 0 sets no limit."""
        here = workshop.folder
        wait = f"for _ in $(seq 500); do [ $(ls {here}/sign | wc -l) = 3 ] && exit 0; sleep 0.02; done; exit 1"
        tasks = [shell("t", f"mkdir -p {here}/sign; touch {here}/sign/{{{{ taskrun.value }}}}; {wait}")]
        loop = task("flow.ForEach", "each", values=["0", "1", "2"], concurrencyLimit=0, tasks=tasks)
        assert (await workshop.do(body(loop))).state == "SUCCESS"

    async def test_no_values_are_no_work(self, workshop: Workshop) -> None:
        """An empty list is a success."""
        ended = await workshop.do(body(task("flow.ForEach", "each", values="[]", tasks=[say("t")])))
        assert await states(workshop, ended) == {"each": "SUCCESS"}

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ("text", "should be a list, got 'text'"),
            ('["a", null]', "empty value at position 2"),
            ("[1,", "are not JSON"),
        ],
    )
    async def test_values_that_are_none(self, workshop: Workshop, values: str, reason: str) -> None:
        """The failure says what was there instead."""
        ended = await workshop.do(body(task("flow.ForEach", "each", values=values, tasks=[say("t")])))
        assert (ended.state, reason in (ended.error or "")) == ("FAILED", True)

    async def test_after_a_crash_the_same_values_are_gone_through(self, workshop: Workshop) -> None:
        """What has a result is not run again, and its outputs are where they were."""
        loop = task("flow.ForEach", "each", values=["now", "else"], tasks=[say("t", "{{ taskrun.value }}")])
        execution = await workshop.execution(body(loop, say("after", "{{ outputs.t | keys | join(' ') }}")))
        await interrupted(workshop, execution, "each", values=["a", "b"])
        done = TaskRun(execution.id, "each[0]/t", 1, TaskRunState.RUNNING, now(), value="a", iteration=0)
        await workshop.journal.executions.start_task(done)
        await workshop.journal.executions.end_task(done, TaskRunState.SUCCESS, {"value": "earlier"}, None)
        ended = await workshop.run(execution)
        assert await value(workshop, ended, "each[0]/t") == "earlier"
        assert await value(workshop, ended, "after") == "a b"


class TestOlderLoops:
    async def test_each_sequential(self, workshop: Workshop) -> None:
        """Like ForEach, with another property."""
        ended = await workshop.do(body(task("flow.EachSequential", "e", value='["a","b"]', tasks=[say("t")])))
        assert list(await states(workshop, ended)) == ["e", "e[0]/t", "e[1]/t"]

    async def test_each_parallel_runs_the_tasks_of_one_value_together_too(self, workshop: Workshop) -> None:
        """Each of two tasks waits for a sign of the other."""
        here = workshop.folder
        wait = "for _ in $(seq 500); do [ -e {} ] && exit 0; sleep 0.02; done; exit 1"
        tasks = [
            shell("a", f"touch {here}/a; {wait.format(f'{here}/b')}"),
            shell("b", f"touch {here}/b; {wait.format(f'{here}/a')}"),
        ]
        assert (await workshop.do(body(task("flow.EachParallel", "e", value=["v"], tasks=tasks)))).state == "SUCCESS"


class TestLoop:
    async def test_items_and_outputs(self, workshop: Workshop) -> None:
        """Kestra 2.0: outputs inside are this iteration's, outside only what the loop gives is seen."""
        tasks = [say("t", "{{ item.index }}{{ item.value }}"), say("u", "{{ outputs.t.value }}!")]
        loop = task(
            "flow.Loop", "l", values=["a", "b"], tasks=tasks, outputs=[{"id": "o", "value": "{{ outputs.u.value }}"}]
        )
        ended = await workshop.do(body(loop, say("after", "{{ outputs.l.outputs[1].o }} {{ outputs.t is defined }}")))
        assert await value(workshop, ended, "after") == "1b! false"

    async def test_the_entries_of_a_map(self, workshop: Workshop) -> None:
        """Each has its key."""
        ended = await workshop.do(
            body(task("flow.Loop", "l", values={"k": 1}, tasks=[say("t", "{{ item.key }}={{ item.value }}")]))
        )
        assert await value(workshop, ended, "l[0]/t") == "k=1"

    async def test_the_lines_of_a_file(self, workshop: Workshop) -> None:
        """The arrived object can be gone through."""
        loop = task("flow.Loop", "l", values="{{ trigger.objects[0].uri }}", tasks=[say("t", "{{ item.value }}")])
        ended = await workshop.do(body(loop), content="x\ny\n")
        assert await value(workshop, ended, "l[1]/t") == "y"


class TestLoopUntil:
    async def test_it_ends_when_the_condition_is_true(self, workshop: Workshop) -> None:
        """The condition sees what the latest iteration gave."""
        count = shell(
            "n",
            f"echo x >> {workshop.folder}/n",
            f"echo '::{{\"outputs\":{{\"n\":'$(wc -l < {workshop.folder}/n)'}}}}::'",
        )
        loop = task(
            "flow.LoopUntil",
            "l",
            condition="{{ outputs.n.vars.n >= 3 }}",
            tasks=[count],
            checkFrequency={"interval": "PT0.01S"},
        )
        ended = await workshop.do(body(loop))
        runs = await workshop.task_runs(ended)
        assert (ended.state, runs["l"].outputs) == ("SUCCESS", {"iterationCount": 3})

    async def test_its_patience_has_an_end(self, workshop: Workshop) -> None:
        """Reaching the maximum is a failure if it is to be one."""
        often = {"interval": "PT0.01S", "maxIterations": 2}
        loop = task(
            "flow.LoopUntil", "l", condition="false", tasks=[say("t")], checkFrequency=often, failOnMaxReached=True
        )
        ended = await workshop.do(body(loop))
        assert (ended.state, ended.error) == ("FAILED", "task 'l': the condition was still false after 2 iterations")


class TestDag:
    async def test_tasks_follow_those_they_depend_on(self, workshop: Workshop) -> None:
        """However they are written."""
        tasks = [
            {"task": say("c", "{{ outputs.a.value }}{{ outputs.b.value }}"), "dependsOn": ["a", "b"]},
            {"task": say("b", "{{ outputs.a.value }}b"), "dependsOn": ["a"]},
            {"task": say("a", "a")},
        ]
        ended = await workshop.do(body(task("flow.Dag", "d", tasks=tasks)))
        assert await value(workshop, ended, "d/c") == "aab"

    async def test_nothing_follows_a_failure(self, workshop: Workshop) -> None:
        """What depends on it is not begun."""
        tasks = [{"task": broken("a")}, {"task": say("b"), "dependsOn": ["a"]}]
        ended = await workshop.do(body(task("flow.Dag", "d", tasks=tasks)))
        assert await states(workshop, ended) == {"d": "FAILED", "d/a": "FAILED"}


class TestRunIf:
    async def test_a_task_that_is_not_to_run_is_skipped(self, workshop: Workshop) -> None:
        """It leaves a trace, and the flow goes on; of one that holds others nothing inside is seen."""
        hidden = task("flow.Sequential", "s", runIf="{{ outputs.a.value == 'y' }}", tasks=[say("t")])
        ended = await workshop.do(body(say("a"), hidden, say("b", runIf="false"), say("c")))
        assert (ended.state, await states(workshop, ended)) == (
            "SUCCESS", {"a": "SUCCESS", "s": "SKIPPED", "b": "SKIPPED", "c": "SUCCESS"},
        )  # fmt: skip

    async def test_a_condition_that_cannot_be_rendered_fails(self, workshop: Workshop) -> None:
        """It is told with its property."""
        ended = await workshop.do(body(say("a", runIf="{{ nope }}")))
        assert (ended.state, "property 'runIf'" in (ended.error or "")) == ("FAILED", True)

    async def test_it_counts_in_a_working_directory(self, workshop: Workshop) -> None:
        """Kestra once ignored it there."""
        directory = task("flow.WorkingDirectory", "w", tasks=[broken("a", runIf="false"), say("b")])
        assert await states(workshop, await workshop.do(body(directory))) == {
            "w": "SUCCESS", "w/a": "SKIPPED", "w/b": "SUCCESS",
        }  # fmt: skip


class TestRetry:
    async def test_a_task_is_tried_until_it_succeeds(self, workshop: Workshop) -> None:
        """Every attempt is recorded."""
        flaky = shell("a", f"echo x >> {workshop.folder}/n", f"[ $(wc -l < {workshop.folder}/n) = 3 ]")
        flaky["retry"] = {"type": "constant", "interval": "PT0.01S", "maxAttempts": 5}
        ended = await workshop.do(body(flaky))
        runs = await workshop.journal.executions.task_runs(ended.id)
        assert (ended.state, [run.state for run in runs]) == ("SUCCESS", ["RETRYING", "RETRYING", "SUCCESS"])

    async def test_the_last_attempt_decides(self, workshop: Workshop) -> None:
        """MaxAttempt counts all attempts; allowFailure counts after them."""
        retry = {"type": "constant", "interval": "PT0.01S", "maxAttempt": 2}
        ended = await workshop.do(body(broken("a", retry=retry, allowFailure=True)))
        runs = await workshop.journal.executions.task_runs(ended.id)
        assert (ended.state, [run.state for run in runs]) == ("WARNING", ["RETRYING", "WARNING"])

    async def test_a_success_after_failures_can_be_a_warning(self, workshop: Workshop) -> None:
        """WarningOnRetry."""
        flaky = shell("a", f"echo x >> {workshop.folder}/n", f"[ $(wc -l < {workshop.folder}/n) = 2 ]")
        flaky["retry"] = {"type": "constant", "interval": "PT0.01S", "maxAttempts": 5, "warningOnRetry": True}
        assert (await workshop.do(body(flaky))).state == "WARNING"

    @pytest.mark.parametrize("kind", ["flow.Sequential", "flow.Parallel", "flow.WorkingDirectory"])
    async def test_tasks_inherit_the_retry_of_what_they_are_in(self, workshop: Workshop, kind: str) -> None:
        """The task that holds them is not repeated itself."""
        retry = {"type": "constant", "interval": "PT0.01S", "maxAttempts": 2}
        ended = await workshop.do(body(task(kind, "s", retry=retry, tasks=[broken("a")])))
        runs = await workshop.journal.executions.task_runs(ended.id)
        assert [(run.task_path, run.attempt) for run in runs] == [("s", 1), ("s/a", 1), ("s/a", 2)]

    async def test_tasks_inherit_the_retry_of_the_flow(self, workshop: Workshop) -> None:
        """Their own comes first."""
        retry = {"type": "constant", "interval": "PT0.01S", "maxAttempts": 2}
        own = {**retry, "maxAttempts": 3}
        ended = await workshop.do(body(broken("a", allowFailure=True), broken("b", retry=own), retry=retry))
        runs = await workshop.task_runs(ended)
        assert (runs["a"].attempt, runs["b"].attempt) == (2, 3)

    async def test_a_retry_stays_in_the_working_directory(self, workshop: Workshop) -> None:
        """The second attempt finds what the first one left, and so do the siblings after it."""
        flaky = shell("a", "echo x >> n; [ $(wc -l < n) = 2 ]", retry={"type": "constant", "interval": "PT0.01S"})
        directory = task("flow.WorkingDirectory", "w", tasks=[flaky, shell("b", "[ $(wc -l < n) = 2 ]")])
        assert (await workshop.do(body(directory))).state == "SUCCESS"

    async def test_a_crash_does_not_begin_the_counting_anew(self, workshop: Workshop) -> None:
        """Attempts before it count."""
        retry = {"type": "constant", "interval": "PT0.01S", "maxAttempts": 2}
        execution = await workshop.execution(body(broken("a", retry=retry)))
        await workshop.journal.executions.start(execution)
        first = TaskRun(execution.id, "a", 1, TaskRunState.RUNNING, now())
        await workshop.journal.executions.start_task(first)
        await workshop.journal.executions.end_task(first, TaskRunState.RETRYING, {}, "no")
        await workshop.journal.executions.requeue(execution.id, counted=True)
        ended = await workshop.run(execution)
        assert (ended.state, (await workshop.task_runs(ended))["a"].attempt) == ("FAILED", 2)

    async def test_a_new_execution_begins_everything_again(self, workshop: Workshop) -> None:
        """CREATE_NEW_EXECUTION repeats what had succeeded, too; objects have one execution all the same."""
        retry = {"type": "constant", "interval": "PT0.01S", "maxAttempts": 2, "behavior": "CREATE_NEW_EXECUTION"}
        execution = await workshop.execution(body(say("a"), broken("b"), retry=retry))
        again = await workshop.run(execution)
        assert (again.state, again.next_try is not None) == ("CREATED", True)
        ended = await workshop.run(again)
        runs = await workshop.task_runs(ended)
        assert (ended.state, runs["a"].attempt, runs["b"].attempt) == ("FAILED", 2, 2)


class TestTimeout:
    async def test_what_holds_tasks_can_have_one(self, workshop: Workshop) -> None:
        """Everything inside is ended."""
        ended = await workshop.do(body(task("flow.Sequential", "s", timeout="PT0.3S", tasks=[shell("a", "sleep 60")])))
        assert (ended.state, "timed out after PT0.3S" in (ended.error or "")) == ("FAILED", True)
        assert await states(workshop, ended) == {"s": "FAILED", "s/a": "KILLED"}


class TestAround:
    async def test_finally_runs_before_the_end_and_after_execution_after_it(self, workshop: Workshop) -> None:
        """The last tasks see how it ended."""
        text = body(
            broken("a"), errors=[say("e")], finally_=[say("f")], afterExecution=[say("g", "{{ execution.state }}")]
        )
        ended = await workshop.do(text)
        assert list(await states(workshop, ended)) == ["a", "e", "f", "g"]
        assert (ended.state, await value(workshop, ended, "g"), ended.after_pending) == ("FAILED", "FAILED", False)

    async def test_a_failure_in_finally_is_one_of_the_flow(self, workshop: Workshop) -> None:
        """In afterExecution it is not."""
        ended = await workshop.do(body(say("a"), finally_=[broken("f")]))
        assert ended.state == "FAILED"
        ended = await workshop.do(body(say("a"), afterExecution=[broken("f")]), flow_id="other")
        assert (ended.state, await states(workshop, ended)) == ("SUCCESS", {"a": "SUCCESS", "f": "FAILED"})

    async def test_the_last_tasks_are_not_lost_in_a_crash(self, workshop: Workshop) -> None:
        """The executor takes up an execution that has ended but for them."""
        execution = await workshop.execution(body(say("a"), afterExecution=[say("g", "late")]))
        await workshop.journal.executions.start(execution)
        await workshop.journal.executions.end(execution.id, (await workshop.state(execution)).state.SUCCESS, after=True)
        executor = workshop.executor()
        await executor.recover()
        await executor.step()
        while executor.running:
            await asyncio.sleep(0.01)
        assert await value(workshop, execution, "g") == "late"
        assert (await workshop.state(execution)).after_pending is False

    async def test_errors_see_what_the_failed_tasks_said(self, workshop: Workshop) -> None:
        """errorLogs() gives the lines with their tasks."""
        text = "{% for log in errorLogs() %}{{ log.taskId }}: {{ log.message }};{% endfor %}"
        ended = await workshop.do(body(shell("a", "echo oh no >&2; exit 1"), errors=[say("e", text)]))
        assert (await value(workshop, ended, "e")).startswith("a: oh no;a: ")

    async def test_the_states_of_tasks_are_seen(self, workshop: Workshop) -> None:
        """tasks.<id>.state."""
        ended = await workshop.do(body(broken("a", allowFailure=True), say("b", "{{ tasks.a.state }}")))
        assert await value(workshop, ended, "b") == "WARNING"


async def test_a_file_made_in_a_loop_can_be_read(workshop: Workshop) -> None:
    """Its URI has nothing of the loop's brackets."""
    write = task("storage.Write", "w", content="{{ taskrun.value }}!")
    loop = task("flow.ForEach", "each", values=["v"], tasks=[write])
    ended = await workshop.do(body(loop, say("s", "{{ read(outputs.w.v.uri) }}")))
    assert await value(workshop, ended, "s") == "v!"


async def test_tasks_that_ended_in_a_state_can_be_told(workshop: Workshop) -> None:
    """With the value of their loop."""
    loop = task("flow.ForEach", "each", values=["v"], tasks=[broken("t", allowFailure=True)])
    ended = await workshop.do(body(loop, say("s", "{{ tasksWithState('WARNING') }}")))
    assert '{"taskId":"t","state":"WARNING","value":"v"}' in await value(workshop, ended, "s")


async def test_the_output_of_an_iteration_deeper_inside(workshop: Workshop) -> None:
    """A task that is no loop adds no level."""
    tasks = [say("a", "{{ taskrun.value }}!"), say("b", "{{ currentEachOutput(outputs.a).value }}")]
    inner = task("flow.ForEach", "inner", values=["v"], tasks=[task("flow.Sequential", "s", tasks=tasks)])
    ended = await workshop.do(body(task("flow.ForEach", "outer", values=["v"], tasks=[inner])))
    assert await value(workshop, ended, "outer[0]/inner[0]/s/b") == "v!"
