"""Date filters and ``now()``: Java's patterns, zones, arithmetic."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import Expressions, Scope

NOON = datetime(2024, 2, 29, 12, 5, 6, 123456, tzinfo=UTC)
SCOPE = Scope(
    {"t": "2024-02-29T12:05:06.123456Z", "local": "2024-02-29T12:05:06", "aware": NOON, "day": date(2024, 2, 29)}
)


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions(now=lambda: NOON)


def rendered(expressions: Expressions, source: str) -> str:
    return expressions.render("{{ " + source + " }}", SCOPE)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yyyy-MM-dd HH:mm:ss.SSS", "2024-02-29 12:05:06.123"),
        ("yy/M/d", "24/2/29"),
        ("EEEE d MMMM yyyy", "Thursday 29 February 2024"),
        ("EEE d MMM", "Thu 29 Feb"),
        ("hh:mm a", "12:05 PM"),
        ("K k h H", "0 12 12 12"),
        ("yyyy'T'HH 'o''clock' ''", "2024T12 o'clock '"),
        ("SSSSSSSSS n", "123456000 123456000"),
        ("DDD Q QQQ QQQQ w", "060 1 Q1 1st quarter 9"),
        ("X XX XXX x xx xxx", "Z Z Z +00 +0000 +00:00"),
        ("Z ZZZZ ZZZZZ O z VV", "+0000 GMT Z GMT UTC Z"),
        ("e G", "4 AD"),
        ("uuuu-MM[-dd]", "2024-02-29"),
    ],
)
def test_pattern_letters(expressions: Expressions, pattern: str, expected: str) -> None:
    """The letters of Java's DateTimeFormatter, with English names."""
    assert rendered(expressions, f't | date("{pattern}")') == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("t | date", "2024-02-29T12:05:06.123456Z"),
        ("t | date('iso_sec')", "2024-02-29T12:05:06Z"),
        ("t | date('iso_milli', timeZone='+02:30')", "2024-02-29T14:35:06.123+02:30"),
        ("t | date('sql')", "2024-02-29 12:05:06.123456"),
        ("t | date('iso_local_date')", "2024-02-29"),
        ("t | date('basic_iso_date')", "20240229Z"),
        ("t | date('iso_zoned_date_time', timeZone='Europe/Paris')", "2024-02-29T13:05:06.123456+01:00[Europe/Paris]"),
        ("t | date('HH:mm z', timeZone='America/New_York')", "07:05 EST"),
        ("t | date('HH:mm XXX', timeZone='Asia/Kolkata')", "17:35 +05:30"),
        ("t | date('x O', timeZone='Asia/Kolkata')", "+0530 GMT+5:30"),
        ("local | date(timeZone='Europe/Paris')", "2024-02-29T12:05:06.000000+01:00"),
        ("aware | date('yyyy')", "2024"),
        ("day | date('iso_sec')", "2024-02-29T00:00:00Z"),
        ("1709208306 | date('iso_sec')", "2024-02-29T12:05:06Z"),
        ("'2024-02-29' | date('dd.MM.yyyy')", "29.02.2024"),
        ("'2024-02-29T12:05:06+01' | date('iso_sec')", "2024-02-29T12:05:06+01:00"),
        ("'29 Feb 2024, 3pm' | date('iso_sec', existingFormat=\"d MMM yyyy, ha\")", "2024-02-29T15:00:00Z"),
        ("'24-2-9' | date('iso_local_date', existingFormat='yy-M-d')", "2024-02-09"),
        ("'20240229 1205 +0200' | date(existingFormat='yyyyMMdd HHmm Z')", "2024-02-29T12:05:00.000000+02:00"),
        ("null | date", ""),
        ("now()", "2024-02-29T12:05:06.123456Z"),
        ("now('yyyy', timeZone='UTC')", "2024"),
        ("now() | date('dd')", "29"),
    ],
)
def test_dates(expressions: Expressions, source: str, expected: str) -> None:
    """Formats by name, zones, and the kinds of dates that are read."""
    assert rendered(expressions, source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("t | dateAdd(-1, 'DAYS')", "2024-02-28T12:05:06.123456Z"),
        ("t | dateAdd(1, 'YEARS') | date('iso_local_date')", "2025-02-28"),
        ("t | dateAdd(12, 'MONTHS') | date('iso_local_date')", "2025-02-28"),
        ("t | dateAdd(-2, 'MONTHS') | date('iso_local_date')", "2023-12-29"),
        ("'2024-01-31' | dateAdd(1, 'MONTHS') | date('iso_local_date')", "2024-02-29"),
        ("'2024-10-31' | dateAdd(2, 'MONTHS') | date('iso_local_date')", "2024-12-31"),
        ("t | dateAdd(90, 'minutes', format='HH:mm')", "13:35"),
        ("t | dateAdd(1, 'HALF_DAYS', timeZone='+01:00')", "2024-03-01T01:05:06.123456+01:00"),
        ("t | timestamp", "1709208306"),
        ("t | timestampMilli", "1709208306123"),
        ("t | timestampMicro", "1709208306123456"),
        ("t | timestampNano", "1709208306123456000"),
        ("local | timestamp(timeZone='+01:00')", "1709204706"),
        ("null | timestamp", ""),
    ],
)
def test_arithmetic(expressions: Expressions, source: str, expected: str) -> None:
    """Units of ChronoUnit, and seconds since 1970."""
    assert rendered(expressions, source) == expected


