"""What a running program prints, turned into log lines and outputs as it comes (kestra.md §1.10)."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tidewaiter.tasks.context import Level, Log
from tidewaiter.tasks.outputs import Report, merged, parse
from tidewaiter.tasks.runner import Stream

_LONGEST_RECORD = 64 * 1024


@dataclass(slots=True)
class Console:
    """
    Receives the lines of one program; to be given to a `Runner` as *on_line*.

    ``::{…}::`` lines are understood and not logged; other lines are, stdout at INFO and stderr at ERROR. Every line
    counts, so that anything at all on stderr can make a task end in WARNING.
    """

    log: Log
    lines: Counter[Stream] = field(default_factory=Counter)
    last_error: str = ""
    _reports: list[Report] = field(default_factory=list)

    def __call__(self, stream: Stream, line: str) -> None:
        """Take one line."""
        self.lines[stream] += 1
        report = parse(line)
        if report is not None:
            self._take(report)
            return
        if stream == "stderr" and line.strip():
            self.last_error = line.strip()
        self._write("ERROR" if stream == "stderr" else "INFO", line)

    @property
    def outputs(self) -> dict[str, Any]:
        """What the program told as outputs so far."""
        return merged(self._reports)

    def _take(self, report: Report) -> None:
        if report.outputs:
            self._reports.append(report)
        for level, message in report.logs:
            self._write(level, message)
        for metric in report.metrics:
            self.log("DEBUG", f"metric {metric.get('name')} = {metric.get('value')} ({metric.get('type')})")

    def _write(self, level: Level, message: str) -> None:
        for start in range(0, max(len(message), 1), _LONGEST_RECORD):
            self.log(level, message[start : start + _LONGEST_RECORD])
