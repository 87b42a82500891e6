"""What every experiment of the reliability rig is given, and what it gives back."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from stores.seaweedfs import Store


class Scale(StrEnum):
    """
    How much is tried: *SHORT* is part of ``make test``, *FULL* makes the published table, *LONG* runs for hours.
    """

    SHORT = "short"
    FULL = "full"
    LONG = "long"


@dataclass(frozen=True, slots=True)
class Setting:
    """
    Where and how an experiment runs: *folder* is its own, *store* a SeaweedFS shared with others (take a new bucket).

    The same *seed* chooses the same faults and schedules again. *hours*: how long an experiment goes on at LONG.
    """

    scale: Scale
    seed: int
    folder: Path
    store: Store
    hours: float = 1.0


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One line of the table: what was counted, what it should be, what it was.

    *control*: the order of steps was wrong on purpose, and *met* says that the rig noticed. *detail* is kept with the
    results as JSON: counts, seeds, the first violations.
    """

    name: str
    target: str
    measured: str
    met: bool
    control: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)


Experiment = Callable[[Setting], Awaitable[list[Figure]]]
"""Runs to its end and tells what it saw. A violation is a figure that is not met, never an exception."""
