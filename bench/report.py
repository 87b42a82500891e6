"""The table, the machine, and the file with every raw value."""

import json
import os
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figure import Figure
from bench.stage import Stage

_HEADINGS = ("figure", "measured", "against", "ratio", "verdict")


def machine(s5cmd: Path, weed: Path) -> dict[str, Any]:
    """Say where this was measured and with what; the load tells how busy the machine was with other things."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "s5cmd": _first_line([str(s5cmd), "version"]),
        "seaweedfs": _first_line([str(weed), "version"]).removeprefix("version "),
        "loadAtStart": load(),
    }


def load() -> list[float]:
    """Give the number of processes that wanted to run, on average over the last 1, 5 and 15 minutes."""
    return [round(average, 2) for average in os.getloadavg()]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _first_line(command: Sequence[str]) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return next(iter(answer.stdout.strip().splitlines()), "unknown")


def machine_line(facts: Mapping[str, Any]) -> str:
    """Give the machine in one line."""
    return (
        f"{facts['cores']} cores ({facts['processor']}), Linux {facts['kernel']}, Python {facts['python']}, "
        f"SQLite {facts['sqlite']}, s5cmd {facts['s5cmd']}, SeaweedFS {facts['seaweedfs']}, "
        f"load {facts['loadAtStart'][0]} at start, {facts['loadAtEnd'][0]} at end"
    )


def table(figures: Sequence[Figure]) -> str:
    """Set *figures* as a table, their notes below it."""
    notes = list(dict.fromkeys(figure.note for figure in figures if figure.note))
    rows = [_HEADINGS, *(_row(figure, notes) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, *(f"[{number}] {note}" for number, note in enumerate(notes, 1))])


def _row(figure: Figure, notes: Sequence[str]) -> tuple[str, ...]:
    mark = f" [{notes.index(figure.note) + 1}]" if figure.note else ""
    if not figure.values:
        return (figure.name + mark, "not measured", _against(figure), "", "")
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    return (figure.name + mark, _spread(figure), _against(figure), ratio, figure.verdict)


def _spread(figure: Figure) -> str:
    values = figure.values
    text = f"{_number(figure.measured)} {figure.unit}"
    return text if len(values) == 1 else f"{text} [{_number(min(values))}-{_number(max(values))}]"


def _against(figure: Figure) -> str:
    relation = ">=" if figure.more_is_better else "<="
    if figure.peer:
        bound = "" if figure.factor is None else f"{relation} {figure.factor:g} x "
        middle = _number(sorted(figure.peer)[len(figure.peer) // 2])
        return f"{bound}{figure.peer_name}: {middle} [{_number(min(figure.peer))}-{_number(max(figure.peer))}]"
    return "" if figure.budget is None else f"{relation} {figure.budget:g} {figure.unit}"


def _number(value: float) -> str:
    """Give three digits that matter."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def print_text(stage: Stage, facts: Mapping[str, Any], figures: Sequence[Figure]) -> None:
    """Print the table, the commands that were measured, and the machine."""
    print(table(figures))
    print("\nmeasured: median [least-most]; ratio: measured over budget, or median over the peer in the same round")
    print("\ncommands ($WORK: a folder of this run, $ENDPOINT: the store; keys and endpoint also in the environment):")
    for command in stage.commands:
        print(f"  {command}")
    print(f"\n{machine_line(facts)}; seed {stage.seed}")


def results(stage: Stage, facts: Mapping[str, Any], figures: Sequence[Figure]) -> dict[str, Any]:
    """Give everything that was measured, as JSON data."""
    sizes = {name: getattr(stage.sizes, name) for name in stage.sizes.__slots__}
    return {
        "machine": facts,
        "seed": stage.seed,
        "sizes": sizes,
        "figures": [figure.as_json() for figure in figures],
        "commands": stage.commands,
    }


def save(data: Mapping[str, Any], path: Path) -> None:
    """Write *data* for later comparison."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n")
    print(f"bench: raw values in {path}", file=sys.stderr)
