"""The journal as JSON, in the shapes that design.md §5 promises."""

import json

from workshop.builders import BUCKET, TRIGGER, Intake, Workshop

from tidewaiter.daemon import views
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import LogLine, TaskRun, TaskRunState, TriggerStatus

SUMMARY = {
    "id", "namespace", "flowId", "flowRevision", "state", "trigger", "createdAt", "startedAt", "endedAt", "attempts",
}  # fmt: skip
OBJECT = {"uri", "bucket", "key", "etag", "versionId", "size", "lastModified", "changeType", "captures", "movedTo"}
TASK_RUN = {"id", "taskId", "state", "attempts", "startedAt", "endedAt", "outputs"}


def run(path: str, attempt: int, state: TaskRunState, started: str, **outputs: object) -> TaskRun:
    return TaskRun("e1", path, attempt, state, started, started, outputs)


async def test_an_execution_has_the_promised_shape(intake: Intake, journal: Journal) -> None:
    """Names and nesting are a contract."""
    await intake.deliver("raw/é.csv")
    [shown] = await views.executions(journal, state=None, flow=None, limit=10)
    assert set(shown) >= SUMMARY
    assert set(shown["trigger"]) == {"id", "type", "objects", "variables"}
    assert set(shown["trigger"]["objects"][0]) == OBJECT
    assert (shown["flowId"], shown["state"], shown["trigger"]["objects"][0]["key"]) == (
        "orders",
        "CREATED",
        "raw/é.csv",
    )


async def test_details_add_task_runs_and_outputs(workshop: Workshop) -> None:
    """What 'executions show' promises; everything of it is JSON."""
    body = "tasks: [{id: a, type: debug.Return, format: x}]\noutputs: [{id: o, value: '{{ outputs.a.value }}'}]\n"
    shown = await views.execution_details(workshop.journal, await workshop.do(body))
    assert set(shown) >= SUMMARY | {"taskRuns", "outputs"}
    assert set(shown["taskRuns"][0]) >= TASK_RUN
    assert (shown["taskRuns"][0]["outputs"], shown["outputs"]) == ({"value": "x"}, {"o": "x"})
    assert json.loads(json.dumps(shown)) == shown


def test_a_task_is_shown_with_its_latest_attempt() -> None:
    """Attempts are counted, the first start is the start."""
    runs = [
        run("a", 1, TaskRunState.INTERRUPTED, "1"),
        run("b", 1, TaskRunState.SUCCESS, "2"),
        run("a", 2, TaskRunState.SUCCESS, "3", n=1),
    ]
    shown = views.task_runs(runs)
    assert [(r["path"], r["attempts"], r["state"], r["startedAt"], r["endedAt"]) for r in shown] == [
        ("a", 2, "SUCCESS", "1", "3"),
        ("b", 1, "SUCCESS", "2", "2"),
    ]


def test_a_nested_task_has_id_and_path() -> None:
    """The id is what the flow calls it, the path where it is."""
    [shown] = views.task_runs([run("wdir/clean", 1, TaskRunState.SUCCESS, "1")])
    assert (shown["taskId"], shown["path"]) == ("clean", "wdir/clean")


async def test_inputs_that_are_secret_are_not_shown(journal: Journal) -> None:
    """Although the journal has them: an execution that goes on after a restart needs them."""
    inputs = "inputs: [{id: pin, type: SECRET}, {id: n, type: INT}]"
    revision = await journal.triggers.register("demo", "orders", f"id: orders\nnamespace: demo\n{inputs}\n")
    await journal.executions.by_hand(TRIGGER, revision, {"pin": "hush-hush", "n": 1})
    [shown] = await views.executions(journal, state=None, flow=None, limit=10)
    assert shown["inputs"] == {"pin": "******", "n": 1}


def test_a_log_line() -> None:
    """Number, time, level, task and message."""
    shown = views.log_line(3, LogLine("e1", "t", 2, "now", "WARN", "careful"))
    assert shown == {"line": 3, "at": "now", "level": "WARN", "task": "t", "attempt": 2, "message": "careful"}


def test_files_are_found_among_outputs() -> None:
    """Captured files of tasks and of the flow, under their task's name; other outputs are none."""
    runs = [{"taskId": "a", "outputs": {"outputFiles": {"x/y.csv": "kestra:///1"}, "vars": {"n": "kestra:///no"}}}]
    found = views.stored_files(runs, {"uris": {"z": "kestra:///2"}, "n": 1, "outputFiles": "odd"})
    assert found == {"a/x/y.csv": "kestra:///1", "outputs/z": "kestra:///2"}


def test_a_trigger_with_its_state() -> None:
    """Paused comes before trouble, trouble before all is well; the problem is shown either way."""
    facts = {"type": "t", "state": "OK", "bucket": BUCKET}
    trouble = TriggerStatus(str(TRIGGER), cause="Timeout", message="m", hint="h", since="s")
    paused = TriggerStatus(str(TRIGGER), paused=True, cause="Timeout", message="m")
    shown = [views.trigger_view(TRIGGER, facts, status, {"DONE": 1}) for status in (None, trouble, paused)]
    assert [view["state"] for view in shown] == ["OK", "ERROR", "PAUSED"]
    assert shown[0]["problem"] is None
    assert shown[1]["problem"] == {"cause": "Timeout", "message": "m", "hint": "h", "since": "s"}
    assert (shown[2]["problem"]["cause"], shown[2]["detections"], shown[2]["name"]) == (
        "Timeout",
        {"DONE": 1},
        str(TRIGGER),
    )
