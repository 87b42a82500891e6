"""How often, and how long apart, what failed is tried again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tidewaiter.config.retry import Retry


def retry(**properties: Any) -> Retry:
    return Retry.model_validate(properties)


def seconds(spec: Retry, *failures: int) -> list[float]:
    return [spec.delay(number).total_seconds() for number in failures]


def test_constant() -> None:
    """The same time after each failure."""
    assert seconds(retry(type="constant", interval="PT5S"), 1, 2, 50) == [5, 5, 5]


def test_exponential_is_exponential() -> None:
    """It begins with the interval, multiplies it each time, and stops growing at the maximum."""
    spec = retry(type="exponential", interval="PT1S", delayFactor=3, maxInterval="PT20S")
    assert seconds(spec, 1, 2, 3, 4, 1000) == [1, 3, 9, 20, 20]


def test_a_fraction_as_factor_counts() -> None:
    """It is not cut off."""
    assert seconds(retry(type="exponential", interval="PT4S", delayFactor=1.5), 1, 2, 3) == [4, 6, 9]


def test_random_stays_between_its_bounds() -> None:
    """Both included: they may be the same."""
    spec = retry(type="random", minInterval="PT1S", maxInterval="PT2S")
    assert all(1 <= found <= 2 for found in seconds(spec, *range(1, 200)))
    assert seconds(retry(type="random", minInterval="PT3S", maxInterval="PT3S"), 1) == [3]


@pytest.mark.parametrize("name", ["maxAttempts", "maxAttempt"])
def test_attempts_are_counted_all(name: str) -> None:
    """Both spellings mean attempts, not repetitions."""
    spec = retry(type="constant", interval="PT1S", **{name: 2})
    assert [spec.allows(n, timedelta(0), timedelta(0)) for n in (1, 2)] == [True, False]


def test_the_duration_counts_from_the_first_attempt() -> None:
    """An attempt that would begin too late is not made."""
    spec = retry(type="constant", interval="PT10S", maxDuration="PT1M")
    assert spec.allows(9, timedelta(seconds=50), timedelta(seconds=10))
    assert not spec.allows(9, timedelta(seconds=51), timedelta(seconds=10))


@pytest.mark.parametrize(
    "properties",
    [
        {"type": "constant"}, {"type": "exponential"}, {"type": "random", "minInterval": "PT1S"}, {"type": "sometimes"},
        {"type": "random", "minInterval": "PT2S", "maxInterval": "PT1S"}, {"type": "constant", "interval": "PT0S"},
        {"type": "constant", "interval": "PT1S", "maxAttempts": 0},
    ],
)  # fmt: skip
def test_what_makes_no_sense(properties: dict[str, Any]) -> None:
    """It is refused when the flow is read."""
    with pytest.raises(ValidationError):
        retry(**properties)


@pytest.mark.parametrize(
    "kind", [{"type": "constant", "interval": "P9999999D"}, {"type": "exponential", "interval": "P9999999D"}]
)
def test_no_wait_is_beyond_what_a_calendar_has(kind: dict[str, str]) -> None:
    """However long the interval: the moment after it can be told."""
    assert datetime.now(UTC) + Retry.model_validate(kind).delay(3) > datetime.now(UTC)
