"""Find and end the processes of a task run through /proc, also those that left its session (reliability.md §4.7)."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

COOKIE = "TIDEWAITER_TASK_RUN_ID"
"""The environment variable that marks every process of a task run; children inherit it, whatever session they make."""

_KILL_ROUND_SECONDS = 0.005
_KILL_DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Process:
    """One process. *started* (clock ticks since boot) tells it from a later process with the same *pid*."""

    pid: int
    parent: int
    session: int
    started: int
    ended: bool

    def send(self, signum: int) -> None:
        """Send *signum* to exactly this process; if it has ended, to none, even if its pid was given away again."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            pidfd = os.pidfd_open(self.pid)
            try:
                now = _read(self.pid)
                if now is not None and now.started == self.started:
                    signal.pidfd_send_signal(pidfd, signum)
            finally:
                os.close(pidfd)


@dataclass(frozen=True, slots=True)
class Tree:
    """
    The processes of a task run: those marked with its id, those of *session*, and all descendants of either.

    A process that makes a session of its own, clears its environment and gives up its parent is out of reach; only a
    cgroup (the service manager's) catches that one.
    """

    task_run_id: str
    session: int | None = None
    since: int = 0

    @classmethod
    def led_by(cls, pid: int, task_run_id: str) -> Self:
        """The tree below the session leader *pid*. Older processes cannot belong to it and are not looked at."""
        leader = _read(pid)
        return cls(task_run_id, pid, leader.started if leader else 0)

    def members(self) -> list[Process]:
        """Find the processes of the tree that are alive now. This process itself is never one of them."""
        alive = {process.pid: process for process in _alive() if process.started >= self.since}
        alive.pop(os.getpid(), None)
        found = {pid for pid, process in alive.items() if self._holds(process)}
        size = -1
        while size != len(found):
            size = len(found)
            found |= {pid for pid, process in alive.items() if process.parent in found}
        return [alive[pid] for pid in found]

    def _holds(self, process: Process) -> bool:
        return process.session == self.session or _marked(process.pid, self.task_run_id)

    def kill(self) -> int:
        """
        End every process of the tree with SIGKILL and give their number.

        Looks again until none is left, since a process may fork while it is being looked for. Blocks, in practice for
        milliseconds; gives up after 10 s on a process that the kernel cannot end.
        """
        killed: set[int] = set()
        deadline = time.monotonic() + _KILL_DEADLINE_SECONDS
        while (members := self.members()) and time.monotonic() < deadline:
            for process in members:
                process.send(signal.SIGKILL)
            killed.update(process.pid for process in members)
            time.sleep(_KILL_ROUND_SECONDS)
        return len(killed)


def _alive() -> Iterator[Process]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - looked through after every task: no Path per process
        process = _read(int(name)) if name.isdigit() else None
        if process is not None and not process.ended:
            yield process


def _read(pid: int) -> Process | None:
    """Read /proc/<pid>/stat (proc(5)), where the program's name may hold spaces and ``)``."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as stat:  # noqa: PTH123 - as above
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    ended = fields[0] in {b"Z", b"X"}
    return Process(pid, parent=int(fields[1]), session=int(fields[3]), started=int(fields[19]), ended=ended)


def _marked(pid: int, task_run_id: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as environ:  # noqa: PTH123 - as above
            return os.fsencode(f"{COOKIE}={task_run_id}") in environ.read().split(b"\0")
    except OSError:
        return False
