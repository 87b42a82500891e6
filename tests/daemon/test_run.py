"""Inside one execution: real tasks, a real journal, and what is left of it after an interruption."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from workshop.builders import Workshop, until

from tidewaiter.daemon.database.sqlite import SqliteDatabase
from tidewaiter.daemon.journal.executions import Executions
from tidewaiter.daemon.records import Execution, TaskRun, TaskRunState, now, task_run_id


def shell(identifier: str, *commands: str, **properties: Any) -> str:
    """A shell task as a line of YAML."""
    given = {"id": identifier, "type": "shell.Commands", "runner": "PROCESS", "commands": commands}
    return json.dumps({**given, **properties})


def say(identifier: str, text: str, **properties: Any) -> str:
    return json.dumps({"id": identifier, "type": "debug.Return", "format": text, **properties})


def tasks(*lines: str, key: str = "tasks") -> str:
    return f"{key}:\n" + "".join(f"  - {line}\n" for line in lines)


def together(identifier: str, *lines: str, **properties: Any) -> str:
    return json.dumps(
        {"id": identifier, "type": "flow.WorkingDirectory", "tasks": [json.loads(x) for x in lines], **properties}
    )


async def recorded(workshop: Workshop, execution: Execution, path: str, state: TaskRunState, **outputs: Any) -> None:
    """Put the row of an earlier attempt into the journal."""
    executions = workshop.journal.executions
    await executions.start_task(TaskRun(execution.id, path, 1, TaskRunState.RUNNING, now()))
    run = TaskRun(execution.id, path, 1, TaskRunState.RUNNING, "")
    if state is not TaskRunState.RUNNING:
        await executions.end_task(run, state, outputs, "recorded" if state is TaskRunState.FAILED else None)


async def states(workshop: Workshop, execution: Execution) -> dict[str, str]:
    return {path: run.state.value for path, run in (await workshop.task_runs(execution)).items()}


async def test_tasks_run_in_order_and_see_what_came_before(workshop: Workshop) -> None:
    """Each task has the outputs of those before it."""
    ended = await workshop.do(tasks(say("a", "one"), say("b", "{{ outputs.a.value }} two")))
    runs = await workshop.task_runs(ended)
    assert (ended.state, runs["b"].outputs) == ("SUCCESS", {"value": "one two"})


async def test_a_task_finds_the_object_as_a_local_file(workshop: Workshop) -> None:
    """The arrived content is where the flow wants it, its outputs are kept."""
    script = shell(
        "s",
        "tr ';' ',' < data.csv > out.csv",
        inputFiles={"data.csv": "{{ trigger.objects[0].uri }}"},
        outputFiles=["*.csv"],
    )
    ended = await workshop.do(tasks(script), content="a;b\n")
    files = (await workshop.task_runs(ended))["s"].outputs["outputFiles"]
    assert workshop.place.storage.path(files["out.csv"]).read_text() == "a,b\n"


async def test_the_sequence_stops_at_a_failure(workshop: Workshop) -> None:
    """What comes after is not begun; the execution fails with the task's name and reason."""
    ended = await workshop.do(tasks(say("a", "x"), shell("b", "exit 3"), say("c", "y")))
    assert await states(workshop, ended) == {"a": "SUCCESS", "b": "FAILED"}
    assert (ended.state, (ended.error or "").startswith("task 'b': ")) == ("FAILED", True)


async def test_an_allowed_failure_is_a_warning(workshop: Workshop) -> None:
    """The flow goes on and ends in WARNING."""
    ended = await workshop.do(tasks(shell("a", "exit 1", allowFailure=True), say("b", "x")))
    assert (ended.state, await states(workshop, ended)) == ("WARNING", {"a": "WARNING", "b": "SUCCESS"})


async def test_an_allowed_warning_is_a_success(workshop: Workshop) -> None:
    """A script that complains on stderr warns; where that is allowed it does not count."""
    warning = shell("a", "echo oh >&2")
    allowed = shell("a", "echo oh >&2", allowWarning=True)
    assert [(await workshop.do(tasks(task), flow_id=f"f{n}")).state for n, task in enumerate((warning, allowed))] == [
        "WARNING",
        "SUCCESS",
    ]


