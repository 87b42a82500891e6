"""
The conditions of a trigger (kestra.md §1.5): what must hold, besides its own event, for it to start an execution.

Each is a spec that answers for itself. Those about time look at *date*, the date of a schedule; for other triggers
that is the present.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tidewaiter.config.errors import PropertyError
from tidewaiter.config.fields import Duration, PositiveDuration, Text
from tidewaiter.config.flow import Labels
from tidewaiter.config.spec import OneOf, Render, TypedSpec, has_expression, misfit
from tidewaiter.triggers.windows import TimeWindow

Day = Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
State = Literal[
    "CREATED", "RUNNING", "PAUSED", "RESTARTED", "KILLING", "SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED",
    "QUEUED", "RETRYING", "RETRIED", "SKIPPED", "BREAKPOINT",
]  # fmt: skip
"""Every state there is in Kestra. Executions are looked at when they have ended or pause."""

_DAYS: tuple[Day, ...] = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_PRESENT = "{{ trigger.date }}"
_ZONE_NAME = re.compile(r"\[[\w/+-]+\]$")
_CANONICAL = "io.kestra.plugin.core.condition."
_LEGACY = "io.kestra.core.models.conditions.types."


@dataclass(frozen=True, slots=True)
class Upstream:
    """The execution that a Flow trigger looks at."""

    namespace: str
    flow_id: str
    state: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What conditions look at: *render* shows ``trigger`` and the rest, *upstream* is None but for Flow triggers."""

    render: Render
    upstream: Upstream | None = None


