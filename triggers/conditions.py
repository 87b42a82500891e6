"""The conditions of a trigger: what must hold, besides its own event, for it to start an execution."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidewaiter.config.fields import Duration, PositiveDuration, Text
from tidewaiter.config.flow import Labels
from tidewaiter.config.spec import OneOf, Render, misfit
from tidewaiter.triggers.dated import (
    CANONICAL,
    LEGACY,
    Circumstances,
    Condition,
    DateTimeBetween,
    DayWeek,
    DayWeekInMonth,
    TimeBetween,
    Upstream,
    Weekend,
    condition_names,
)
from tidewaiter.triggers.windows import TimeWindow

State = Literal[
    "CREATED", "RUNNING", "PAUSED", "RESTARTED", "KILLING", "SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED",
    "QUEUED", "RETRYING", "RETRIED", "SKIPPED", "BREAKPOINT",
]  # fmt: skip
"""Every state there is in Kestra. Executions are looked at when they have ended or pause."""


class Expression(Condition):
    """Holds if *expression* gives anything but blank text or ``false``."""

    NAMES = (*condition_names("Expression"), f"{CANONICAL}VariableCondition", f"{LEGACY}VariableCondition")

    expression: Text
    """What must give anything but blank text or ``false``."""

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        return seen.render(self.expression).strip() not in {"", "false"}


class _Several(Condition):
    conditions: Annotated[tuple["AnyCondition", ...], Field(min_length=1)]
    """The conditions that are asked."""

    def parts(self) -> Iterator[Condition]:
        """See `Condition.parts`."""
        yield self
        for condition in self.conditions:
            yield from condition.parts()


class Not(_Several):
    """Holds if none of *conditions* does."""

    NAMES = condition_names("Not")

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        return not any(condition.holds(seen) for condition in self.conditions)


class Or(_Several):
    """Holds if any of *conditions* does."""

    NAMES = condition_names("Or")

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        return any(condition.holds(seen) for condition in self.conditions)


class UpstreamCondition(Condition):
    """Looks at the execution that a Flow trigger is about; never holds without one."""

    ABOUT_UPSTREAM: ClassVar[bool] = True

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        return seen.upstream is not None and self.fits(seen.upstream, seen.render)

    def fits(self, upstream: Upstream, render: Render) -> bool:
        """Tell whether *upstream* is as wanted."""
        raise NotImplementedError


class ExecutionFlow(UpstreamCondition):
    """Holds for executions of that flow."""

    NAMES = condition_names("ExecutionFlow")

    namespace: Text
    """The namespace of the flow."""
    flow_id: Text
    """The id of the flow."""

    def fits(self, upstream: Upstream, render: Render) -> bool:
        """See `UpstreamCondition.fits`."""
        return (upstream.namespace, upstream.flow_id) == (render(self.namespace), render(self.flow_id))


class ExecutionNamespace(UpstreamCondition):
    """Holds for executions of flows in that namespace, or in those that *comparison* lets in."""

    NAMES = condition_names("ExecutionNamespace")

    namespace: Text
    """The namespace, or a part of it."""
    comparison: Literal["EQUALS", "PREFIX", "SUFFIX"] | None = None
    """Whether it is all of the namespace, its beginning or its end."""
    prefix: bool = False
    """The older way to say ``comparison: PREFIX``."""

    def fits(self, upstream: Upstream, render: Render) -> bool:
        """See `UpstreamCondition.fits`."""
        wanted = render(self.namespace)
        if self.comparison == "SUFFIX":
            return upstream.namespace.endswith(wanted)
        if self.comparison == "PREFIX" or (self.comparison is None and self.prefix):
            return upstream.namespace.startswith(wanted)
        return upstream.namespace == wanted


class ExecutionStatus(UpstreamCondition):
    """Holds for executions in a state of *in*, if given, and none of *not_in*."""

    NAMES = condition_names("ExecutionStatus")

    in_: tuple[State, ...] | None = Field(None, alias="in")
    """The states one of which the execution must be in."""
    not_in: tuple[State, ...] | None = None
    """The states none of which it may be in."""

    def fits(self, upstream: Upstream, render: Render) -> bool:
        """See `UpstreamCondition.fits`."""
        del render
        return (self.in_ is None or upstream.state in self.in_) and upstream.state not in (self.not_in or ())


class ExecutionLabels(UpstreamCondition):
    """Holds for executions that have all of these labels."""

    NAMES = condition_names("ExecutionLabels")

    labels: Labels
    """The labels it must have, with their values."""

    def fits(self, upstream: Upstream, render: Render) -> bool:
        """See `UpstreamCondition.fits`."""
        return all(upstream.labels.get(name) == render(value) for name, value in self.labels.items())


class ExecutionOutputs(UpstreamCondition):
    """Holds if *expression*, which sees the outputs of the execution as ``trigger.outputs``, gives ``true``."""

    NAMES = condition_names("ExecutionOutputs")

    expression: Text
    """What must give anything but blank text or ``false``; the outputs are ``trigger.outputs``."""

    def fits(self, upstream: Upstream, render: Render) -> bool:
        """See `UpstreamCondition.fits`."""
        del upstream
        return render(self.expression).strip() not in {"", "false"}


class MultipleCondition(UpstreamCondition):
    """
    Holds once each of *conditions* has held for some execution within one window of time (`TimeWindow`). It is for
    Flow triggers, beside their other conditions.
    """

    NAMES = (f"{CANONICAL}MultipleCondition", f"{LEGACY}MultipleCondition")

    description: str | None = None
    """What it is for."""
    window: PositiveDuration | None = None
    """The length of the windows, the older way to write ``timeWindow.window``."""
    window_advance: Duration | None = None
    """How far they are shifted from midnight, the older way to write ``timeWindow.windowAdvance``."""
    time_window: TimeWindow | None = None
    """Within what time all must have held."""
    sla: TimeWindow | None = None
    """An older name of ``timeWindow``."""
    reset_on_success: bool = True
    """Whether all must hold anew once the flow has started."""
    conditions: Annotated[dict[str, "AnyCondition"], Field(min_length=1)]
    """What must have held, each for some execution, by names of your own."""

    @property
    def within(self) -> TimeWindow:
        """The window, however it is written."""
        plain = TimeWindow(window=self.window or timedelta(days=1), window_advance=self.window_advance or timedelta(0))
        return self.time_window or self.sla or plain

    def parts(self) -> Iterator[Condition]:
        """See `Condition.parts`."""
        yield self
        for condition in self.conditions.values():
            yield from condition.parts()


CONDITIONS: tuple[type[Condition], ...] = (
    Expression, DateTimeBetween, TimeBetween, DayWeek, DayWeekInMonth, Weekend, Not, Or, ExecutionFlow,
    ExecutionNamespace, ExecutionStatus, ExecutionLabels, ExecutionOutputs, MultipleCondition,
)  # fmt: skip
"""Every condition there is."""

AnyCondition = Annotated[Condition, OneOf(CONDITIONS)]
"""Any condition, selected by ``type``."""

Conditions = tuple[AnyCondition, ...]


def about_time(conditions: Iterable[Condition]) -> None:
    """
    Check that none of *conditions* looks at another execution.

    Raises:
        PydanticCustomError: one does, as only those of a Flow trigger may.
    """
    for condition in conditions:
        for part in condition.parts():
            if part.ABOUT_UPSTREAM:
                name = type(part).__name__
                hint = "use a condition about time, or Expression"
                raise misfit("conditions", f"{name} looks at an execution of another flow, and there is none", hint)
