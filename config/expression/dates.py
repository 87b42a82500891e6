"""Kestra's date filters and ``now()`` (kestra.md §1.12)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression.date_format import parse_offset, read_date, write_date
from tidewaiter.config.expression.locales import ENGLISH, Names, names_of
from tidewaiter.config.expression.values import is_number, kind, text_of, whole

_DEFAULT = "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"
_NAMED: Mapping[str, str] = MappingProxyType(
    {
        "iso": _DEFAULT,
        "iso_milli": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "iso_sec": "yyyy-MM-dd'T'HH:mm:ssXXX",
        "iso_zoned_date_time": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX'['VV']'",
        "sql": "yyyy-MM-dd HH:mm:ss.SSSSSS",
        "sql_milli": "yyyy-MM-dd HH:mm:ss.SSS",
        "sql_sec": "yyyy-MM-dd HH:mm:ss",
        "sql_seq": "yyyy-MM-dd HH:mm:ss",
        "iso_date": "yyyy-MM-ddXXX",
        "iso_local_date": "yyyy-MM-dd",
        "basic_iso_date": "yyyyMMddXX",
        "iso_local_time": "HH:mm:ss.SSSSSS",
        "iso_time": "HH:mm:ss.SSSSSSXXX",
        "iso_local_date_time": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
        "iso_offset_date_time": _DEFAULT,
        "iso_date_time": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX'['VV']'",
        "iso_instant": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSX",
        "rfc_1123_date_time": "EEE, d MMM yyyy HH:mm:ss Z",
    }
)
_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)(?:[T ](?P<time>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d{1,9}))?"
    r"(?P<offset>Z|[-+]\d\d(?::?\d\d){0,2})?(?:\[(?P<zone>[\w/+-]+)\])?)?",
    re.IGNORECASE,
)
_UNITS: Mapping[str, timedelta] = MappingProxyType(
    {
        "MICROS": timedelta(microseconds=1),
        "MILLIS": timedelta(milliseconds=1),
        "SECONDS": timedelta(seconds=1),
        "MINUTES": timedelta(minutes=1),
        "HOURS": timedelta(hours=1),
        "HALF_DAYS": timedelta(hours=12),
        "DAYS": timedelta(days=1),
        "WEEKS": timedelta(weeks=1),
    }
)
_MONTHS: Mapping[str, int] = MappingProxyType({"MONTHS": 1, "YEARS": 12, "DECADES": 120, "CENTURIES": 1200})
_MAX_SECONDS = 253_402_300_799  # the end of year 9999


@dataclass(frozen=True, slots=True)
class _Style:
    """How a date is written: by a Java pattern, in *zone* or the one it has, with *names* of a language."""

    pattern: str
    zone: tzinfo | None
    names: Names


class Dates:
    """The date filters and functions: *zone* is the time zone of dates that name none, *now* reads the clock."""

    def __init__(self, zone: tzinfo, now: Callable[[], datetime]) -> None:
        self._zone = zone
        self._now = now

    def filters(self) -> Mapping[str, Callable[..., Any]]:
        """The filters by the name they have in expressions."""
        return {
            "date": self.date,
            "dateAdd": self.date_add,
            "timestamp": self._timestamp(1),
            "timestampMilli": self._timestamp(1000),
            "timestampMicro": self._timestamp(1_000_000),
            "timestampNano": self._timestamp(1_000_000_000),
        }

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """The functions by the name they have in expressions."""
        return {"now": self.now}

    def now(self, format_: Any = None, time_zone: Any = None, locale: Any = None) -> str:
        """Write the current time as `date` does."""
        return _written(self._now(), _style(format_, time_zone, locale))

    def date(
        self, subject: Any, format_: Any = None, existing_format: Any = None, time_zone: Any = None, locale: Any = None
    ) -> str | None:
        """
        Write a date by the Java pattern or name *format_*.

        The date is ISO-8601 text or text in *existing_format*, a number of seconds since 1970, or a date. *time_zone*
        converts it; a date without offset is taken to be in that zone already.

        Raises:
            ExpressionError: no such date, format, zone or language.
        """
        if subject is None:
            return None
        style = _style(format_, time_zone, locale)
        return _written(self._moment(subject, existing_format, style), style)

    def date_add(  # noqa: PLR0913, PLR0917 - Kestra's arguments, in its order
        self,
        subject: Any,
        amount: Any,
        unit: Any,
        format_: Any = None,
        existing_format: Any = None,
        time_zone: Any = None,
        locale: Any = None,
    ) -> str | None:
        """
        Add *amount* units (``DAYS``, ``HOURS`` … of java.time.temporal.ChronoUnit) to a date; write it as `date` does.

        Raises:
            ExpressionError: as `date`, or no such unit, or the year leaves 1 to 9999.
        """
        if subject is None:
            return None
        style = _style(format_, time_zone, locale)
        moment = self._moment(subject, existing_format, style)
        return _written(_plus(moment, whole(amount, "amount"), text_of(unit, "unit").upper()), style)

    def _timestamp(self, per_second: int) -> Callable[..., int | None]:
        def timestamp(subject: Any, existing_format: Any = None, time_zone: Any = None) -> int | None:
            """Count the seconds, or fractions of them, since 1970."""
            if subject is None:
                return None
            since = self._moment(subject, existing_format, _style(None, time_zone, None)) - datetime.fromtimestamp(
                0, UTC
            )
            return (since // timedelta(microseconds=1)) * per_second // 1_000_000

        return timestamp

    def _moment(self, subject: Any, existing_format: Any, style: _Style) -> datetime:
        """Give the aware moment that *subject* means; without an offset it is in its zone or the engine's."""
        local_zone = style.zone or self._zone
        if isinstance(subject, str):
            if existing_format is not None:
                return read_date(text_of(existing_format, "existingFormat"), subject, local_zone, style.names)
            return _iso(subject, local_zone)
        if isinstance(subject, datetime):
            return subject if subject.tzinfo else subject.replace(tzinfo=local_zone)
        if isinstance(subject, date):
            return datetime(subject.year, subject.month, subject.day, tzinfo=local_zone)
        if is_number(subject) and abs(subject) <= _MAX_SECONDS:
            return datetime.fromtimestamp(0, local_zone) + timedelta(seconds=float(subject))
        raise ExpressionError(f"needs a date, ISO-8601 text or seconds since 1970, got {kind(subject)}")


