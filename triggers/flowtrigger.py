"""The trigger that starts an execution after those of other flows: `core.trigger.Flow`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tidewaiter.config.errors import PropertyError
from tidewaiter.config.expression.truth import truthy
from tidewaiter.config.fields import Id, Text
from tidewaiter.config.flow import Labels
from tidewaiter.config.spec import Spec, misfit
from tidewaiter.triggers.conditional import ConditionalTrigger
from tidewaiter.triggers.conditions import MultipleCondition, State
from tidewaiter.triggers.dated import Circumstances
from tidewaiter.triggers.windows import TimeWindow

ENDED: tuple[State, ...] = ("SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED")
Predicate = Callable[[Circumstances], bool]
FilterType = Literal[
    "EQUAL_TO", "NOT_EQUAL_TO", "IN", "NOT_IN", "IS_TRUE", "IS_FALSE", "IS_NULL", "IS_NOT_NULL", "STARTS_WITH",
    "ENDS_WITH", "REGEX", "CONTAINS",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Requirement:
    """
    Things that must each have been true of some execution within one *window*, before the trigger starts one: *needed*
    of *parts*. With *reset* they must be true anew for the next.
    """

    id: str
    parts: Mapping[str, Predicate]
    window: TimeWindow
    reset: bool
    needed: int


class UpstreamFlow(Spec):
    """Executions of a flow, or of all in a namespace."""

    namespace: Text | None = None
    """The namespace of the flow; any without it."""
    flow_id: Text | None = None
    """The id of the flow; any without it."""
    states: tuple[State, ...] | None = None
    """The states one of which the execution must be in; any of the trigger's without it."""
    labels: Labels = Field(default_factory=dict)
    """The labels that the execution must have."""
    when: Text = "true"
    """An expression; the execution does not count while its value is blank, ``0`` or ``false``."""

    @property
    def name(self) -> str:
        """Tells it from others of one trigger, and stays the same when others come or go."""
        wanted = (*(self.states or ()), *(f"{name}={value}" for name, value in sorted(self.labels.items())))
        return " ".join((f"{self.namespace or '*'}.{self.flow_id or '*'}", *wanted, self.when))

    def holds(self, seen: Circumstances) -> bool:
        """Tell whether it is true of the execution that has ended."""
        found = seen.upstream
        if found is None or found.namespace != (self.namespace or found.namespace):
            return False
        if found.flow_id != (self.flow_id or found.flow_id) or found.state not in (self.states or (found.state,)):
            return False
        labelled = all(found.labels.get(name) == seen.render(value) for name, value in self.labels.items())
        return labelled and truthy(seen.render(self.when))


class Filter(Spec):
    """One comparison with what the execution is."""

    field: Literal["FLOW_ID", "NAMESPACE", "STATE", "EXPRESSION"]
    """What is compared: something of the execution, or the value of an expression."""
    type: FilterType
    """How it is compared."""
    value: Text | None = None
    """What it is compared with; with ``EXPRESSION``, the expression."""
    values: tuple[Text, ...] = ()
    """What it is compared with by ``IN`` and ``NOT_IN``."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.field == "EXPRESSION" and self.type not in _TESTS:
            raise misfit("type", f"{self.type} does not go with EXPRESSION", "compare within it, and use IS_TRUE")
        if self.type in {"IN", "NOT_IN"} and not self.values:
            raise misfit("type", f"{self.type} needs 'values'", "list what to compare with")
        if not self.type.startswith("IS_") and self.type not in {"IN", "NOT_IN"} and self.value is None:
            raise misfit("type", f"{self.type} needs 'value'", "say what to compare with")
        return self

    def holds(self, seen: Circumstances) -> bool:
        """Tell whether it is true of the execution that has ended."""
        found = seen.upstream
        if found is None:
            return False
        if self.field == "EXPRESSION":
            return self._compare(seen.render(self.value or ""), "")
        shown = {"FLOW_ID": found.flow_id, "NAMESPACE": found.namespace, "STATE": found.state}[self.field]
        return self._compare(shown, self.value or "")

    def _compare(self, shown: str, value: str) -> bool:
        if self.type in {"IN", "NOT_IN"}:
            return (shown in self.values) is (self.type == "IN")
        return _COMPARISONS[self.type](shown, value)


def _matches(shown: str, pattern: str) -> bool:
    try:
        return re.fullmatch(pattern, shown[:1000]) is not None
    except re.error as error:
        raise PropertyError(f"'{pattern[:60]}' is not a regular expression: {error}") from error


_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "EQUAL_TO": lambda shown, value: shown == value,
    "NOT_EQUAL_TO": lambda shown, value: shown != value,
    "IS_TRUE": lambda shown, _value: truthy(shown),
    "IS_FALSE": lambda shown, _value: not truthy(shown),
    "IS_NULL": lambda shown, _value: not shown.strip(),
    "IS_NOT_NULL": lambda shown, _value: bool(shown.strip()),
    "STARTS_WITH": lambda shown, value: shown.startswith(value),
    "ENDS_WITH": lambda shown, value: shown.endswith(value),
    "CONTAINS": lambda shown, value: value in shown,
    "REGEX": _matches,
}
_TESTS = frozenset({"IS_TRUE", "IS_FALSE", "IS_NULL", "IS_NOT_NULL"})


class Where(Spec):
    """Several comparisons, all of which must hold (``AND``) or any (``OR``)."""

    id: Id
    """Tells it from the others."""
    operand: Literal["AND", "OR"] = "AND"
    """Whether all of ``filters`` must hold, or any."""
    filters: Annotated[tuple[Filter, ...], Field(min_length=1)]
    """The comparisons."""

    def holds(self, seen: Circumstances) -> bool:
        """Tell whether it is true of the execution that has ended."""
        found = (each.holds(seen) for each in self.filters)
        return all(found) if self.operand == "AND" else any(found)


class Preconditions(Spec):
    """Executions that must all have happened within one window: one of each of *flows*, one for each of *where*."""

    id: Id
    """Tells them from others."""
    description: str | None = None
    """What they are for."""
    time_window: TimeWindow = Field(default_factory=TimeWindow)
    """Within what time all must have happened."""
    reset_on_success: bool = True
    """Whether all must happen anew once the flow has started."""
    flows: tuple[UpstreamFlow, ...] = ()
    """Executions one of each of which is waited for."""
    where: tuple[Where, ...] = ()
    """What must be true of an execution, each of some."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.flows or self.where):
            raise misfit("id", "has neither 'flows' nor 'where'", "name the flows to wait for")
        return self

    def requirement(self) -> Requirement:
        """What must have happened."""
        parts: dict[str, Predicate] = {flow.name: flow.holds for flow in self.flows}
        parts |= {f"where {where.id}": where.holds for where in self.where}
        return Requirement(self.id, parts, self.time_window, self.reset_on_success, len(parts))