async def test_a_failure_that_is_allowed_and_may_warn_is_a_success(workshop: Workshop) -> None:
    """One after the other: first it counts as a warning, then that as a success (kestra.md §1.5)."""
    assert (await workshop.do(tasks(shell("a", "exit 1", allowFailure=True, allowWarning=True)))).state == "SUCCESS"


async def test_a_disabled_task_is_not_there(workshop: Workshop) -> None:
    """It leaves no trace."""
    ended = await workshop.do(tasks(shell("a", "exit 1", disabled=True), say("b", "x")))
    assert (ended.state, await states(workshop, ended)) == ("SUCCESS", {"b": "SUCCESS"})


async def test_errors_run_once_after_a_failure(workshop: Workshop) -> None:
    """The execution is still failed, for the first reason."""
    ended = await workshop.do(tasks(shell("a", "exit 1")) + tasks(say("e", "saw it"), key="errors"))
    assert (ended.state, await states(workshop, ended)) == ("FAILED", {"a": "FAILED", "e": "SUCCESS"})
    assert (ended.error or "").startswith("task 'a'")


async def test_errors_do_not_run_after_a_success(workshop: Workshop) -> None:
    """Nor after a warning."""
    ended = await workshop.do(tasks(say("a", "x")) + tasks(say("e", "y"), key="errors"))
    assert await states(workshop, ended) == {"a": "SUCCESS"}


async def test_outputs_of_the_flow_are_rendered_at_the_end(workshop: Workshop) -> None:
    """They are kept with the execution."""
    ended = await workshop.do(tasks(say("a", "x")) + "outputs: [{id: o, value: '{{ outputs.a.value }}!'}]\n")
    assert ended.outputs == {"o": "x!"}


async def test_an_output_that_cannot_be_rendered_fails_the_execution(workshop: Workshop) -> None:
    """The reason names the outputs."""
    ended = await workshop.do(tasks(say("a", "x")) + "outputs: [{id: o, value: '{{ outputs.nope.value }}'}]\n")
    assert (ended.state, (ended.error or "").startswith("flow outputs: ")) == ("FAILED", True)


async def test_labels_are_rendered_and_seen(workshop: Workshop) -> None:
    """A task sees the flow's labels as they are for this execution."""
    ended = await workshop.do("labels: {home: '{{ envs.home }}'}\n" + tasks(say("a", "{{ labels.home }}")))
    assert (await workshop.task_runs(ended))["a"].outputs == {"value": "harbour"}


async def test_an_expression_that_fails_fails_its_task(workshop: Workshop) -> None:
    """The log names property and variable."""
    ended = await workshop.do(tasks(say("a", "{{ outputs.nope }}")))
    assert (ended.state, await states(workshop, ended)) == ("FAILED", {"a": "FAILED"})
    assert any("property 'format'" in message for message in await workshop.log(ended))


async def test_a_timeout_ends_a_task_and_all_it_started(workshop: Workshop, tmp_path: Path) -> None:
    """The reason says how long it had; nothing of it is left alive."""
    ended = await workshop.do(tasks(shell("a", f"(sleep 30; touch {tmp_path}/late) & sleep 30", timeout="PT0.3S")))
    assert ended.error == "task 'a': timed out after PT0.3S; everything it had started was ended"
    assert not (tmp_path / "late").exists()


async def test_a_timeout_of_a_working_directory_counts_for_all_of_it(workshop: Workshop) -> None:
    """Its tasks share the time."""
    ended = await workshop.do(tasks(together("w", shell("a", "sleep 30"), say("b", "x"), timeout="PT0.3S")))
    assert (ended.state, (await states(workshop, ended))["w"]) == ("FAILED", "FAILED")
    assert "timed out after PT0.3S" in (ended.error or "")


async def test_log_lines_are_kept_in_order_by_task(workshop: Workshop) -> None:
    """Output of a script is its log."""
    ended = await workshop.do(tasks(shell("a", "echo one; echo two")))
    lines = [line for _, line in await workshop.journal.logs.of(ended.id) if line.message in {"one", "two"}]
    assert [(line.task_path, line.attempt, line.level, line.message) for line in lines] == [
        ("a", 1, "INFO", "one"),
        ("a", 1, "INFO", "two"),
    ]


