"""What experiments have given: kept as JSON, shown as text and as the tables of docs/reliability.md."""

import datetime as dt
import importlib
import inspect
import json
import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from reliability.experiment import Figure, Scale
from stores.seaweedfs import program

from tidewaiter import __version__

_BEGIN, _END = "<!-- figures: written by make reliability -->", "<!-- end of figures -->"
_HEADINGS = ("figure", "target", "measured", "met")
_REFERENCE = re.compile(r"`reliability\.(\w+)`")


@dataclass(frozen=True, slots=True)
class Result:
    """What one experiment gave, and how to run it again: *seconds* is how long it took."""

    seed: int
    scale: Scale
    seconds: int
    figures: tuple[Figure, ...]

    @property
    def met(self) -> bool:
        """Whether every figure is what it should be."""
        return all(figure.met for figure in self.figures)

    def command(self, name: str) -> str:
        """Give the command that runs it again."""
        return f"make reliability ARGS='--only {name} --scale {self.scale.value} --seed {self.seed}'"


@dataclass(frozen=True, slots=True)
class Results:
    """The results of experiments by name. *made* says when, of what version, on what."""

    experiments: Mapping[str, Result] = field(default_factory=dict)
    made: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> "Results":
        """Read what `save` wrote; nothing if it is not there."""
        if not file.exists():
            return cls()
        data = json.loads(file.read_text())
        experiments = {name: _result(item) for name, item in data.pop("experiments").items()}
        return cls(experiments, data)

    def has(self, name: str, scale: Scale, seed: int) -> bool:
        """Whether that experiment has been run so."""
        known = self.experiments.get(name)
        return known is not None and (known.scale, known.seed) == (scale, seed)

    def with_(self, name: str, result: Result) -> "Results":
        """Give these results with one more, or with one replaced, made now."""
        return replace(self, experiments={**self.experiments, name: result}, made=_circumstances())

    @property
    def met(self) -> bool:
        """Whether every figure of every experiment is what it should be."""
        return all(result.met for result in self.experiments.values())

    def save(self, file: Path) -> None:
        """Write the JSON *file*, and the tables into the document beside it if there is one."""
        experiments = {name: asdict(result) for name, result in self.experiments.items()}
        file.write_text(json.dumps({**self.made, "experiments": experiments}, indent=1, ensure_ascii=False) + "\n")
        document = file.with_suffix(".md")
        if document.exists():
            document.write_text(renewed(document.read_text(), as_markdown(self)))


def _result(data: Mapping[str, Any]) -> Result:
    figures = tuple(Figure(**figure) for figure in data["figures"])
    return Result(data["seed"], Scale(data["scale"]), data["seconds"], figures)


def _circumstances() -> dict[str, Any]:
    weed = subprocess.run([program("weed"), "version"], capture_output=True, text=True, check=True).stdout
    return {
        "tidewaiter": __version__,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "store": f"SeaweedFS {weed.split()[2]}",
    }


def as_text(results: Results) -> str:
    """Set every figure as a table."""
    figures = [figure for result in results.experiments.values() for figure in result.figures]
    rows = [_HEADINGS, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _row(figure: Figure) -> tuple[str, str, str, str]:
    measured = figure.measured + (f" ({bound})" if (bound := upper_bound(figure)) else "")
    return figure.name, figure.target, measured, "yes" if figure.met else "NO"


def upper_bound(figure: Figure) -> str:
    """
    Say how likely a violation may still be where none was seen in the figure's *trials*: with 95 % confidence below
    3/N, the rule of three.
    """
    trials = figure.detail.get("trials")
    clean = not figure.control and re.match(r"0\b", figure.measured)
    return f"< {300 / trials:.2g} %" if trials and clean else ""


def as_markdown(results: Results) -> str:
    """Give a chapter for each experiment: what it does, its figures, the command that repeats it."""
    made = results.made
    lines = [
        (
            f"Tidewaiter {made['tidewaiter']}, {made['date']}, {made['machine']}, Python {made['python']}, "
            f"SQLite {made['sqlite']}, {made['store']}. The raw figures are in [reliability.json](reliability.json)."
        ),
    ]
    for name, result in results.experiments.items():
        lines += ["", *_chapter(name, result)]
    return "\n".join(lines)


def _chapter(name: str, result: Result) -> Iterator[str]:
    module = importlib.import_module(f"reliability.{name.replace('-', '_')}")
    yield f"### {name}"
    yield ""
    yield _REFERENCE.sub(r"`tests/reliability/\1.py`", inspect.getdoc(module) or "")
    yield ""
    yield from _table(result.figures)
    yield ""
    yield f"Seed {result.seed}, {result.seconds:,} s: `{result.command(name)}`"


def _table(figures: Sequence[Figure]) -> Iterator[str]:
    yield "| " + " | ".join(_HEADINGS) + " |"
    yield "| --- " * len(_HEADINGS) + "|"
    for figure in figures:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in _row(figure)) + " |"


def renewed(document: str, tables: str) -> str:
    """Put *tables* between the two marks of *document*, in place of what is there."""
    before, _, rest = document.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{tables}\n{_END}{after}"
