"""The conditions of triggers, each with a case in which it holds and one in which it does not."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tidewaiter.config.errors import PropertyError
from tidewaiter.triggers.conditions import AnyCondition
from tidewaiter.triggers.dated import Circumstances, Condition, Upstream

ADAPTER: TypeAdapter[Condition] = TypeAdapter(AnyCondition)
SOURCE = Upstream("harbour.east", "intake", "FAILED", {"team": "quay"})
PREFIX = "io.kestra.plugin.core.condition."


def condition(kind: str, **properties: Any) -> Condition:
    return ADAPTER.validate_python({"type": f"{PREFIX}{kind}", **properties})


def holds(made: Condition, date: str = "2026-05-01T12:00:00Z", upstream: Upstream | None = SOURCE) -> bool:
    """Whether it holds at *date*, a Friday unless said otherwise; nothing is rendered but that."""
    return made.holds(Circumstances(lambda text: text.replace("{{ trigger.date }}", date), upstream))


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("0", True), (" false ", False), ("  ", False)])
def test_an_expression_holds_unless_blank_or_false(text: str, expected: bool) -> None:
    """Kestra's rule; 0 is no exception."""
    assert holds(condition("Expression", expression=text)) is expected


def test_dates_between() -> None:
    """Both bounds are left out themselves, and zones are compared."""
    between = condition("DateTimeBetween", after="2026-05-01T12:00:00+02:00", before="2026-05-02T00:00:00Z")
    assert holds(between)
    assert not holds(between, "2026-05-01T10:00:00Z")
    assert not holds(between, "2026-05-02T00:00:00Z")


def test_times_between() -> None:
    """A time with an offset is compared as such, one without it by the clock of the date."""
    assert holds(condition("TimeBetween", after="11:00:00Z", before="14:00:00+01:00"))
    assert not holds(condition("TimeBetween", after="14:00:00+01:00"))
    assert holds(condition("TimeBetween", after="13:00:00"), "2026-05-01T14:00:00+02:00")


def test_times_between_over_midnight() -> None:
    """Where the begin is later than the end."""
    night = condition("TimeBetween", after="22:00:00", before="06:00:00")
    assert holds(night, "2026-05-01T23:00:00Z")
    assert holds(night, "2026-05-01T05:00:00Z")
    assert not holds(night)


def test_days_of_the_week() -> None:
    """In the zone of the date."""
    assert holds(condition("DayWeek", dayOfWeek="FRIDAY"))
    assert not holds(condition("DayWeek", dayOfWeek="FRIDAY"), "2026-05-02T00:00:00+02:00")
    assert holds(condition("Weekend"), "2026-05-02T00:00:00+02:00")
    assert not holds(condition("Weekend"))


@pytest.mark.parametrize(("which", "day"), [("FIRST", 1), ("SECOND", 8), ("FOURTH", 22), ("LAST", 29)])
def test_days_of_the_week_in_a_month(which: str, day: int) -> None:
    """The first to the fourth, or the last, which may be the fifth."""
    found = condition("DayWeekInMonth", dayOfWeek="FRIDAY", dayInMonth=which)
    fridays = [number for number in range(1, 32) if holds(found, f"2026-05-{number:02}T12:00:00Z")]
    assert fridays == [day]


def test_not_and_or() -> None:
    """None of several, and any of them."""
    inner = [{"type": f"{PREFIX}Weekend"}, {"type": f"{PREFIX}DayWeek", "dayOfWeek": "FRIDAY"}]
    assert not holds(condition("Not", conditions=inner))
    assert holds(condition("Not", conditions=inner[:1]))
    assert holds(condition("Or", conditions=inner))
    assert not holds(condition("Or", conditions=inner[:1]))


@pytest.mark.parametrize(
    ("kind", "fitting", "other"),
    [
        ("ExecutionFlow", {"namespace": "harbour.east", "flowId": "intake"}, {"namespace": "x", "flowId": "intake"}),
        ("ExecutionNamespace", {"namespace": "harbour", "prefix": True}, {"namespace": "harbour"}),
        ("ExecutionNamespace", {"namespace": "east", "comparison": "SUFFIX"}, {"namespace": "east"}),
        ("ExecutionStatus", {"in": ["FAILED"]}, {"notIn": ["FAILED"]}),
        ("ExecutionLabels", {"labels": {"team": "quay"}}, {"labels": [{"key": "team", "value": "crane"}]}),
        ("ExecutionOutputs", {"expression": "true"}, {"expression": ""}),
    ],
)  # fmt: skip
def test_conditions_about_another_execution(kind: str, fitting: dict[str, Any], other: dict[str, Any]) -> None:
    """They look at what the execution is, and never hold without one."""
    assert holds(condition(kind, **fitting))
    assert not holds(condition(kind, **other))
    assert not holds(condition(kind, **fitting), upstream=None)


@pytest.mark.parametrize(
    "name",
    [
        f"{PREFIX}ExpressionCondition", "io.kestra.core.models.conditions.types.VariableCondition",
        "condition.Expression",
    ],
)  # fmt: skip
def test_older_names(name: str) -> None:
    """Flows of every age name them in their own way."""
    assert type(ADAPTER.validate_python({"type": name, "expression": "true"})).__name__ == "Expression"


def test_what_is_no_date_is_an_error() -> None:
    """A condition that cannot be told neither holds nor does not."""
    with pytest.raises(PropertyError, match="'soon' is not a date"):
        holds(condition("Weekend"), "soon")


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("DateTimeBetween", {}), ("DateTimeBetween", {"after": "soon"}), ("DayWeek", {"dayOfWeek": "FRI"}),
        ("Not", {"conditions": []}),
    ],
)  # fmt: skip
def test_mistakes_are_found_at_once(kind: str, properties: dict[str, Any]) -> None:
    """What is wrong without any execution is told when the flow is loaded."""
    with pytest.raises(ValidationError):
        condition(kind, **properties)
