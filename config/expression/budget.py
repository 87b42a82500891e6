"""What one rendering may spend: output, rounds of loops, parts of what it builds, and time (reliability.md §4.2)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from tidewaiter.config.errors import ExpressionError

MAX_CALLS = 12
"""How deep macros and ``render()`` may call each other."""

_ITEM = 32  # characters that an item of a list counts for

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What one rendering may spend: characters of *output*, *rounds* of all its loops together, characters of all texts
    it has *built* on the way, where an item of a list counts for 32, and *seconds*, after which it ends at its next
    step.
    """

    output: int = 16 * 1024 * 1024
    rounds: int = 100_000
    built: int = 64 * 1024 * 1024
    seconds: float = 1.0


@dataclass(slots=True)
class Budget:
    """What a rendering and those nested in it have left."""

    output: int
    rounds: int
    built: int
    deadline: float
    calls: int = MAX_CALLS

    @classmethod
    def of(cls, limits: Limits) -> "Budget":
        """Start to spend *limits*."""
        return cls(limits.output, limits.rounds, limits.built, time.monotonic() + limits.seconds)

    def spend_time(self) -> None:
        """Fail if the time is up."""
        if time.monotonic() > self.deadline:
            raise ExpressionError("takes too long", "work on long lists with jq() or in a script")

    def spend_output(self, characters: int) -> None:
        """Take *characters* off, or fail."""
        self.output -= characters
        if self.output < 0:
            raise ExpressionError("output is too long", "pass big contents as files, not through expressions")

    def spend_round(self) -> None:
        """Take one round of a loop off, or fail."""
        self.rounds -= 1
        if self.rounds < 0:
            raise ExpressionError("too many rounds of loops", "work on long lists with jq() or in a script")
        self.spend_time()

    def spend_built(self, value: T) -> T:
        """Take the size of *value*, if it is a text, a list or a map, off, and give it back; or fail."""
        if isinstance(value, str | list | Mapping):
            self.built -= len(value) if isinstance(value, str) else len(value) * _ITEM
            if self.built < 0:
                raise ExpressionError("builds too much", "pass big contents as files, not through expressions")
        return value

    def nested(self) -> "_Nested":
        """Take one level off the depth of calls for the time of a ``with`` block."""
        return _Nested(self)


class _Nested:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def __enter__(self) -> None:
        if not self._budget.calls:
            raise ExpressionError("macros or render() call each other too deeply")
        self._budget.calls -= 1

    def __exit__(self, *_: object) -> None:
        self._budget.calls += 1
