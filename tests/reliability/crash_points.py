"""
Where a daemon can be killed: at each system call that a traced run of it made.

``strace`` kills a process with SIGKILL at the entry of the k-th call of one name in any of its threads; the call itself
does not happen any more. Between two of its calls a thread changes nothing that outlives the process, so the point
before a call is also the point after the thread's last one. Since a commit of the journal is a row of ``pwrite64``
ended by ``fdatasync``, a file in custody one of ``openat``, ``write``, ``fsync`` and ``rename``, and a request one
``sendto`` followed by ``recvfrom``, the points include the moments right before and right after every durable step and
every request.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

CALLS = (
    *("openat", "pwrite64", "write", "ftruncate", "fsync", "fdatasync", "rename", "unlink", "mkdir"),
    *("socket", "connect", "sendto", "recvfrom"),
)
_CALL = re.compile(r"(\d+)<(.*?)> +(\w+)\((.*)")
_JOURNAL = "tidewaiter.db"
# Looking at other processes is no file of ours.
_ELSEWHERE = '"/proc/'


@dataclass(frozen=True, slots=True)
class Point:
    """The *number*-th call of that *name* of a thread: the first thread that gets there ends the process."""

    name: str
    number: int

    def earlier(self, times: int) -> "Point":
        """
        Give the point to try after *times* runs that ended before they came to this one: how often threads wake each
        other differs from run to run, the more the later.
        """
        return replace(self, number=max(1, self.number - times * max(1, self.number // 20)))

    @property
    def kill(self) -> str:
        """What ``strace --inject`` takes."""
        return f"{self.name}:signal=SIGKILL:when={self.number}"

    def __str__(self) -> str:
        return f"{self.name}#{self.number}"


def strace(trace: Path, kill_at: Point | None = None) -> list[str]:
    """
    Give the command that traces a program, and its threads and programs, or kills it at a point.

    Without ``--seccomp-bpf``, which would be faster: strace 6.1 injects no signal with it.
    """
    injected = [f"--inject={kill_at.kill}"] if kill_at else []
    return ["strace", "-f", "-Y", "-qq", "-s", "64", "-o", str(trace), f"--trace={','.join(CALLS)}", *injected]


def points(trace: Path) -> list[Point]:
    """
    Give every point of a traced run from the opening of the journal on, in order, each once: those that a thread of the
    daemon comes to before any program of a task does.
    """
    return list(dict.fromkeys(_points(trace)))


def _points(trace: Path) -> Iterator[Point]:
    counts: Counter[tuple[str, str]] = Counter()
    seen: set[Point] = set()
    begun = False
    daemon: str | None = None
    for thread, program, name, arguments in _calls(trace):
        daemon = daemon or program
        counts[thread, name] += 1
        begun = begun or _JOURNAL in arguments
        point = Point(name, counts[thread, name])
        if begun and point not in seen and program == daemon and _ELSEWHERE not in arguments:
            yield point
        seen.add(point)


def _calls(trace: Path) -> Iterator[tuple[str, str, str, str]]:
    for line in trace.read_text(errors="replace").splitlines():
        if found := _CALL.match(line):
            yield found[1], found[2], found[3], found[4]


def spread(items: Sequence[Point], number: int) -> list[Point]:
    """Choose *number* of *items*, evenly; all if there are no more."""
    return [items[at * len(items) // number] for at in range(number)] if number < len(items) else list(items)


def some(items: Sequence[Point], number: int, chance: random.Random) -> list[Point]:
    """Choose *number* of *items* by chance, some more than once if there are too few."""
    return chance.choices(items, k=number)
