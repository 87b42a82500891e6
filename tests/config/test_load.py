"""Documents to models: every mistake at once, each at its place, in words a flow's author understands."""

import textwrap

import pytest

from tidewaiter.config.document import parse
from tidewaiter.config.errors import ConfigError, Problem
from tidewaiter.config.expression import Expressions
from tidewaiter.config.load import validate
from tidewaiter.daemon.flows import AnyFlow

GOOD = "id: orders\nnamespace: demo\n"
TASK = "tasks: [{id: hello, type: log.Log, message: hi}]\n"


def check(text: str) -> AnyFlow:
    return validate(parse(textwrap.dedent(text), "f.yaml"), AnyFlow, Expressions())


def problems(text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        check(text)
    return list(caught.value.problems)


def only(text: str) -> Problem:
    found = problems(text)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]


def task(properties: str) -> str:
    return GOOD + "tasks:\n  - id: hello\n    type: log.Log\n" + textwrap.indent(textwrap.dedent(properties), "    ")


def test_a_good_flow_is_a_model() -> None:
    """What is right comes out typed."""
    flow = check(GOOD + TASK)
    assert (flow.path, [item.id for item in flow.tasks]) == ("demo.orders", ["hello"])


def test_every_mistake_is_told_in_order_of_place() -> None:
    """One look shows all there is to mend, top to bottom, whatever kind of mistake it is."""
    text = """\
        id: orders
        namespace: Demo
        descriptin: x
        tasks:
          - id: a
            type: log.Log
            message: "{{ a | }}"
          - id: a
            type: log.Lgo
          - type: log.Log
            message: hi
        id: again
        """
    assert [problem.line for problem in problems(text)] == [2, 3, 7, 8, 9, 10, 12]


def test_an_unknown_property_is_told_at_its_key_with_the_nearest_name() -> None:
    """A slip of the finger is answered with what was meant."""
    assert str(only(task("message: hi\ndescripton: x\n"))) == (
        "f.yaml:7:5: unknown property 'descripton' (did you mean 'description'?)"
    )


def test_an_unknown_property_like_no_other_lists_what_there_is() -> None:
    """Where nothing is near, the properties known at this place are named."""
    assert "known here: allowFailure, allowWarning, description" in (only(task("message: hi\nzzz: 1\n")).hint or "")


def test_the_names_known_are_those_of_the_place() -> None:
    """Inside a nested map its own properties are meant."""
    trigger = "triggers: [{id: t, type: aws.s3.Trigger, bucket: b, action: MOVE, moveTo: {key: a/, kmsKey: x}}]\n"
    assert only(GOOD + TASK + trigger).hint == "did you mean 'kmsKeyId'?"


def test_an_unknown_type_has_the_nearest_one() -> None:
    """A mistyped type is told at its value."""
    problem = only(GOOD + "tasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Lgo\n")
    assert str(problem) == (
        "f.yaml:5:11: unknown type 'io.kestra.plugin.core.log.Lgo' (did you mean 'io.kestra.plugin.core.log.Log'?)"
    )


def test_a_type_like_no_other_says_where_the_types_are() -> None:
    """There is always a next step."""
    assert only(GOOD + "tasks: [{id: a, type: acme.Foo}]\n").hint == "'tidewaiter schema' lists the types there are"


@pytest.mark.parametrize("kind", ["io.kestra.plugin.core.flow.Template", "io.kestra.plugin.core.state.Set"])
def test_a_planned_type_is_named_so(kind: str) -> None:
    """A type of Kestra that belongs to the job is not called unknown."""
    assert only(GOOD + f"tasks: [{{id: a, type: {kind}}}]\n").message == f"type '{kind}' is not supported here yet"


def test_a_missing_type_is_told_at_the_task() -> None:
    """A task without a type points at the task."""
    problem = only(GOOD + "tasks:\n  - id: a\n    message: hi\n")
    assert str(problem) == "f.yaml:4:5: property 'type' is missing (every task and trigger names its type)"


