"""
Print for people: tables, colours where there is a terminal, and nothing that a key or a log line could use to take it
over.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_COLOURS = {
    "SUCCESS": 32,
    "OK": 32,
    "WARNING": 33,
    "PAUSED": 33,
    "RUNNING": 36,
    "CREATED": 36,
    "FAILED": 31,
    "ERROR": 31,
    "KILLED": 31,
    "DONE": 32,
    "PARKED": 33,
    "ACTION_BLOCKED": 33,
    "QUARANTINED": 31,
}


def say(text: str) -> None:
    """Print data or a report to stdout."""
    print(text, flush=True)  # noqa: T201 - the one place that prints data


def note(text: str) -> None:
    """Print a message to stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints messages


def say_json(data: Any) -> None:
    """Print *data* as JSON, readable on a terminal and compact in a pipe."""
    say(json.dumps(data, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; cells are escaped, states coloured on a terminal."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in [headings, *cells]) for at in range(len(headings))]
    for row in [headings, *cells]:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(coloured(cell) for cell in padded).rstrip())


def coloured(text: str) -> str:
    """Colour the name of a state on a terminal."""
    colour = _COLOURS.get(text.strip())
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and sys.stdout.isatty() else text


def printable(text: str) -> str:
    """Escape what would move the cursor, colour or reorder text (reliability.md §4.1)."""
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    )


def ago(moment: str | None) -> str:
    """Say how long ago *moment* was."""
    if moment is None:
        return "-"
    return f"{span((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())} ago"


def duration(start: str | None, end: str | None) -> str:
    """Say how long something took; ``-`` while it has not ended."""
    if start is None or end is None:
        return "-"
    return span((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


def span(seconds: float) -> str:
    """Say a number of seconds in its two largest units."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f}s"
    units = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
    at = next((i for i, (size, _) in enumerate(units) if seconds >= size), len(units) - 1)
    size, unit = units[at]
    text = f"{int(seconds // size)}{unit}"
    if at + 1 < len(units):
        smaller, name = units[at + 1]
        text += f"{int(seconds % size // smaller)}{name}"
    return text


def size(count: int) -> str:
    """Say a number of bytes."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def log_line(line: Mapping[str, Any]) -> str:
    """Give one log line as people read it."""
    task = f"{line['task']}: " if line["task"] else ""
    return f"{line['at'][11:23]} {line['level']:<5} {task}{printable(line['message'])}"
