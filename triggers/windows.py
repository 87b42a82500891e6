"""The span of time within which several executions must have happened for a Flow trigger to start one."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, model_validator

from tidewaiter.config.fields import Duration, PositiveDuration
from tidewaiter.config.spec import Spec, misfit

_DAY = timedelta(days=1)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone '{value[:60]}', for example Europe/Paris") from error
    return value


ZoneName = Annotated[str, AfterValidator(_zone)]
"""The name of a time zone."""


def zone_of(name: str | None) -> tzinfo:
    """Give the time zone called *name*; UTC without one, as everywhere in expressions."""
    return ZoneInfo(name) if name else UTC


class TimeWindow(Spec):
    """
    The time within which executions must have happened.

    ``DURATION_WINDOW``: windows of one length, one after the other from midnight. ``SLIDING_WINDOW``: the time of that
    length up to now. ``DAILY_TIME_DEADLINE``: from midnight to a deadline. ``DAILY_TIME_WINDOW``: between two times.
    """

    type: Literal["DURATION_WINDOW", "SLIDING_WINDOW", "DAILY_TIME_DEADLINE", "DAILY_TIME_WINDOW"] = "DURATION_WINDOW"
    """Which time is meant."""
    window: PositiveDuration = _DAY
    """The length of a window."""
    window_advance: Duration = timedelta(0)
    """How far windows are shifted from midnight."""
    deadline: time | None = None
    """Until when, each day."""
    start_time: time | None = None
    """From when, each day."""
    end_time: time | None = None
    """Until when, each day."""
    timezone: ZoneName | None = None
    """The time zone of days and times; UTC without one."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.type == "DAILY_TIME_DEADLINE" and self.deadline is None:
            raise misfit("type", "DAILY_TIME_DEADLINE needs 'deadline'", 'for example deadline: "09:00:00"')
        if self.type == "DAILY_TIME_WINDOW" and (self.start_time is None or self.end_time is None):
            raise misfit(
                "type", "DAILY_TIME_WINDOW needs 'startTime' and 'endTime'", 'for example startTime: "06:00:00"'
            )
        return self

    def around(self, moment: datetime) -> tuple[datetime, datetime] | None:
        """Give the begin and end of the window that *moment* is in, in UTC; None if it is in none."""
        local = moment.astimezone(zone_of(self.timezone))
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if self.type == "SLIDING_WINDOW":
            span = (moment - self.window, moment)
        elif self.type == "DURATION_WINDOW":
            span = self._aligned(moment, midnight.astimezone(UTC))
        else:
            first = self.start_time if self.type == "DAILY_TIME_WINDOW" else time()
            last = self.end_time if self.type == "DAILY_TIME_WINDOW" else self.deadline
            span = (_at(midnight, first or time()), _at(midnight, last or time()))
        begin, end = (bound.astimezone(UTC) for bound in span)
        return (begin, end) if begin <= moment <= end else None

    def _aligned(self, moment: datetime, midnight: datetime) -> tuple[datetime, datetime]:
        """Windows of a day or less begin anew each midnight, longer ones are counted from 1970."""
        start = (midnight if self.window <= _DAY else datetime(1970, 1, 1, tzinfo=UTC)) + self.window_advance
        begin = start + (moment - start) // self.window * self.window
        return begin, begin + self.window


def _at(midnight: datetime, clock: time) -> datetime:
    return midnight.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=clock.microsecond)