async def test_secrets_are_masked_in_logs_and_reasons(workshop: Workshop) -> None:
    """What a script prints, and what an error says of it."""
    body = tasks(
        shell("a", "echo the token is $T; echo $T | rev | rev >&2; exit 1", env={"T": "{{ secret('TOKEN') }}"})
    )
    ended = await workshop.do(body)
    written = " ".join(await workshop.log(ended)) + str(ended.error)
    assert ("s3cr3t-t0k3n" in written, "the token is ******" in written) == (False, True)


async def test_a_flood_of_log_lines_is_cut_and_said(workshop: Workshop) -> None:
    """The limit holds per task run; the task goes on."""
    ended = await workshop.do(tasks(shell("a", "seq 1000"), shell("b", "echo after")))
    messages = await workshop.log(ended)
    assert (ended.state, len(messages) < 210, "after" in messages) == ("SUCCESS", True, True)
    assert any("log cut after 200 lines" in message for message in messages)


async def test_the_log_level_of_a_task_leaves_out_less(workshop: Workshop) -> None:
    """DEBUG is left out unless asked for."""
    ended = await workshop.do(tasks(say("a", "one"), say("b", "two", logLevel="DEBUG")))
    assert await workshop.log(ended) == ["value: two"]


async def test_programs_know_which_run_they_are(workshop: Workshop) -> None:
    """Keys for effects outside: execution, task run and attempt; nothing of the daemon's environment."""
    ended = await workshop.do(tasks(shell("a", "echo $EXECUTION_ID $TASK_RUN_ID $ATTEMPT $FLOW_ID $NAMESPACE")))
    assert f"{ended.id} {task_run_id(ended.id, 'a')} 1 orders demo" in await workshop.log(ended)


async def test_outputs_told_by_a_hostile_program_do_no_harm(workshop: Workshop) -> None:
    """Half a surrogate pair, in outputs and logs, is kept as near as can be."""
    line = r"""printf '%s\n' '::{"outputs":{"a":"x\ud800"},"logs":[{"message":"y\ud800"}]}::'"""
    ended = await workshop.do(tasks(shell("a", line), say("b", "{{ outputs.a.vars.a }}", logLevel="DEBUG")))
    assert (ended.state, "y?" in await workshop.log(ended)) == ("SUCCESS", True)


async def test_nothing_is_left_in_the_work_folder(workshop: Workshop) -> None:
    """Whether it succeeded or failed."""
    for number, command in enumerate(("echo > x", "echo > x; exit 1")):
        await workshop.do(tasks(shell("a", command), together("w", shell("b", "echo > y"))), flow_id=f"f{number}")
    assert list(workshop.place.work.iterdir()) == []


async def test_tasks_in_a_working_directory_share_it(workshop: Workshop) -> None:
    """In order; tasks outside see nothing of it."""
    body = tasks(together("w", shell("a", "echo hi > x"), shell("b", "cat x")), shell("c", "ls"))
    ended = await workshop.do(body)
    assert (ended.state, await states(workshop, ended)) == (
        "SUCCESS",
        dict.fromkeys(["w", "w/a", "w/b", "c"], "SUCCESS"),
    )
    assert (await workshop.log(ended)).count("hi") == 1


async def test_a_working_directory_has_inputs_and_outputs(workshop: Workshop) -> None:
    """Inputs before its first task, outputs after its last."""
    directory = together("w", shell("a", "cp in.txt out.txt"), inputFiles={"in.txt": "hello"}, outputFiles=["out.*"])
    ended = await workshop.do(tasks(directory))
    [uri] = (await workshop.task_runs(ended))["w"].outputs["outputFiles"].values()
    assert workshop.place.storage.path(uri).read_text() == "hello"


async def test_a_failure_in_a_working_directory_fails_it_but_keeps_its_files(workshop: Workshop) -> None:
    """What was made before the failure can be looked at."""
    ended = await workshop.do(
        tasks(together("w", shell("a", "echo 1 > x; exit 1"), shell("b", "echo no"), outputFiles=["x"]))
    )
    assert await states(workshop, ended) == {"w": "FAILED", "w/a": "FAILED"}
    assert list((await workshop.task_runs(ended))["w"].outputs["outputFiles"]) == ["x"]


