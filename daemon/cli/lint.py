"""``tidewaiter lint``."""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.cli.terminal import note, printable, say, say_json
from tidewaiter.daemon.flows import flow_files
from tidewaiter.daemon.lint import SEVERITIES, Finding, lint

_CODES = {"error": 2, "warning": 1, "info": 0}


def run(options: argparse.Namespace) -> int:
    """Look at flow files as written and print what there is to say of them."""
    files = flow_files(options.paths)
    expressions = Expressions()
    findings = [finding for file in files for finding in _findings(file, expressions)]
    if options.json:
        say_json([asdict(finding) for finding in findings])
    else:
        _show(findings)
        note(_summary(files, findings))
    return max((_CODES[finding.severity] for finding in findings), default=0)


def _findings(file: Path, expressions: Expressions) -> list[Finding]:
    try:
        text = file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        return [Finding(str(file), 1, 1, "error", "TW001", f"cannot be read: {error}", None)]
    return lint(text, str(file), expressions)


def _show(findings: Sequence[Finding]) -> None:
    for number, (_file, group) in enumerate(groupby(findings, key=lambda finding: finding.file)):
        if number:
            say("")
        for finding in group:
            say(printable(str(finding)))
            if finding.remedy:
                say(f"    {printable(finding.remedy)}")


def _summary(files: Sequence[Path], findings: Sequence[Finding]) -> str:
    if not files:
        return "no flow files found (*.yaml, *.yml)"
    counts = Counter(finding.severity for finding in findings)
    told = ", ".join(_count(counts[severity], severity) for severity in SEVERITIES)
    clean = len(files) - len({finding.file for finding in findings})
    return f"{_count(len(files), 'flow file')}, {clean} without findings: {told}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
