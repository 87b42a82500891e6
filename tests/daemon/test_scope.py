"""What an expression sees."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from workshop.builders import BUCKET, Workshop

from tidewaiter.config.errors import ExpressionError, SecretMissingError
from tidewaiter.config.expression import Expressions, Scope
from tidewaiter.daemon.flows import AnyFlow, parse_flow
from tidewaiter.daemon.records import Detection, DetectionState, Execution, ExecutionState, TaskRun, TaskRunState
from tidewaiter.daemon.scope import (
    Host,
    ScopedRendering,
    environment_variables,
    execution_variables,
    object_variables,
    task_scope,
    trigger_scope,
)
from tidewaiter.daemon.secrets import Secrets
from tidewaiter.daemon.storage import ExecutionFiles, NamespaceFolders, Storage

FLOW = """\
id: orders
namespace: demo.sub
variables: {folder: raw, nested: {x: [1, 2]}}
inputs:
  - {id: day, defaults: monday}
  - {id: db.host, defaults: h}
  - {id: empty}
  - {id: a, defaults: {own: 1}}
  - {id: a.b, defaults: 2}
tasks: [{id: hello, type: log.Log, message: hi}]
triggers: [{id: arrival, type: aws.s3.Trigger, bucket: b, action: NONE}]
"""
EXECUTION = Execution(
    id="e1", batch_id="b1", namespace="demo.sub", flow_id="orders", flow_revision=7, trigger="demo.sub/orders/arrival",
    trigger_type="io.kestra.plugin.aws.s3.Trigger", state=ExecutionState.RUNNING, held=False, attempts=1,
    created_at="2026-01-01T00:00:00.000000Z", started_at="2026-01-01T00:00:01.000000Z",
)  # fmt: skip
OBJECT = Detection(
    id="d1", trigger="demo.sub/orders/arrival", batch_id="b1", ordinal=0, flow_revision=7, bucket=BUCKET,
    key="raw/{{ 7*7 }}.csv", etag="e", size=3, last_modified="2026-01-01T00:00:00.000000Z", version_id="v1",
    change_type="CREATE", action="MOVE",
    state=DetectionState.DONE, dest_bucket="archive", dest_key="done/a.csv", uri="kestra:///x/data.csv",
)  # fmt: skip
RUN = TaskRun("e1", "wdir/hello", 2, TaskRunState.RUNNING, "2026-01-01T00:00:02.000000Z")


@pytest.fixture
def flow(expressions: Expressions) -> AnyFlow:
    return parse_flow(FLOW, "f.yaml", expressions)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "files" / "demo.sub").mkdir(parents=True)
    (tmp_path / "files" / "demo.sub" / "query.sql").write_text("select 1")
    (tmp_path / "files" / "outside").write_text("no")
    return Host(Secrets({"TOKEN": "t0k3n"}), {"home": "harbour"}, tmp_path / "files")


@pytest.fixture
def scope(flow: AnyFlow, host: Host, tmp_path: Path) -> Scope:
    folders = NamespaceFolders(tmp_path / "files", "demo.sub")
    files = ExecutionFiles.of(Storage(tmp_path / "storage"), EXECUTION, "t", "r", folders)
    variables = execution_variables(flow, EXECUTION, [OBJECT], host)
    return task_scope(variables, flow.tasks[0], RUN, (Path("/work"), Path("/out")), files, host)


def put(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "storage/demo/sub/orders/executions/e1/x"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return "kestra:///demo/sub/orders/executions/e1/x"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ flow.namespace }}.{{ flow.id }} {{ flow.revision }}", "demo.sub.orders 7"),
        ("{{ execution.id }} {{ execution.originalId }}", "e1 e1"),
        ("{{ execution.startDate }}", "2026-01-01T00:00:01.000000Z"),
        ("{{ vars.folder }} {{ vars.nested.x[1] }}", "raw 2"),
        ("{{ inputs.day }} {{ inputs.db.host }}", "monday h"),
        ("{{ envs.home }}", "harbour"),
        ("{{ secret('TOKEN') }}", "t0k3n"),
        ("{{ task.id }} {{ task.type }}", "hello log.Log"),
        ("{{ taskrun.attemptsCount }}", "1"),
        ("{{ workingDir }} {{ outputDir }}", "/work /out"),
        ("{{ trigger._context.id }}", "arrival"),
        ("{{ trigger.objects[0].uri }}", "kestra:///x/data.csv"),
        ("{{ trigger.objects | jq('.[].bucket') | first }}", BUCKET),
        ("{{ trigger.objects[0].movedTo.uri }}", "s3://archive/done/a.csv"),
        ("{{ read('query.sql') }}", "select 1"),
        ("{{ read('/query.sql') }} {{ read('query.sql', namespace='demo.sub') }}", "select 1 select 1"),
        ("{{ fileURI('a/query.sql') }}", "kestra:///demo/sub/_files/a/query.sql"),
        ("{{ read(fileURI('query.sql')) }} {{ read('nsfile:///query.sql') }}", "select 1 select 1"),
        ("{{ read('nsfile://demo.sub/query.sql') }} {{ fileSize('query.sql') }}", "select 1 8"),
        ("{{ fileExists('query.sql') }} {{ fileExists('nope.sql') }}", "true false"),
        ("{{ fileExists('../outside') }}", "false"),
    ],
)  # fmt: skip
def test_what_a_task_sees(expressions: Expressions, scope: Scope, source: str, text: str) -> None:
    """Kestra's names (kestra.md §1.12), and the object that arrived."""
    assert expressions.render(source, scope) == text


