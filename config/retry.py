"""How often, and how long apart, what failed is tried again (kestra.md §1.5)."""

import random
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from tidewaiter.config.fields import PositiveDuration
from tidewaiter.config.spec import Spec, misfit

_FAR = timedelta(days=36_500)
_LARGEST_POWER = 64


class Retry(Spec):
    """
    Try a failed task again.

    ``constant`` waits *interval* each time, ``exponential`` multiplies it by *delayFactor* after each failure up to
    *maxInterval*, ``random`` waits between *minInterval* and *maxInterval*, both included. Kestra's exponential retry
    grows only linearly and begins without a wait (kestra.md D25); this one does what its name says.
    """

    type: Literal["constant", "exponential", "random"]
    """How the waits between attempts grow."""
    interval: PositiveDuration | None = None
    """The first wait."""
    max_interval: PositiveDuration | None = None
    """The longest wait."""
    min_interval: PositiveDuration | None = None
    """The shortest wait, of ``random``."""
    delay_factor: Annotated[float, Field(ge=1, le=1000)] = 2.0
    """By what each wait is longer than the one before, of ``exponential``."""
    max_attempts: Annotated[int | None, Field(ge=1, validation_alias=AliasChoices("maxAttempts", "maxAttempt"))] = None
    """How many attempts in all, the first one counted."""
    max_duration: PositiveDuration | None = None
    """How long after the first attempt began another one may begin."""
    warning_on_retry: bool = False
    """End with a warning if it took more than one attempt."""
    behavior: Literal["RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION"] = "RETRY_FAILED_TASK"
    """Try the task again, or end the execution and start a new one."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {"constant": ("interval",), "exponential": ("interval",), "random": ("min_interval", "max_interval")}
        for name in needed[self.type]:
            if getattr(self, name) is None:
                alias = type(self).model_fields[name].alias or name
                raise misfit("type", f"a {self.type} retry needs '{alias}'", f"add {alias}: PT10S, for example")
        if self.type == "random" and self._shortest > self._longest:
            raise misfit("minInterval", "is longer than 'maxInterval'", "swap the two")
        return self

    @property
    def _shortest(self) -> timedelta:
        return min((self.min_interval if self.type == "random" else self.interval) or timedelta(0), _FAR)

    @property
    def _longest(self) -> timedelta:
        return min(self.max_interval or _FAR, _FAR)

    def delay(self, failures: int) -> timedelta:
        """How long to wait after that many failures in a row, the first of them counted as 1."""
        if self.type == "random":
            seconds = random.uniform(self._shortest.total_seconds(), self._longest.total_seconds())  # noqa: S311 - no secret depends on it
            return timedelta(seconds=seconds)
        if self.type == "constant":
            return self._shortest
        seconds = self._shortest.total_seconds() * self.delay_factor ** min(failures - 1, _LARGEST_POWER)
        return timedelta(seconds=min(seconds, self._longest.total_seconds()))

    def allows(self, failures: int, elapsed: timedelta, delay: timedelta) -> bool:
        """
        Whether another attempt may follow *delay* after that many failures, *elapsed* after the first attempt began.
        """
        attempts_left = self.max_attempts is None or failures < self.max_attempts
        return attempts_left and (self.max_duration is None or elapsed + delay <= self.max_duration)
