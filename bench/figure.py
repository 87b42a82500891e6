"""What was measured, against what, and the verdict."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One line of the table: *values* in *unit*, one for each run, in the order of the runs.

    It is held against an absolute *budget*, or against the *peer*'s values from the same runs times *factor*. Without
    either it is only reported. *quantile* picks what stands for the values (0.5: the median); less is better unless
    *more_is_better*.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    budget: float | None = None
    peer: tuple[float, ...] = ()
    peer_name: str = ""
    factor: float | None = None
    quantile: float = 0.5
    more_is_better: bool = False
    note: str = ""

    @property
    def measured(self) -> float:
        """The value that stands for all."""
        return quantile(self.values, self.quantile)

    @property
    def ratio(self) -> float | None:
        """
        Measured over budget, or over the peer: the median of the ratios of runs made right after each other, since
        the machine changes in between.
        """
        if self.peer:
            return statistics.median(ours / theirs for ours, theirs in zip(self.values, self.peer, strict=True))
        return None if not self.budget else self.measured / self.budget

    @property
    def verdict(self) -> str:
        """``meets``, ``misses``, ``not measured``, or ``-`` where there is nothing to be held against."""
        if not self.values:
            return "not measured"
        ratio, bound = self.ratio, self.factor if self.peer else 1.0
        if ratio is None or bound is None:
            return "-"
        return "meets" if (ratio >= bound if self.more_is_better else ratio <= bound) else "misses"

    def as_json(self) -> dict[str, Any]:
        """Everything known, raw values included."""
        return {
            "name": self.name,
            "unit": self.unit,
            "values": self.values,
            "measured": self.measured if self.values else None,
            "budget": self.budget,
            "peer": self.peer,
            "peerName": self.peer_name,
            "factor": self.factor,
            "quantile": self.quantile,
            "moreIsBetter": self.more_is_better,
            "ratio": self.ratio if self.values else None,
            "verdict": self.verdict,
            "note": self.note,
        }


def quantile(values: Sequence[float], which: float) -> float:
    """Give the smallest of *values* that at least the share *which* of them does not exceed; 0.5 is the median."""
    if which == 0.5:
        return statistics.median(values)
    return sorted(values)[max(0, math.ceil(which * len(values)) - 1)]
