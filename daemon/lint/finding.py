"""What a look at a flow as written has to say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tidewaiter.config.document import Position
from tidewaiter.daemon.lint.subject import Subject

Severity = Literal["error", "warning", "info"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""The worst first."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A place where a rule has something to say, and what to do about it."""

    position: Position
    message: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One thing looked for. *code* never changes; *find* is pure, and its docstring is the rule's page.

    Errors keep the flow from running here, warnings are likely mistakes, an info tells a difference.
    """

    code: str
    severity: Severity
    title: str
    find: Callable[[Subject], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One hit of one rule in one file. *line* and *column* count from 1."""

    file: str
    line: int
    column: int
    severity: Severity
    code: str
    message: str
    remedy: str | None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity} {self.code} {self.message}"
