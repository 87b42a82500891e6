"""When a schedule is due: APScheduler finds the dates, this module answers for time zones and their changes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from apscheduler.triggers.cron import CronTrigger

from tidewaiter.triggers.cron import LAST, Cron

_TICK = timedelta(microseconds=1)
# No zone has moved its clocks by more; offsets are compared this far around a date.
_LARGEST_CHANGE = timedelta(hours=3)
_MOST_YEARS = 40
_LONGEST_WAIT = timedelta(days=366 * _MOST_YEARS)
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NTH = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 5: "5th", LAST: "last"}


class Timetable:
    """
    The dates of a cron expression in a time zone, in order and each once.

    Where the clocks go forward, a date in the hour left out is due as much later as they moved (02:30 at 03:30). Where
    they go back, a date in the hour that comes twice is due the first time; a schedule for every hour of the day goes
    on in both.
    """

    def __init__(self, cron: Cron, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._every_hour = cron.every_hour
        # Dates of an every-hour schedule follow the real time; others are found on the clock's face, as if in UTC.
        self._triggers = [_trigger(cron, days, zone if cron.every_hour else UTC) for days in _day_fields(cron)]

    def next(self, after: datetime) -> datetime | None:
        """Give the first date after that moment, in the zone; None if there is none within forty years."""
        found = self._next(after.astimezone(UTC))
        return found.astimezone(self._zone) if found else None

    def previous(self, before: datetime) -> datetime | None:
        """Give the last date before that moment, in the zone; None if there is none within forty years."""
        before = before.astimezone(UTC)
        found, span = None, timedelta(minutes=1)
        while found is None and span < _LONGEST_WAIT:
            found = self._first_between(before - span, before)
            span *= 4
        return self._last_between(found, before).astimezone(self._zone) if found else None

    def _last_between(self, found: datetime, before: datetime) -> datetime:
        """Give the last date before *before*, knowing one, by halving: there may be very many in between."""
        high = before
        while (following := self._first_between(found, before)) is not None:
            middle = found + (high - found) / 2
            candidate = self._first_between(middle, before)
            if candidate is None:
                high, found = middle, following if following <= middle else found
            else:
                found = candidate
        return found

    # From here on all moments are in UTC: Python compares and adds times of one zone by the face of its clocks.

    def _next(self, after: datetime) -> datetime | None:
        return self._next_real(after) if self._every_hour else self._next_on_face(after)

    def _first_between(self, after: datetime, before: datetime) -> datetime | None:
        found = self._next(after)
        return found if found is not None and found < before else None

    def _next_real(self, after: datetime) -> datetime | None:
        found = _following(self._triggers, (after + _TICK).astimezone(self._zone))
        return min((date.astimezone(UTC) for date in found), default=None)

    def _next_on_face(self, after: datetime) -> datetime | None:
        """
        Find the next date by the clock's face. Around a change forward, a later face may be the earlier moment: all
        within the change are compared.
        """
        face = _face(after.astimezone(self._zone)) - self._change(after)
        best: datetime | None = None
        until: datetime | None = None
        while (following := min(_following(self._triggers, face + _TICK), default=None)) is not None:
            if until is not None and following > until:
                break
            face = following
            moment = face.replace(tzinfo=self._zone).astimezone(UTC)
            if moment > after and (best is None or moment < best):
                best, until = moment, face + self._change(moment)
        return best

    def _change(self, moment: datetime) -> timedelta:
        """How far the clocks go forward around that moment."""
        before, later = (
            (moment + span).astimezone(self._zone).utcoffset() or timedelta(0)
            for span in (-_LARGEST_CHANGE, _LARGEST_CHANGE)
        )
        return max(later - before, timedelta(0))


def _face(moment: datetime) -> datetime:
    """Give what a clock there shows, as if it were UTC."""
    return moment.replace(tzinfo=UTC, fold=0)


def _following(triggers: list[CronTrigger], start: datetime) -> Iterator[datetime]:
    for trigger in triggers:
        found = trigger.get_next_fire_time(None, start)
        if found is not None and found.year - start.year < _MOST_YEARS:
            yield found


def _trigger(cron: Cron, days: tuple[str, str], zone: tzinfo) -> CronTrigger:
    day, weekday = days
    return CronTrigger(
        second=_listed(cron.seconds),
        minute=_listed(cron.minutes),
        hour=_listed(cron.hours),
        day=day,
        month=_listed(cron.months),
        day_of_week=weekday,
        timezone=zone,
    )


def _listed(values: frozenset[int]) -> str:
    return ",".join(map(str, sorted(values)))


def _day_fields(cron: Cron) -> Iterator[tuple[str, str]]:
    """
    Give day and weekday for each trigger that is needed: APScheduler wants both to fit, where either is enough for
    cron. Weekdays go by name, since it counts them from Monday.
    """
    if cron.days is None and cron.weekdays is None:
        yield "*", "*"
    named = [*map(str, sorted(cron.days or ())), *(["last"] if cron.last_day else [])]
    named += [f"{_NTH[which]} {_WEEKDAYS[day]}" for day, which in sorted(cron.nth)]
    if named:
        yield ",".join(named), "*"
    if cron.weekdays:
        yield "*", ",".join(_WEEKDAYS[day] for day in sorted(cron.weekdays))