def test_a_task_that_is_no_map_is_told_so() -> None:
    """Text where a task should be is called what it is."""
    found = only(GOOD + "tasks: [hello]\n")
    assert str(found).startswith("f.yaml:3:9: should be a map of properties, got 'hello' (it is: ")


@pytest.mark.parametrize(
    ("text", "name"), [("namespace: demo\n" + TASK, "id"), ("id: a\n" + TASK, "namespace"), (GOOD, "tasks")]
)
def test_a_missing_property_is_told_at_what_lacks_it(text: str, name: str) -> None:
    """What is missing at the top is told at the top."""
    assert str(only(text)).startswith(f"f.yaml:1:1: property '{name}' is missing (it is: ")


def test_a_missing_property_of_a_task_points_at_the_task() -> None:
    """What is missing in a task is told at the task."""
    assert str(only(GOOD + "tasks:\n  - id: a\n    type: log.Log\n")) == (
        "f.yaml:4:5: property 'message' is missing (it is: What to write: one record, or a list of them.)"
    )


def test_an_empty_list_of_tasks_is_said_once() -> None:
    """A flow needs a task, in words of YAML."""
    assert only(GOOD + "tasks: []\n").message == "property 'tasks': needs at least one entry"


def test_a_wrong_task_does_not_make_the_list_empty() -> None:
    """One mistake in the only task is one problem."""
    assert only(GOOD + "tasks: [{id: a, type: log.Log}]\n").message == "property 'message' is missing"


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("message: hi\ntimeout: 5 minutes", "property 'timeout': '5 minutes' is not an ISO-8601 duration, for example"),
        ("message: hi\ntimeout: PT0S", "property 'timeout': must be longer than zero, got 'PT0S'"),
        ("message: {a: b}", "property 'message': should be "),
        ("message: hi\nlogLevel: LOUD", "property 'logLevel': should be 'TRACE', 'DEBUG', 'INFO', 'WARN' or 'ERROR'"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_property(properties: str, message: str) -> None:
    """The message names the property, what it takes and what it got."""
    assert any(problem.message.startswith(message) for problem in problems(task(properties)))


def test_no_message_speaks_python() -> None:
    """Lists and maps are called so."""
    text = GOOD + TASK + "triggers: {a: b}\nlabels: 5\nconcurrency: 3\nvariables: [1]\n"
    messages = " ".join(problem.message for problem in problems(text))
    assert not any(word in messages for word in ("tuple", "dictionary", "instance of", "Input"))
    assert messages.count("should be a map") == 3


def test_a_long_value_is_cut_in_the_message() -> None:
    """A message stays readable whatever the value."""
    assert len(only(task(f"message: hi\ndisabled: {'x' * 5000}")).message) < 200


@pytest.mark.parametrize(("group", "entry"), [("tasks", "type: log.Log, message: hi"), ("inputs", "type: STRING")])
def test_ids_are_unique_in_their_group(group: str, entry: str) -> None:
    """The second of two equal ids is told, with the line of the first."""
    text = GOOD + (TASK if group != "tasks" else "") + f"{group}:\n  - {{id: a, {entry}}}\n  - {{id: a, {entry}}}\n"
    assert only(text).message.startswith("id 'a' is used twice, first in line ")


def test_task_ids_are_unique_across_nesting() -> None:
    """A task inside another shares the ids of the whole flow, error tasks included: outputs are addressed by them."""
    text = """\
        id: orders
        namespace: demo
        tasks:
          - id: w
            type: flow.WorkingDirectory
            tasks:
              - {id: a, type: log.Log, message: hi}
        errors:
          - {id: a, type: log.Log, message: hi}
        """
    assert str(only(text)) == "f.yaml:9:10: id 'a' is used twice, first in line 7 (give each its own id)"


def test_a_task_and_a_trigger_may_share_an_id() -> None:
    """They are never addressed in the same way."""
    assert check(GOOD + TASK + "triggers: [{id: hello, type: aws.s3.Trigger, bucket: b, action: NONE}]\n").triggers


def test_a_mistake_inside_a_working_directory_is_at_its_own_line() -> None:
    """Nesting does not blur the place."""
    text = """\
        id: orders
        namespace: demo
        tasks:
          - id: w
            type: io.kestra.plugin.core.flow.WorkingDirectory
            tasks:
              - id: one
                type: python.Commands
                commands: echo hi
              - id: two
                type: shell.Commands
                comands: [ls]
        """
    about = "(it is: The commands, one after another in the same shell.)"
    assert [str(problem) for problem in problems(text)] == [
        f"f.yaml:9:19: property 'commands': should be a list, got 'echo hi' {about}",
        f"f.yaml:10:9: property 'commands' is missing {about}",
        "f.yaml:12:9: unknown property 'comands' (did you mean 'commands'?)",
    ]


def test_a_bad_expression_is_told_at_its_value() -> None:
    """Syntax is checked before anything runs, with the expression quoted."""
    problem = only(task('message: "{{ trigger.objects | }}"'))
    assert (problem.line, problem.column) == (6, 14)
    assert "{{ trigger.objects | }}" in problem.message


@pytest.mark.parametrize("text", ['description: "{{ a | }}"', 'variables: {x: "{{ a | }}"}'])
def test_prose_and_variables_are_not_checked(text: str) -> None:
    """What is never rendered by itself may hold anything."""
    assert check(GOOD + TASK + text)


def test_without_expressions_no_syntax_is_checked() -> None:
    """Settings files have no expressions."""
    assert validate(parse(task('message: "{{ a | }}"'), "f.yaml"), AnyFlow)


@pytest.mark.parametrize(("text", "message"), [("", "the file is empty"), ("- a", "expected a map of properties")])
def test_a_document_that_is_no_map(text: str, message: str) -> None:
    """An empty file and a list are told at the top."""
    assert str(only(text)) == f"f.yaml:1:1: {message}"


def test_duplicate_keys_are_told_with_the_rest() -> None:
    """A duplicate key in an otherwise good flow is enough to refuse it."""
    assert only(GOOD + TASK + "id: other\n").message == "duplicate key 'id'"


def test_a_property_may_only_be_written_in_its_yaml_name() -> None:
    """Python's spelling of a name is none of the author's business."""
    assert only(task("message: hi\nallow_failure: true\n")).hint == "did you mean 'allowFailure'?"


def test_a_rule_over_several_properties_is_told_at_the_whole() -> None:
    """What concerns a trigger as such points at the trigger."""
    trigger = "triggers:\n  - {id: t, type: aws.s3.Trigger, bucket: b, action: MOVE}\n"
    assert str(only(GOOD + TASK + trigger)).startswith("f.yaml:5:5: action MOVE needs a destination")


def test_the_error_as_text_has_a_line_per_problem() -> None:
    """What a daemon logs or a terminal shows is complete."""
    with pytest.raises(ConfigError) as caught:
        check("id: a b\nnamespace: A\n" + TASK)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("name", ["inputs", "outputs"])
def test_a_name_with_dashes_needs_brackets(name: str) -> None:
    """Without them it is a subtraction, which nobody means where an input or a task is called so."""
    flow = GOOD + 'inputs: [{id: my-key}]\ntasks: [{id: my-key, type: log.Log, message: "{{ %s.my-key }}"}]\n'
    found = only(flow % name)
    assert found.message == f"{name}.my-key is a subtraction: a name with dashes needs brackets"
    assert found.hint == f"write {name}['my-key']"


def test_a_subtraction_that_is_meant() -> None:
    """Of names that have no dashes it is left alone."""
    check(GOOD + 'inputs: [{id: a}]\ntasks: [{id: t, type: log.Log, message: "{{ inputs.a-b }}"}]\n')