def test_zone_of_the_engine() -> None:
    """A date without offset is in the engine's zone, summer time included."""
    paris = Expressions(zone=ZoneInfo("Europe/Paris"))
    assert paris.render("{{ '2024-07-01T12:00:00' | date('iso_sec') }}", Scope({})) == "2024-07-01T12:00:00+02:00"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("'soon' | date", "'soon' is not an ISO-8601 date"),
        ("'2024-02-30' | date", "date '2024-02-30' does not exist"),
        ("'2024-13' | date(existingFormat='yyyy-MM')", "does not exist"),
        ("'x' | date(existingFormat='yyyy')", "date 'x' does not fit the format 'yyyy'"),
        ("'x' | date(existingFormat='VV')", "cannot read dates by the letter 'V'"),
        ("t | date('jj')", "has the letter 'j', which is not supported"),
        ("t | date('b')", "has the letter 'b', which is not supported"),
        ('t | date("\'open")', "has a quote that is not closed"),
        ("t | date(timeZone='Moon/Base')", "there is no time zone 'Moon/Base'"),
        ("t | date(timeZone='../etc/passwd')", "there is no time zone"),
        ("t | date(locale='tlh')", "dates cannot be written in the locale 'tlh'"),
        ("true | date", "needs a date, ISO-8601 text or seconds since 1970, got a boolean"),
        ("99999999999999 | date", "needs a date"),
        ("t | dateAdd(1, 'EONS')", "there is no unit 'EONS'"),
        ("t | dateAdd(99999, 'YEARS')", "cannot add 99999 YEARS"),
        ("t | dateAdd('x', 'DAYS')", "amount must be a number"),
        ("'0001-01-01' | date(timeZone='+01:00') | date(timeZone='-10:00')", "is out of range"),
    ],
)
def test_what_is_no_date(expressions: Expressions, source: str, message: str) -> None:
    """Dates, formats, zones and units that do not exist are named."""
    with pytest.raises(ExpressionError) as caught:
        rendered(expressions, source)
    assert message in caught.value.message


def test_written_dates_are_read_again(expressions: Expressions) -> None:
    """What a pattern writes, the same pattern reads."""
    pattern = "EEE, dd MMM yyyy hh:mm:ss.SSSSSS a XXX"
    written = f't | date("{pattern}", timeZone="Asia/Kolkata")'
    source = f'{written} | date(existingFormat="{pattern}", timeZone="UTC")'
    assert rendered(expressions, source) == "2024-02-29T12:05:06.123456Z"