def moment(text: str, zone: tzinfo = UTC) -> datetime:
    """
    Read a date in ISO-8601, in *zone* where it names none.

    Raises:
        PropertyError: it is none.
    """
    try:
        found = datetime.fromisoformat(_ZONE_NAME.sub("", text.strip()))
    except ValueError as error:
        raise PropertyError(f"'{text[:60]}' is not a date, for example 2026-05-01T12:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _time(text: str) -> time:
    try:
        return time.fromisoformat(text.strip())
    except ValueError as error:
        raise PropertyError(f"'{text[:60]}' is not a time of day, for example 08:30:00+02:00") from error


def _readable(read: Any) -> AfterValidator:
    """Check at once what has no expression."""

    def check(value: str) -> str:
        if not has_expression(value):
            try:
                read(value)
            except PropertyError as error:
                raise ValueError(error.message) from error
        return value

    return AfterValidator(check)


MomentText = Annotated[Text, _readable(moment)]
TimeText = Annotated[Text, _readable(_time)]


def _named(*names: str) -> tuple[str, ...]:
    """Give the names of a condition: the current one, the one before with ``Condition`` at its end, the oldest."""
    current, *others = names
    older = [f"{current}Condition", *others]
    return (
        f"{_CANONICAL}{current}",
        *(f"{_CANONICAL}{name}" for name in older),
        *(f"{_LEGACY}{name}" for name in (*older, current)),
    )


class Condition(TypedSpec):
    """Something that holds or does not."""

    ABOUT_UPSTREAM: ClassVar[bool] = False

    id: str = ""
    """Tells the condition from others, where several executions are waited for."""
    type: str
    """Which condition it is."""

    def holds(self, seen: Circumstances) -> bool:
        """
        Tell whether it holds.

        Raises:
            TidewaiterError: an expression of it fails, or gives something of another kind.
        """
        raise NotImplementedError

    def parts(self) -> Iterator["Condition"]:
        """The condition itself and all within it."""
        yield self


class Expression(Condition):
    """Holds if *expression* gives anything but blank text or ``false``."""

    NAMES = (*_named("Expression"), f"{_CANONICAL}VariableCondition", f"{_LEGACY}VariableCondition")

    expression: Text
    """What must give anything but blank text or ``false``."""

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        return seen.render(self.expression).strip() not in {"", "false"}


class _Dated(Condition):
    date: MomentText = _PRESENT
    """The date that is looked at: that of a schedule, else the present."""

    def moment(self, seen: Circumstances) -> datetime:
        """The date that is meant, in its own zone."""
        return moment(seen.render(self.date))


class DateTimeBetween(_Dated):
    """Holds if *date* is later than *after* and earlier than *before*, as far as they are given."""

    NAMES = _named("DateTimeBetween")

    after: MomentText | None = None
    """The date must be later than this one."""
    before: MomentText | None = None
    """The date must be earlier than this one."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        _need_bound(self.after, self.before)
        return self

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        date = self.moment(seen)
        later = self.after is None or date > moment(seen.render(self.after))
        return later and (self.before is None or date < moment(seen.render(self.before)))


class TimeBetween(_Dated):
    """
    Holds if the time of *date* is later than *after* and earlier than *before*; with *after* the later of the two,
    over midnight. A time without an offset is one of the zone that *date* is in.
    """

    NAMES = _named("TimeBetween")

    after: TimeText | None = None
    """The time of the date must be later than this one."""
    before: TimeText | None = None
    """The time of the date must be earlier than this one."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        _need_bound(self.after, self.before)
        return self

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        date = self.moment(seen)
        after, before = (_face(date, text and seen.render(text)) for text in (self.after, self.before))
        present = timedelta(hours=date.hour, minutes=date.minute, seconds=date.second, microseconds=date.microsecond)
        later, earlier = after is None or present > after, before is None or present < before
        overnight = after is not None and before is not None and after > before
        return later or earlier if overnight else later and earlier


def _face(date: datetime, text: str | None) -> timedelta | None:
    """Give the time since midnight that clocks in the zone of *date* show at the time of day *text*."""
    if text is None:
        return None
    meant = _time(text)
    since = timedelta(hours=meant.hour, minutes=meant.minute, seconds=meant.second, microseconds=meant.microsecond)
    shift = (date.utcoffset() or timedelta(0)) - meant.utcoffset() if meant.tzinfo else timedelta(0)  # type: ignore[operator]
    return (since + shift) % timedelta(days=1)


class DayWeek(_Dated):
    """Holds on that day of each week."""

    NAMES = _named("DayWeek")

    day_of_week: Day
    """The day that is meant."""

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        return _DAYS[self.moment(seen).weekday()] == self.day_of_week


class DayWeekInMonth(_Dated):
    """Holds on the first, second, third, fourth or last of these days in each month."""

    NAMES = _named("DayWeekInMonth")

    day_of_week: Day
    """The day of the week that is meant."""
    day_in_month: Literal["FIRST", "SECOND", "THIRD", "FOURTH", "LAST"]
    """Which of these days in each month."""

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        date = self.moment(seen)
        if _DAYS[date.weekday()] != self.day_of_week:
            return False
        if self.day_in_month == "LAST":
            return (date + timedelta(days=7)).month != date.month
        return ("FIRST", "SECOND", "THIRD", "FOURTH").index(self.day_in_month) == (date.day - 1) // 7


class Weekend(_Dated):
    """Holds on Saturdays and Sundays."""

    NAMES = _named("Weekend")

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        return self.moment(seen).weekday() >= 5


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

    NAMES = _named("Not")

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        return not any(condition.holds(seen) for condition in self.conditions)


class Or(_Several):
    """Holds if any of *conditions* does."""

    NAMES = _named("Or")

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

    NAMES = _named("ExecutionFlow")

    namespace: Text
    """The namespace of the flow."""
    flow_id: Text
    """The id of the flow."""

    def fits(self, upstream: Upstream, render: Render) -> bool:
        """See `UpstreamCondition.fits`."""
        return (upstream.namespace, upstream.flow_id) == (render(self.namespace), render(self.flow_id))


class ExecutionNamespace(UpstreamCondition):
    """Holds for executions of flows in that namespace, or in those that *comparison* lets in."""

    NAMES = _named("ExecutionNamespace")

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

    NAMES = _named("ExecutionStatus")

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

    NAMES = _named("ExecutionLabels")

    labels: Labels
    """The labels it must have, with their values."""

    def fits(self, upstream: Upstream, render: Render) -> bool:
        """See `UpstreamCondition.fits`."""
        return all(upstream.labels.get(name) == render(value) for name, value in self.labels.items())


class ExecutionOutputs(UpstreamCondition):
    """Holds if *expression*, which sees the outputs of the execution as ``trigger.outputs``, gives ``true``."""

    NAMES = _named("ExecutionOutputs")

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

    NAMES = (f"{_CANONICAL}MultipleCondition", f"{_LEGACY}MultipleCondition")

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


def _need_bound(after: str | None, before: str | None) -> None:
    if after is None and before is None:
        raise misfit("after", "neither it nor 'before' is given", "give one of them, or both")