async def test_a_finished_task_is_never_run_again(workshop: Workshop, tmp_path: Path) -> None:
    """Its recorded result stands, and later tasks see its outputs."""
    execution = await workshop.execution(
        tasks(shell("a", f"touch {tmp_path}/again"), say("b", "{{ outputs.a.value }}"))
    )
    await recorded(workshop, execution, "a", TaskRunState.SUCCESS, value="kept")
    ended = await workshop.run(execution)
    assert (ended.state, (await workshop.task_runs(ended))["b"].outputs) == ("SUCCESS", {"value": "kept"})
    assert not (tmp_path / "again").exists()


async def test_a_recorded_failure_stands(workshop: Workshop, tmp_path: Path) -> None:
    """After a crash between the failure and the end, the rest follows from it; error tasks run."""
    body = tasks(shell("a", f"touch {tmp_path}/again"), say("b", "x")) + tasks(say("e", "y"), key="errors")
    execution = await workshop.execution(body)
    await recorded(workshop, execution, "a", TaskRunState.FAILED)
    ended = await workshop.run(execution)
    assert (ended.state, await states(workshop, ended)) == ("FAILED", {"a": "FAILED", "e": "SUCCESS"})


async def test_an_interrupted_task_gets_another_attempt(workshop: Workshop) -> None:
    """The number of the attempt is told to the program."""
    execution = await workshop.execution(tasks(shell("a", "echo attempt $ATTEMPT")))
    await workshop.journal.executions.start(execution)
    await recorded(workshop, execution, "a", TaskRunState.RUNNING)
    await workshop.journal.executions.requeue(execution.id, counted=True)
    ended = await workshop.run(execution)
    assert [(r.attempt, r.state) for r in await workshop.journal.executions.task_runs(ended.id)] == [
        (1, "INTERRUPTED"),
        (2, "SUCCESS"),
    ]
    assert "attempt 2" in await workshop.log(ended)


async def test_outputs_of_tasks_inside_are_seen_after_a_restart(workshop: Workshop) -> None:
    """A finished working directory is not entered again, but what its tasks gave is still there."""
    execution = await workshop.execution(tasks(together("w", say("a", "x")), say("b", "{{ outputs.a.value }}")))
    await recorded(workshop, execution, "w", TaskRunState.SUCCESS)
    await recorded(workshop, execution, "w/a", TaskRunState.SUCCESS, value="inside")
    ended = await workshop.run(execution)
    assert (ended.state, (await workshop.task_runs(ended))["b"].outputs) == ("SUCCESS", {"value": "inside"})


async def interrupted(workshop: Workshop, execution: Execution, sign: Path) -> None:
    """Start *execution* and break it off when *sign* appears."""
    await workshop.journal.executions.start(execution)
    running = asyncio.create_task((await workshop.prepared(execution)).carry_out())
    await until(sign.exists)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await workshop.journal.executions.requeue(execution.id, counted=True)


async def test_a_working_directory_goes_on_in_the_same_directory(workshop: Workshop, tmp_path: Path) -> None:
    """Files of finished tasks are still there; inputs are not placed again over what they have become."""
    first = shell("a", "echo changed > in.txt")
    second = shell("b", f"cat in.txt; test $ATTEMPT = 2 || {{ touch {tmp_path}/sign; sleep 30; }}")
    execution = await workshop.execution(tasks(together("w", first, second, inputFiles={"in.txt": "fresh"})))
    await interrupted(workshop, execution, tmp_path / "sign")
    ended = await workshop.run(execution)
    assert (ended.state, (await workshop.log(ended))[-1]) == ("SUCCESS", "changed")
    assert [
        (r.task_path, r.attempt) for r in await workshop.journal.executions.task_runs(ended.id) if r.task_path == "w/a"
    ] == [("w/a", 1)]


async def test_a_lost_directory_fails_with_the_reason(workshop: Workshop) -> None:
    """Tasks that need what is gone are not run in an empty directory."""
    execution = await workshop.execution(tasks(together("w", say("a", "x"), shell("b", "ls"))))
    await recorded(workshop, execution, "w/a", TaskRunState.SUCCESS)
    ended = await workshop.run(execution)
    assert (ended.state, "the working directory was lost" in (ended.error or "")) == ("FAILED", True)


