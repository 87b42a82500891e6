"""The log of one task run."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import structlog

from tidewaiter.daemon.journal.logs import Logs
from tidewaiter.daemon.records import LogLine, TaskRun, now
from tidewaiter.daemon.secrets import Secrets
from tidewaiter.tasks.context import Level

_log = structlog.get_logger("tidewaiter.run")

LEVELS: Mapping[str, int] = MappingProxyType({"TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40})


@dataclass(slots=True)
class TaskLog:
    """
    What a task run has to say: masked, from *level* on, cut after *limit* lines, kept in the journal and told to the
    daemon's own log.
    """

    logs: Logs
    secrets: Secrets
    limit: int
    run: TaskRun
    level: str = "INFO"
    lines: int = 0

    def __call__(self, level: Level, message: str) -> None:
        """See `tidewaiter.tasks.context.Log`."""
        if LEVELS[level] < LEVELS[self.level] or self.lines > self.limit:
            return
        self.lines += 1
        if self.lines > self.limit:
            level, message = "WARN", f"log cut after {self.limit} lines; raise limits.log_lines to see more"
        text = self.secrets.mask(message)
        self.logs.append(LogLine(self.run.execution_id, self.run.task_path, self.run.attempt, now(), level, text))
        _log.log(max(LEVELS[level], LEVELS["DEBUG"]), "task_log", message=text)