class FlowTrigger(ConditionalTrigger):
    """
    Starts an execution when one of another flow has ended, or pauses; never after one of its own flow.

    Conditions look at that execution. With ``preconditions``, ``dependsOn`` or a ``MultipleCondition`` several are
    waited for.
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.trigger.Flow",
        "io.kestra.core.models.triggers.types.Flow",
    )

    allow_concurrent: bool = True
    """Whether executions of the trigger may run at the same time."""
    states: tuple[State, ...] = (*ENDED, "PAUSED")
    """The states in which executions are looked at."""
    preconditions: Preconditions | None = None
    """The executions that must all have happened."""
    depends_on: tuple[UpstreamFlow, ...] = ()
    """The executions that must have happened, in the newer form."""
    mode: Literal["ALL", "ANY", "AT_LEAST"] = "ALL"
    """Whether all of ``dependsOn`` must have happened, any, or at least ``minSatisfied``."""
    min_satisfied: Annotated[int, Field(ge=1)] | None = None
    """How many of ``dependsOn`` are enough, with ``mode: AT_LEAST``."""

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if (self.mode == "AT_LEAST") is (self.min_satisfied is None):
            raise misfit("mode", "AT_LEAST and 'minSatisfied' go together", "say how many of 'dependsOn' are enough")
        return self

    def check_conditions(self) -> None:
        """Refuse a `MultipleCondition` inside another condition: it could not be told when it is complete."""
        for condition in self.conditions:
            if any(isinstance(part, MultipleCondition) for part in condition.parts() if part is not condition):
                raise misfit(
                    "conditions", "MultipleCondition cannot be in another condition", "put it beside the others"
                )

    def admits(self, seen: Circumstances) -> bool:
        """See `ConditionalTrigger.admits`; what waits for several executions is left to `requirements`."""
        if seen.upstream is None or seen.upstream.state not in self.states:
            return False
        plain = (condition for condition in self.conditions if not isinstance(condition, MultipleCondition))
        return all(condition.holds(seen) for condition in plain) and truthy(seen.render(self.when))

    def requirements(self) -> list[Requirement]:
        """What must have happened in several executions."""
        found = [self.preconditions.requirement()] if self.preconditions else []
        if self.depends_on:
            found.append(self._dependencies())
        return found + [_gathered(item) for item in self.conditions if isinstance(item, MultipleCondition)]

    def _dependencies(self) -> Requirement:
        parts: dict[str, Predicate] = {flow.name: flow.holds for flow in self.depends_on}
        needed = {"ALL": len(parts), "ANY": 1}.get(self.mode, self.min_satisfied or 1)
        return Requirement("dependsOn", parts, TimeWindow(), reset=True, needed=needed)


def _gathered(condition: MultipleCondition) -> Requirement:
    parts = {name: part.holds for name, part in condition.conditions.items()}
    return Requirement(condition.id, parts, condition.within, condition.reset_on_success, len(parts))