async def test_a_cancelled_run_leaves_no_process_and_no_end(workshop: Workshop, tmp_path: Path) -> None:
    """What it had started is ended; the execution is still running on record."""
    command = f"touch {tmp_path}/sign; sleep 1; touch {tmp_path}/late"
    execution = await workshop.execution(tasks(shell("a", command)))
    await workshop.journal.executions.start(execution)
    running = asyncio.create_task((await workshop.prepared(execution)).carry_out())
    await until((tmp_path / "sign").exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await workshop.state(execution)).state == "RUNNING"
    assert not (tmp_path / "late").exists()


async def test_a_full_disk_delays_a_result_and_does_not_undo_it(
    workshop: Workshop, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that has ended is recorded when there is space again, and not run a second time."""
    monkeypatch.setattr("tidewaiter.daemon.journal.patience._PAUSE", timedelta(milliseconds=10))
    big = shell("a", """python3 -c 'print("::{\\"outputs\\":{\\"x\\":\\"" + "y" * 3000000 + "\\"}}::")'""")
    execution = await workshop.execution(tasks(together("w", big)))
    await workshop.journal.executions.start(execution)
    run = await workshop.prepared(execution)
    pages = database._writing.execute("PRAGMA page_count").fetchone()[0]
    database._writing.execute(f"PRAGMA max_page_count = {pages + 50}")
    running = asyncio.create_task(run.carry_out())
    await asyncio.wait({running}, timeout=1)
    assert await states(workshop, execution) == {"w": "RUNNING", "w/a": "RUNNING"}
    database._writing.execute("PRAGMA max_page_count = 1073741823")
    assert await running == "SUCCESS"
    assert [r.attempt for r in await workshop.journal.executions.task_runs(execution.id)] == [1, 1]


async def test_one_execution_cannot_read_anothers_files(workshop: Workshop) -> None:
    """A URI alone opens nothing."""
    first = await workshop.execution(tasks(say("a", "x")))
    [stolen] = [d.uri for d in await workshop.journal.detections.batch(first.batch_id)]
    ended = await workshop.do(tasks(shell("a", "cat f", inputFiles={"f": stolen})), flow_id="thief")
    assert (ended.state, "belongs to another execution" in (ended.error or "")) == ("FAILED", True)


async def test_nothing_of_a_failed_attempt_is_left_to_the_next(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is recorded that it is tried again, a crash must not leave a directory that looks entered already."""
    watched = "triggers: [{id: arrival, type: aws.s3.Trigger, bucket: b, prefix: raw/, action: NONE, maxAttempts: 2}]\n"
    execution = await workshop.execution(tasks(together("wd", shell("a", "exit 1"))) + watched)
    retry, left = Executions.retry, []

    async def noting(self: Executions, identifier: str, **given: str) -> bool:
        left.append((workshop.place.work / identifier).exists())
        return await retry(self, identifier, **given)

    monkeypatch.setattr(Executions, "retry", noting)
    assert ((await workshop.run(execution)).state, left) == ("CREATED", [False])


async def test_an_output_that_is_not_required_may_be_missing(workshop: Workshop) -> None:
    """It is left out."""
    outputs = "outputs: [{id: o, value: '{{ outputs.nope.value }}', required: false}, {id: p, value: x}]\n"
    ended = await workshop.do(tasks(say("a", "x")) + outputs)
    assert (ended.state, ended.outputs) == ("SUCCESS", {"p": "x"})


async def test_labels_and_inputs_are_recorded_as_they_are_in_the_end(workshop: Workshop) -> None:
    """A task adds a label, and the inputs keep their types."""
    label = json.dumps({"id": "l", "type": "execution.Labels", "labels": {"quay": "7"}})
    flow = tasks(label) + "labels: {team: tide}\ninputs: [{id: n, type: INT, defaults: 2}]\n"
    ended = await workshop.do(flow)
    assert (ended.labels, ended.inputs) == ({"team": "tide", "quay": "7"}, {"n": 2})
