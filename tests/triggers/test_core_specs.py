"""What authors may write of schedules, webhooks and Flow triggers."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from tidewaiter.triggers.flowtrigger import FlowTrigger
from tidewaiter.triggers.schedule import Schedule
from tidewaiter.triggers.webhook import Webhook

STATUS = {"type": "io.kestra.plugin.core.condition.ExecutionStatus", "in": ["SUCCESS"]}
MULTIPLE = {"id": "m", "type": "io.kestra.plugin.core.condition.MultipleCondition", "conditions": {"a": STATUS}}


def schedule(**properties: Any) -> Schedule:
    return Schedule.model_validate({"id": "s", "type": "trigger.Schedule", "cron": "@daily"} | properties)


def webhook(**properties: Any) -> Webhook:
    return Webhook.model_validate({"id": "w", "type": "trigger.Webhook", "key": "k"} | properties)


def flow(**properties: Any) -> FlowTrigger:
    return FlowTrigger.model_validate({"id": "f", "type": "trigger.Flow"} | properties)


@pytest.mark.parametrize(
    ("make", "properties", "problem"),
    [
        (schedule, {"cron": "0 0 30 2 *"}, "property 'cron': is never due"),
        (schedule, {"timezone": "Europe/Atlantis"}, "there is no time zone 'Europe/Atlantis'"),
        (schedule, {"timezone": "../../etc/passwd"}, "there is no time zone"),
        (schedule, {"conditions": [STATUS]}, "ExecutionStatus looks at an execution of another flow"),
        (schedule, {"backfill": {"start": "soon"}}, "'soon' is not a date"),
        (webhook, {"key": ""}, "at least 1 character"),
        (webhook, {"returnOutputs": True}, "there are no outputs before the end"),
        (webhook, {"conditions": [STATUS]}, "ExecutionStatus looks at"),
        (flow, {"mode": "AT_LEAST"}, "AT_LEAST and 'minSatisfied' go together"),
        (flow, {"preconditions": {"id": "p"}}, "has neither 'flows' nor 'where'"),
        (flow, {"states": ["DONE"]}, "Input should be"),
        (
            flow,
            {"conditions": [{"type": "io.kestra.plugin.core.condition.Not", "conditions": [MULTIPLE]}]},
            "MultipleCondition cannot be in another condition",
        ),
        (
            flow,
            {"preconditions": {"id": "p", "where": [{"id": "w", "filters": [{"field": "STATE", "type": "IN"}]}]}},
            "IN needs 'values'",
        ),
    ],
)
def test_mistakes_are_told(make: Any, properties: dict[str, Any], problem: str) -> None:
    """When the flow is loaded, not when something happens."""
    with pytest.raises(ValidationError, match=re.escape(problem)):
        make(**properties)


def test_only_schedules_wait_for_their_own_executions() -> None:
    """As in Kestra; what comes from outside does not wait."""
    assert (schedule().allow_concurrent, webhook().allow_concurrent, flow().allow_concurrent) == (False, True, True)


def test_the_oldest_flows_are_understood() -> None:
    """Names and properties as they were before 0.15."""
    old = "io.kestra.core.models.conditions.types.WeekendCondition"
    made = schedule(type="io.kestra.core.models.triggers.types.Schedule", scheduleConditions=[{"type": old}])
    assert len(made.conditions) == 1
    assert schedule(backfill={"start": "2023-01-01 00:00:00+00:00"}).begin is not None
