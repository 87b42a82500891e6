"""
Cron expressions, read into what each field stands for. Five fields as in crontab(5), or six with seconds first.

A day is meant if its number or its weekday is: where both fields are given, either is enough, as in crontab(5).
``L`` is the last day of the month, ``5#2`` its second Friday, ``5L`` its last one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

NICKNAMES: Mapping[str, str] = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)
"""What may be written instead of five fields."""

LAST = -1
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_ITEM = re.compile(r"(?P<first>\*|\?|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?", re.ASCII)
_NTH = re.compile(r"(?P<day>\w+?)(?:#(?P<which>[1-5])|(?P<last>L))", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Field:
    """One field: its *name*, its lowest and highest number, and the names that stand for numbers from the lowest."""

    name: str
    low: int
    high: int
    names: Sequence[str] = ()

    @property
    def is_weekday(self) -> bool:
        return self.names is _WEEKDAYS

    def number(self, text: str) -> int:
        if text.upper() in self.names:
            return self.names.index(text.upper()) + self.low
        if not text.isdecimal() or not self.low <= int(text) <= self.high:
            hint = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ValueError(f"{self.name} must be from {self.low} to {self.high}{hint}, got '{text[:20]}'")
        return int(text)

    def values(self, text: str) -> frozenset[int]:
        """Give the numbers that *text*, a list of numbers, ranges and steps, stands for."""
        found = {number for item in text.split(",") for number in self._item(item)}
        return frozenset(number % 7 for number in found) if self.is_weekday else frozenset(found)

    def _item(self, text: str) -> Sequence[int]:
        match = _ITEM.fullmatch(text)
        if match is None:
            raise ValueError(f"{self.name} '{text[:20]}' is not a number, a range or a step")
        step = int(match["step"] or 1)
        if not 0 < step <= self.high - self.low:
            raise ValueError(f"{self.name} cannot go in steps of {step}")
        if match["first"] in {"*", "?"}:
            if match["last"]:
                raise ValueError(f"{self.name} '{text[:20]}' is not a range")
            return range(self.low, self.high + 1, step)
        first = self.number(match["first"])
        last = self.number(match["last"]) if match["last"] else self.high if match["step"] else first
        if last < first and self.is_weekday:
            last += 7
        if last < first:
            raise ValueError(f"{self.name} goes backwards from {first} to {last}")
        return range(first, last + 1, step)


_SECOND = _Field("second", 0, 59)
_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("weekday", 0, 7, _WEEKDAYS)


@dataclass(frozen=True, slots=True)
class Cron:
    """
    When something is due. *weekdays* count from 0, Sunday; *nth* holds weekdays of a month as day and number, `LAST`
    for its last; *last_day* is that of the month. *days* is None where every day of the month will do, so is
    *weekdays*; where both are, every day is meant.
    """

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    nth: frozenset[tuple[int, int]] = frozenset()
    last_day: bool = False

    @property
    def every_hour(self) -> bool:
        """Whether no hour of the day is left out."""
        return len(self.hours) == 24

    @property
    def ever(self) -> bool:
        """Whether there is such a date at all: 30 February is none."""
        if self.weekdays is not None or self.last_day or self.days is None:
            return True
        return any(day <= _DAYS_OF_MONTH[month - 1] for day in self.days for month in self.months)


def parse_cron(text: str, *, seconds: bool = False) -> Cron:
    """
    Read a cron expression; with *seconds* it may have six fields, the first of which is the second.

    Raises:
        ValueError: it is none, or there never is such a date; the message names the field.
    """
    parts = NICKNAMES.get(text.strip().lower(), text).split()
    if text.strip().startswith("@") and len(parts) == 1:
        raise ValueError(f"there is no '{text.strip()[:20]}'; there are {', '.join(NICKNAMES)}")
    if len(parts) == 5:
        parts = ["0", *parts]
    elif len(parts) == 6 and not seconds:
        raise ValueError("has six fields; set 'withSeconds: true' if the first is the second")
    elif len(parts) != 6:
        raise ValueError(f"needs five fields (minute, hour, day, month, weekday), got {len(parts)}")
    second, minute, hour, day, month, weekday = parts
    days, last_day = _days(day)
    weekdays, nth = _weekdays(weekday)
    found = Cron(
        seconds=_SECOND.values(second),
        minutes=_MINUTE.values(minute),
        hours=_HOUR.values(hour),
        days=days,
        months=_MONTH.values(month),
        weekdays=weekdays,
        nth=nth,
        last_day=last_day,
    )
    if not found.ever:
        raise ValueError("is never due: no month meant has such a day")
    return found


def _days(text: str) -> tuple[frozenset[int] | None, bool]:
    if text in {"*", "?"}:
        return None, False
    plain = [item for item in text.split(",") if item != "L"]
    return _DAY.values(",".join(plain)) if plain else frozenset(), "L" in text.split(",")


def _weekdays(text: str) -> tuple[frozenset[int] | None, frozenset[tuple[int, int]]]:
    if text in {"*", "?"}:
        return None, frozenset()
    nth: set[tuple[int, int]] = set()
    plain = []
    for item in text.split(","):
        match = None if item.upper() in _WEEKDAYS else _NTH.fullmatch(item)
        if match is None:
            plain.append(item)
        else:
            nth.add((_WEEKDAY.number(match["day"]) % 7, LAST if match["last"] else int(match["which"])))
    return _WEEKDAY.values(",".join(plain)) if plain else frozenset(), frozenset(nth)