def test_a_key_is_data(expressions: Expressions, scope: Scope) -> None:
    """What looks like an expression in a key stays what it is."""
    assert expressions.render("{{ trigger.objects[0].key }}", scope) == "raw/{{ 7*7 }}.csv"


def test_an_input_without_default_is_not_there(expressions: Expressions, scope: Scope) -> None:
    """An execution started by a bucket has no inputs to give."""
    with pytest.raises(ExpressionError):
        expressions.render("{{ inputs.empty }}", scope)


def test_names_that_are_values_and_groups_at_once(expressions: Expressions, scope: Scope) -> None:
    """'a' is a value, so 'a.b' is reached by its whole name."""
    assert expressions.render("{{ inputs.a.own }} {{ inputs['a.b'] }}", scope) == "1 2"


def test_the_flows_own_data_is_not_touched(flow: AnyFlow, host: Host) -> None:
    """A default that is a map stays as written when another input nests below it."""
    before = flow.model_dump()
    execution_variables(flow, EXECUTION, [], host)
    assert flow.model_dump() == before


def test_an_object_that_was_lost_is_not_shown(flow: AnyFlow, host: Host) -> None:
    """Only objects whose content is here."""
    lost = replace(OBJECT, uri=None, state=DetectionState.GONE)
    assert len(execution_variables(flow, EXECUTION, [OBJECT, lost], host)["trigger"]["objects"]) == 1


def test_an_object_that_was_not_moved_says_so() -> None:
    """Where there is no destination, movedTo is null."""
    assert object_variables(replace(OBJECT, dest_key=None))["movedTo"] is None


def test_a_replay_knows_the_original(flow: AnyFlow, host: Host) -> None:
    """execution.originalId is the first one."""
    variables = execution_variables(flow, replace(EXECUTION, original_id="e0"), [], host)
    assert (variables["execution"]["id"], variables["execution"]["originalId"]) == ("e1", "e0")


def test_what_a_trigger_sees(expressions: Expressions, flow: AnyFlow, host: Host) -> None:
    """Flow, variables and secrets; there is no execution yet."""
    scope = trigger_scope(flow, 7, flow.triggers[0], host)
    assert expressions.render("{{ vars.folder }}/{{ trigger.id }} {{ secret('TOKEN') }}", scope) == "raw/arrival t0k3n"
    with pytest.raises(ExpressionError):
        expressions.render("{{ execution.id }}", scope)


def test_a_missing_secret_is_told_as_such(expressions: Expressions, scope: Scope) -> None:
    """Whoever reports it can tell it from a mistake in the flow."""
    with pytest.raises(SecretMissingError, match="there is no secret 'NOPE'"):
        expressions.render("{{ secret('NOPE') }}", scope)


