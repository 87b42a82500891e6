"""The shape of a flow: what its author may write."""

from typing import Any

import pytest
from pydantic import ValidationError

from tidewaiter.config.flow import Concurrency, Flow, TaskSpec, TriggerSpec
from tidewaiter.config.spec import Template

TASK = {"id": "a", "type": "x"}


def flow(**properties: Any) -> Flow[TaskSpec, TriggerSpec]:
    return Flow[TaskSpec, TriggerSpec].model_validate({"id": "f", "namespace": "n", "tasks": [TASK], **properties})


def test_a_flow_needs_little() -> None:
    """Id, namespace and one task make a flow; nothing else is assumed."""
    made = flow()
    assert (made.path, made.disabled, made.triggers, made.errors, made.concurrency) == ("n.f", False, (), (), None)


def test_labels_may_be_a_map_or_a_list_of_pairs() -> None:
    """Both of Kestra's spellings mean the same; values are text."""
    assert flow(labels={"team": "x", "n": 1}).labels == {"team": "x", "n": "1"}
    assert flow(labels=[{"key": "team", "value": "x"}]).labels == {"team": "x"}


def test_labels_of_another_shape_are_refused() -> None:
    """A list that is not one of pairs is a mistake."""
    with pytest.raises(ValidationError, match="labels"):
        flow(labels=["team"])


def test_a_task_has_kestras_common_properties() -> None:
    """The names are those of Kestra, the defaults too."""
    task = TaskSpec.model_validate({**TASK, "timeout": "{{ t }}", "allowFailure": True, "logLevel": "WARN"})
    assert (task.timeout, task.allow_failure, task.allow_warning, task.log_level) == (
        Template("{{ t }}"),
        True,
        False,
        "WARN",
    )


@pytest.mark.parametrize("limit", [0, -1, "many"])
def test_a_concurrency_limit_is_at_least_one(limit: object) -> None:
    """No execution could ever run below one."""
    with pytest.raises(ValidationError):
        Concurrency.model_validate({"limit": limit})


@pytest.mark.parametrize("behavior", ["QUEUE", "CANCEL", "FAIL"])
def test_what_does_not_fit_the_concurrency_waits_or_ends(behavior: str) -> None:
    """All of Kestra's behaviours can be chosen."""
    assert Concurrency.model_validate({"limit": 1, "behavior": behavior}).behavior == behavior


def test_a_task_has_no_children_by_itself() -> None:
    """Only some tasks hold others."""
    assert TaskSpec.model_validate(TASK).children() == ()


def test_an_input_has_one_of_kestras_types() -> None:
    """An input is text unless it says otherwise; a type nobody knows is refused."""
    assert flow(inputs=[{"id": "a"}]).inputs[0].type == "STRING"
    with pytest.raises(ValidationError, match="STRING"):
        flow(inputs=[{"id": "a", "type": "FLAOT"}])
