"""Windows of time for Flow triggers."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from tidewaiter.triggers.windows import TimeWindow

NOON = datetime(2026, 5, 1, 12, 20, tzinfo=UTC)


def around(**properties: Any) -> tuple[str, str] | None:
    found = TimeWindow.model_validate(properties).around(NOON)
    return found and (f"{found[0]:%dT%H:%M}", f"{found[1]:%dT%H:%M}")


def test_the_default_is_the_day() -> None:
    """From midnight to midnight."""
    assert around() == ("01T00:00", "02T00:00")


def test_windows_of_some_length_begin_at_midnight() -> None:
    """One after the other, shifted if wanted."""
    assert around(window="PT6H") == ("01T12:00", "01T18:00")
    assert around(window="PT6H", windowAdvance="PT3H") == ("01T09:00", "01T15:00")
    assert around(window="P1D", windowAdvance="PT13H") == ("30T13:00", "01T13:00")


def test_a_sliding_window_ends_now() -> None:
    """It is the time up to the present."""
    assert around(type="SLIDING_WINDOW", window="PT1H") == ("01T11:20", "01T12:20")


def test_daily_windows() -> None:
    """In the zone that is named, and none outside of them."""
    assert around(type="DAILY_TIME_DEADLINE", deadline="13:00:00") == ("01T00:00", "01T13:00")
    assert around(type="DAILY_TIME_DEADLINE", deadline="13:00:00", timezone="Europe/Paris") is None
    assert around(type="DAILY_TIME_WINDOW", startTime="12:00:00", endTime="13:00:00") == ("01T12:00", "01T13:00")
    assert around(type="DAILY_TIME_WINDOW", startTime="06:00:00", endTime="09:00:00") is None


@pytest.mark.parametrize(
    "properties", [{"type": "DAILY_TIME_DEADLINE"}, {"type": "DAILY_TIME_WINDOW"}, {"timezone": "X/Y"}]
)
def test_incomplete_windows_are_refused(properties: dict[str, Any]) -> None:
    """They would never be."""
    with pytest.raises(ValidationError):
        TimeWindow.model_validate(properties)
