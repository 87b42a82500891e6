"""``tidewaiter validate``."""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

from tidewaiter.config.errors import Problem
from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.cli.terminal import note, say, say_json
from tidewaiter.daemon.flows import flow_files, load_flows


def run(options: argparse.Namespace) -> int:
    """Check flow files and print every mistake."""
    files = flow_files(options.paths)
    flows = load_flows(options.paths, Expressions())
    identifiers = {file.path: file.flow.id for file in flows.flows.values()}
    if options.json:
        say_json(report(files, identifiers, flows.problems))
    else:
        for problem in flows.problems:
            say(str(problem))
        wrong = len({problem.file for problem in flows.problems})
        note(
            f"{len(files) - wrong} of {len(files)} flow files are valid"
            if files
            else "no flow files found (*.yaml, *.yml)"
        )
    return 2 if flows.problems else 0


def report(files: list[Path], identifiers: dict[Path, str], problems: tuple[Problem, ...]) -> list[dict[str, Any]]:
    """Give one entry per file, in the shape design.md §5 promises."""
    errors = defaultdict(list)
    for problem in problems:
        errors[problem.file].append(
            {"line": problem.line, "column": problem.column, "message": problem.message, "hint": problem.hint}
        )
    return [
        {
            "file": str(file),
            "valid": str(file) not in errors,
            "flowId": identifiers.get(file),
            "errors": errors.get(str(file), []),
            "warnings": [],
        }
        for file in files
    ]
