"""The dates of schedules, where clocks are changed and where they are not."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.daemon.timetable import Timetable
from tidewaiter.triggers.cron import parse_cron

PARIS = ZoneInfo("Europe/Paris")


def dates(cron: str, begin: str, number: int, zone: str = "Europe/Paris") -> list[str]:
    """The first dates after a time in that zone, without the year and the seconds."""
    timetable = Timetable(parse_cron(cron), ZoneInfo(zone))
    found = []
    date = datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo(zone))
    for _ in range(number):
        following = timetable.next(date)
        assert following is not None
        date = following
        found.append(date.strftime("%m-%dT%H:%M%z"))
    return found


def test_a_date_in_the_hour_left_out_comes_as_much_later() -> None:
    """02:30 is 03:30 on the day the clocks go forward; it is not lost."""
    assert dates("30 2 * * *", "2026-03-28T12:00", 2) == ["03-29T03:30+0200", "03-30T02:30+0200"]


def test_dates_that_coincide_then_come_once() -> None:
    """02:30 and 03:30 are one moment on that day."""
    expected = ["03-29T03:00+0200", "03-29T03:30+0200", "03-30T02:00+0200"]
    assert dates("0,30 2,3 * * *", "2026-03-28T12:00", 3) == expected


def test_a_date_in_the_hour_that_comes_twice_is_due_once() -> None:
    """The first time, on the day the clocks go back."""
    assert dates("30 2 * * *", "2026-10-24T12:00", 2) == ["10-25T02:30+0200", "10-26T02:30+0100"]


def test_a_schedule_for_every_hour_goes_on_through_both_changes() -> None:
    """Half an hour is half an hour."""
    for begin in ("2026-03-29T00:10", "2026-10-25T00:10"):
        found = [datetime.strptime(f"2026-{text}", "%Y-%m-%dT%H:%M%z") for text in dates("*/30 * * * *", begin, 10)]
        assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=30)}


def test_either_day_field_is_enough() -> None:
    """Each Friday and each 13th, as in crontab(5)."""
    expected = ["11-06T09:00+0000", "11-13T09:00+0000", "11-20T09:00+0000", "11-27T09:00+0000", "12-04T09:00+0000"]
    assert dates("0 9 13 * FRI", "2026-11-01T00:00", 5, "UTC") == expected
    assert dates("0 9 13 * FRI", "2026-12-11T10:00", 1, "UTC") == ["12-13T09:00+0000"]


def test_sunday_is_sunday() -> None:
    """By every name; APScheduler itself counts from Monday."""
    for name in ("0", "7", "SUN"):
        assert dates(f"0 0 * * {name}", "2026-11-01T12:00", 1, "UTC") == ["11-08T00:00+0000"]


def test_days_by_their_place_in_the_month() -> None:
    """The last day, the second Friday, the last Monday."""
    assert dates("0 9 L * *", "2026-02-01T00:00", 2, "UTC") == ["02-28T09:00+0000", "03-31T09:00+0000"]
    assert dates("0 9 * * 5#2", "2026-11-01T00:00", 1, "UTC") == ["11-13T09:00+0000"]
    assert dates("0 9 * * MONL", "2026-11-01T00:00", 1, "UTC") == ["11-30T09:00+0000"]


def test_leap_days_are_far_apart() -> None:
    """And found both ways."""
    timetable = Timetable(parse_cron("0 0 29 2 *"))
    date = timetable.next(datetime(2026, 1, 1, tzinfo=UTC))
    assert date == datetime(2028, 2, 29, tzinfo=UTC)
    assert timetable.previous(date) == datetime(2024, 2, 29, tzinfo=UTC)


CRONS = ["*/7 * * * *", "30 2 * * *", "0,30 1-3 * * *", "15 */6 * * *", "0 9 * * MON-FRI", "0 0 1 * SUN", "0 3 L * *"]


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
@settings(max_examples=30, deadline=None)
@given(
    cron=st.sampled_from(CRONS),
    begin=st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - see timezones
)
def test_forth_and_back_are_the_same_dates(zone: str, cron: str, begin: datetime) -> None:
    """Dates follow each other in order; the one before each is the one it followed."""
    timetable = Timetable(parse_cron(cron), ZoneInfo(zone))
    first = timetable.next(begin)
    assert first is not None
    second = timetable.next(first)
    assert second is not None
    assert begin < first.astimezone(UTC) < second.astimezone(UTC)
    before = timetable.previous(second)
    assert before is not None
    assert before.astimezone(UTC) == first.astimezone(UTC)
