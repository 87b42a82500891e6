"""
What every condition of a trigger is (kestra.md §1.5), and the conditions about time.

These look at *date*: that of a schedule, for other triggers the present.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, model_validator

from tidewaiter.config.errors import PropertyError
from tidewaiter.config.fields import Text
from tidewaiter.config.spec import Render, TypedSpec, has_expression, misfit

Day = Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]

CANONICAL = "io.kestra.plugin.core.condition."
LEGACY = "io.kestra.core.models.conditions.types."
_DAYS: tuple[Day, ...] = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_PRESENT = "{{ trigger.date }}"
_ZONE_NAME = re.compile(r"\[[\w/+-]+\]$")


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


def condition_names(*names: str) -> tuple[str, ...]:
    """Give the names of a condition: the current one, the one before with ``Condition`` at its end, the oldest."""
    current, *others = names
    older = [f"{current}Condition", *others]
    return (
        f"{CANONICAL}{current}",
        *(f"{CANONICAL}{name}" for name in older),
        *(f"{LEGACY}{name}" for name in (*older, current)),
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


class _Dated(Condition):
    date: MomentText = _PRESENT
    """The date that is looked at: that of a schedule, else the present."""

    def moment(self, seen: Circumstances) -> datetime:
        """The date that is meant, in its own zone."""
        return moment(seen.render(self.date))


class DateTimeBetween(_Dated):
    """Holds if *date* is later than *after* and earlier than *before*, as far as they are given."""

    NAMES = condition_names("DateTimeBetween")

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

    NAMES = condition_names("TimeBetween")

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

    NAMES = condition_names("DayWeek")

    day_of_week: Day
    """The day that is meant."""

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        return _DAYS[self.moment(seen).weekday()] == self.day_of_week


class DayWeekInMonth(_Dated):
    """Holds on the first, second, third, fourth or last of these days in each month."""

    NAMES = condition_names("DayWeekInMonth")

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

    NAMES = condition_names("Weekend")

    def holds(self, seen: Circumstances) -> bool:
        """See `Condition.holds`."""
        return self.moment(seen).weekday() >= 5


def _need_bound(after: str | None, before: str | None) -> None:
    if after is None and before is None:
        raise misfit("after", "neither it nor 'before' is given", "give one of them, or both")