def test_stored_files_can_be_read(expressions: Expressions, scope: Scope, tmp_path: Path) -> None:
    """Text, size and emptiness of a file of the execution."""
    uri = put(tmp_path, "é".encode())
    source = f"{{{{ read('{uri}') }}}} {{{{ fileSize('{uri}') }}}} {{{{ isFileEmpty('{uri}') }}}}"
    assert expressions.render(source, scope) == "é 2 false"


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc/passwd", "nope", ".", "", "kestra:///demo/other/x", "kestra:///../x", "file:///etc/passwd"],
)
def test_nothing_else_can_be_read(expressions: Expressions, scope: Scope, name: str) -> None:
    """Neither files of the host nor of other flows."""
    with pytest.raises(ExpressionError):
        expressions.render(f"{{{{ read('{name}') }}}}", scope)


def test_binary_files_are_refused(expressions: Expressions, scope: Scope, tmp_path: Path) -> None:
    """The hint says how to use them instead."""
    uri = put(tmp_path, b"\xff\xfe")
    with pytest.raises(ExpressionError, match="not UTF-8") as caught:
        expressions.render(f"{{{{ read('{uri}') }}}}", scope)
    assert "inputFiles" in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "seen"),
    [({"KESTRA_Home": "a", "ENV_X": "b", "PATH": "c", "SECRET_A": "d"}, {"home": "a", "x": "b"}), ({}, {})],
)
def test_envs_are_what_the_operator_marked(environment: dict[str, str], seen: dict[str, Any]) -> None:
    """Only variables with one of the prefixes are lent to flows."""
    assert environment_variables(environment) == seen


async def test_a_clash_of_names_does_not_stop_an_execution(workshop: Workshop) -> None:
    """Names that are values and groups at once are no reason to fail."""
    ended = await workshop.do(
        "labels: {a: x, a.b: y}\ntasks: [{id: t, type: debug.Return, format: \"{{ labels['a.b'] }}\"}]\n"
    )
    assert ended.state == "SUCCESS"


def test_a_task_renders_with_variables_of_its_own() -> None:
    """What it adds is on top of what its properties see, and only there; functions stay."""
    scope = Scope({"a": 1, "b": 2}, {"secret": lambda name: f"<{name}>"})
    rendering = ScopedRendering(Expressions(), scope)
    assert rendering.render("{{ a }} {{ b }} {{ secret('S') }}", {"b": 3}) == "1 3 <S>"
    assert (rendering.render("{{ b }}"), rendering.evaluate("{{ [a, b] }}")) == ("2", [1, 2])


OLD = """id: old
namespace: demo
variables:
  day: "{{ trigger.objects[0].size }} of {{ vars.month }}"
  month: May
tasks:
  - {id: t, type: log.Log, message: x}
"""


@pytest.fixture
def old(expressions: Expressions, host: Host, tmp_path: Path) -> Scope:
    """What a flow from before Kestra 0.14 sees, with the switch set."""
    recursive = replace(host, recursive=True)
    flow = parse_flow(OLD, "f.yaml", expressions)
    (tmp_path / "files" / "demo.sub" / "query.sql").write_text("{{ secret('TOKEN') }}")
    files = ExecutionFiles.of(Storage(tmp_path), EXECUTION, "t", "r", NamespaceFolders(tmp_path / "files", "demo.sub"))
    variables = execution_variables(flow, EXECUTION, [OBJECT], recursive)
    return task_scope(variables, flow.tasks[0], RUN, (Path("/work"), Path("/out")), files, recursive)


def test_variables_of_old_flows_are_rendered_where_they_are_used(expressions: Expressions, old: Scope) -> None:
    """As often as it takes."""
    assert expressions.render("{{ vars.day }}", old) == "3 of May"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ trigger.objects[0].key }}", "raw/{{ 7*7 }}.csv"),
        ("{{ read('query.sql') }}", "{{ secret('TOKEN') }}"),
    ],
)
def test_data_are_not_rendered_even_for_old_flows(expressions: Expressions, old: Scope, source: str, text: str) -> None:
    """Keys and contents stay what they are."""
    assert expressions.render(source, old) == text