def _style(format_: Any, time_zone: Any, locale: Any) -> _Style:
    pattern = _DEFAULT if format_ is None else text_of(format_, "format")
    names = ENGLISH if locale is None else names_of(text_of(locale, "locale"))
    return _Style(_NAMED.get(pattern.lower(), pattern), _named_zone(time_zone), names)


def _written(moment: datetime, style: _Style) -> str:
    try:
        moment = moment if style.zone is None else moment.astimezone(style.zone)
        return write_date(style.pattern, moment, style.names)
    except (OverflowError, ValueError) as error:
        raise ExpressionError(f"date {moment.isoformat()} is out of range: {error}") from error


def _named_zone(name: Any) -> tzinfo | None:
    if name is None:
        return None
    zone = text_of(name, "timeZone")
    try:
        return parse_offset(zone) if zone[:1] in {"+", "-", "Z"} else ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ExpressionError(f"there is no time zone '{zone}'", "write it as Europe/Paris, UTC or +02:00") from error


def _iso(text: str, zone: tzinfo) -> datetime:
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise ExpressionError(f"'{text}' is not an ISO-8601 date", "name its format with existingFormat")
    try:
        moment = datetime.fromisoformat(f"{match['date']} {match['time'] or '00:00'}")
        microsecond = int((match["fraction"] or "0").ljust(6, "0")[:6])
        own_zone = parse_offset(match["offset"]) if match["offset"] else zone
        return moment.replace(microsecond=microsecond, tzinfo=own_zone)
    except ValueError as error:
        raise ExpressionError(f"date '{text}' does not exist: {error}") from error


def _plus(moment: datetime, amount: int, unit: str) -> datetime:
    try:
        if unit in _UNITS:
            return moment + amount * _UNITS[unit]
        if unit in _MONTHS:
            return _plus_months(moment, amount * _MONTHS[unit])
    except (OverflowError, ValueError) as error:
        raise ExpressionError(f"cannot add {amount} {unit} to {moment.isoformat()}: {error}") from error
    raise ExpressionError(f"there is no unit '{unit}'", f"there is {', '.join([*_UNITS, *_MONTHS])}")


def _plus_months(moment: datetime, months: int) -> datetime:
    """Move by months; a day that the month lacks becomes its last one."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    following = moment.replace(year=year + month // 11, month=(month + 1) % 12 + 1, day=1)
    last_day = (following - timedelta(days=1)).day
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last_day))
