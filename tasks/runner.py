"""A program to run and how it ended, whatever runs it: a process of this machine today, a container tomorrow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, Protocol

Stream = Literal["stdout", "stderr"]

OnLine = Callable[[Stream, str], None]
"""Receives one line of output without its line end. Must not block and must not raise."""


@dataclass(frozen=True, slots=True)
class Command:
    """
    One program: its argument vector, working directory and whole environment; nothing is inherited.

    *timeout* ends the program and everything it started; None lets it run until it ends or is cancelled.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program ended: its exit code, 128 + n when signal n ended it, as a shell reports it."""

    code: int
    signal: str | None = None
    timed_out: bool = False

    @property
    def reason(self) -> str:
        """Say in words how it ended: ``exit code 3`` or ``exit code 137, killed by SIGKILL``."""
        words = f"exit code {self.code}" + (f", killed by {self.signal}" if self.signal else "")
        return f"timed out: {words}" if self.timed_out else words


class Runner(Protocol):
    """Runs programs."""

    async def run(self, command: Command, on_line: OnLine) -> Exit:
        """
        Run *command* to its end and hand each line of its output to *on_line*, in the order of its stream.

        When this returns or raises, no process of the command is alive and *on_line* is not called any more.
        Cancelling ends the command and everything it started: politely first, then by force.

        Raises:
            TaskError: the program cannot be started.
        """
