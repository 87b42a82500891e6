"""What a check has to say."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: what was looked at, how it is, and what to do where it is not well."""

    subject: str
    level: Level
    message: str
    remedy: str | None = None


def ok(subject: str, message: str) -> Finding:
    """Say that something is well."""
    return Finding(subject, "ok", message)


def warning(subject: str, message: str, remedy: str | None = None) -> Finding:
    """Say that something works, but may not for long or not as expected."""
    return Finding(subject, "warning", message, remedy)


def problem(subject: str, message: str, remedy: str | None = None) -> Finding:
    """Say that something keeps Tidewaiter from working."""
    return Finding(subject, "problem", message, remedy)
