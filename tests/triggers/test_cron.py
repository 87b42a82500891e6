"""Cron expressions."""

import re

import pytest

from tidewaiter.triggers.cron import LAST, parse_cron

EVERY_MINUTE = frozenset(range(60))


def test_five_fields_begin_with_the_minute() -> None:
    """The second is 0 then."""
    cron = parse_cron("*/15 8-18/2 1,15 JAN-MAR *")
    assert cron.seconds == {0}
    assert cron.minutes == {0, 15, 30, 45}
    assert cron.hours == {8, 10, 12, 14, 16, 18}
    assert (cron.days, cron.months, cron.weekdays) == ({1, 15}, {1, 2, 3}, None)


def test_six_fields_begin_with_the_second() -> None:
    """If the author says so."""
    assert parse_cron("*/30 * * * * *", seconds=True).seconds == {0, 30}


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0", {0}), ("7", {0}), ("SUN", {0}), ("mon-fri", {1, 2, 3, 4, 5}), ("1-5", {1, 2, 3, 4, 5}),
        ("FRI-MON", {5, 6, 0, 1}), ("5-7", {5, 6, 0}), ("*/2", {0, 2, 4, 6}), ("?", None),
    ],
)  # fmt: skip
def test_weekdays_count_from_sunday(text: str, days: set[int] | None) -> None:
    """By number or by name, Sunday twice."""
    assert parse_cron(f"0 0 * * {text}").weekdays == days


def test_days_of_a_month_by_weekday() -> None:
    """The second Friday, the last Monday, and the last day at all."""
    assert parse_cron("0 0 * * 5#2,MONL").nth == {(5, 2), (1, LAST)}
    assert parse_cron("0 0 L * *").last_day


def test_a_step_from_a_number_goes_to_the_end() -> None:
    """As everywhere in cron."""
    assert parse_cron("50/5 * * * *").minutes == {50, 55}


@pytest.mark.parametrize(
    ("nickname", "meant"),
    [("@hourly", "0 * * * *"), ("@daily", "0 0 * * *"), ("@weekly", "0 0 * * 0"), ("@yearly", "0 0 1 1 *")],
)
def test_nicknames(nickname: str, meant: str) -> None:
    """They stand for five fields."""
    assert parse_cron(nickname) == parse_cron(meant)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("61 * * * *", "minute must be from 0 to 59, got '61'"),
        ("* * * *", "needs five fields"),
        ("* * * * * *", "has six fields"),
        ("0 0 30 2 *", "is never due"),
        ("@reboot", "there is no '@reboot'"),
        ("*/90 * * * *", "minute cannot go in steps of 90"),
        ("*/0 * * * *", "minute cannot go in steps of 0"),
        ("5-1 * * * *", "minute goes backwards from 5 to 1"),
        ("* * * FOO *", "month must be from 1 to 12 or JAN to DEC, got 'FOO'"),
        ("0 0 15W * *", "day must be from 1 to 31, got '15W'"),
        ("0 0 * * 5#6", "weekday '5#6' is not"),
        ("٣ * * * *", "minute '٣' is not"),
        ("", "needs five fields"),
    ],
)
def test_what_is_no_cron_is_refused(text: str, problem: str) -> None:
    """The message names the field."""
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}"):
        parse_cron(text)
