"""What a program tells by printing ``::{…}::`` lines (kestra.md §1.10, "Protocol"). Pure: lines in, a report out."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tidewaiter.tasks.context import Level

_LINE = re.compile(r"::(\{.*\})::", re.DOTALL)
_KEYS = frozenset({"outputs", "metrics", "logs", "assets"})
_LEVELS: Mapping[str, Level] = {
    "TRACE": "TRACE",
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "WARN": "WARN",
    "WARNING": "WARN",
    "ERROR": "ERROR",
    "CRITICAL": "ERROR",
    "FATAL": "ERROR",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What one line told. *logs* also holds what is to be said about the line itself when it is not understood."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[Mapping[str, Any], ...] = ()
    logs: tuple[tuple[Level, str], ...] = ()


def parse(line: str) -> Report | None:
    """
    Read *line*; None if it is an ordinary line, which is one that is not ``::{…}::`` from end to end.

    A line of that form never is, even if its content is not understood: that becomes a warning in *logs*.
    """
    match = _LINE.fullmatch(line) if line.startswith("::{") else None
    if match is None:
        return None
    try:
        content = json.loads(match[1], parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return _warning(f"a ::{{…}}:: line is ignored: it is not valid JSON ({error}): {line[:200]}")
    return _report(content)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _report(content: Mapping[str, Any]) -> Report:
    outputs, metrics, logs = content.get("outputs") or {}, content.get("metrics") or [], content.get("logs") or []
    if not isinstance(outputs, Mapping):
        return _warning(f"a ::{{…}}:: line is ignored: 'outputs' must be a map, got {str(outputs)[:80]!r}")
    if not _maps(metrics) or not _maps(logs):
        return _warning("a ::{…}:: line is ignored: 'metrics' and 'logs' must be lists of maps")
    unknown = (_warning(f"a ::{{…}}:: line has the unknown key '{key}'") for key in content if key not in _KEYS)
    return Report(outputs, tuple(metrics), (*map(_log, logs), *(log for report in unknown for log in report.logs)))


def _maps(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _log(item: Mapping[str, Any]) -> tuple[Level, str]:
    return _LEVELS.get(str(item.get("level", "INFO")).upper(), "INFO"), str(item.get("message", ""))


def _warning(message: str) -> Report:
    return Report(logs=(("WARN", message),))


def merged(reports: Iterable[Report]) -> dict[str, Any]:
    """The outputs of all *reports*; a key told again replaces what was told before."""
    return {key: value for report in reports for key, value in report.outputs.items()}
