"""``kill -9`` at one system call after another, from the look of the trigger to the end of the execution."""

import asyncio
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acceptance.driver import Daemon
from acceptance.flows import flow, shell, trigger
from stores.seaweedfs import Store

POINTS = 40
AT_ONCE = 3
TRIES = 8
# What the journal, the storage and the connections do; others change nothing that outlives the process.
CALLS = ("pwrite64", "write", "ftruncate", "fsync", "fdatasync", "rename", "unlink", "sendto", "recvfrom")
_CALL = re.compile(r"^(\d+) +(\w+)\((.*)")


@dataclass(frozen=True)
class Point:
    """The *number*-th call of that *name* of a thread: the first thread that gets there is the end of the process."""

    name: str
    number: int


def _under_strace(trace: Path, *inject: str) -> list[str]:
    chosen = [f"--inject={item}" for item in inject]
    return ["strace", "-f", "-qq", "-s", "200", "-o", str(trace), f"--trace={','.join(CALLS)}", *chosen]


def _points(trace: Path) -> Iterator[Point]:
    """Every point of a traced run from the listing on, in order, each once."""
    counts: Counter[tuple[str, str]] = Counter()
    seen: set[Point] = set()
    listed = False
    for thread, name, arguments in _calls(trace):
        counts[thread, name] += 1
        # The probe of the store lists, too, but not there.
        listed = listed or ("list-type=2" in arguments and "raw%2F" in arguments)
        point = Point(name, counts[thread, name])
        if listed and point not in seen:
            yield point
        seen.add(point)


def _calls(trace: Path) -> Iterator[tuple[str, str, str]]:
    for line in trace.read_text(errors="replace").splitlines():
        if found := _CALL.match(line):
            yield found[1], found[2], found[3]


def _spread(points: list[Point], number: int) -> list[Point]:
    """Choose *number* of *points*, evenly."""
    return [points[at * len(points) // number] for at in range(number)]


class Run:
    """One object, one daemon, one prefix of the bucket: killed at a point, started again, checked."""

    def __init__(self, daemon: Daemon, objects: Any, name: str) -> None:
        self.daemon = daemon
        self.objects = objects
        self.prefix = f"{name}/raw/"
        self.archive = f"{name}/archive/"
        self.trace = daemon.folder / "trace"
        tasks = (shell(task, f"echo {task} >> {daemon.ledger}") for task in ("first", "last"))
        watched = trigger(objects.bucket, prefix=self.prefix, moveTo={"key": self.archive}, interval="PT1M")
        daemon.add_flow(flow(*tasks, triggers=[watched]))

    async def traced(self) -> list[Point]:
        await self.objects.put(f"{self.prefix}a.csv")
        self.daemon.start("--once", under=_under_strace(self.trace))
        assert await self.daemon.ended(60) == 0
        return list(_points(self.trace))

    async def killed_at(self, point: Point) -> bool:
        """Whether the daemon was killed there; checks what must hold then and after the next start."""
        await self.objects.put(f"{self.prefix}a.csv")
        self.daemon.start("--once", under=_under_strace(self.trace, f"{point.name}:signal=SIGKILL:when={point.number}"))
        code = await self.daemon.ended(60)
        finished = await self._finished()
        before = self.daemon.done()
        assert await self.daemon.once() == 0, self.daemon.last_words()
        item = await self.daemon.execution()
        assert item["state"] == "SUCCESS"
        # A kill while the store is probed may leave a probe object behind; triggers pass over those.
        left = await self.objects.keys(self.prefix.split("/")[0] + "/")
        assert [key for key in left if ".tidewaiter-probe-" not in key] == [f"{self.archive}a.csv"]
        assert await self.objects.get(f"{self.archive}a.csv") == b"content"
        done = self.daemon.done()
        assert [task for task in done[len(before) :] if task in finished] == [], "a finished task ran again"
        assert list(dict.fromkeys(done)) == ["first", "last"]
        assert len(done) <= 3, "more than the interrupted task ran again"
        return code == -signal.SIGKILL

    async def _finished(self) -> set[str]:
        """The tasks whose result was recorded before the kill."""
        if not (self.daemon.state / "tidewaiter.db").exists():
            return set()
        executions = await self.daemon.executions()
        assert len(executions) <= 1
        details = [await self.daemon.ask(f"executions/{item['id']}") for item in executions]
        return {run["taskId"] for item in details for run in item["taskRuns"] if run["state"] == "SUCCESS"}


async def test_killed_at_every_point(daemons: Callable[..., Daemon], seaweedfs: Store, objects: Any) -> None:
    """At each point: the object archived once and gone from its source, one execution, no finished task run again."""
    subprocess.run(["strace", "--version"], check=True, stdout=subprocess.DEVNULL)
    points = _spread(await Run(daemons(seaweedfs), objects, "traced").traced(), POINTS)
    slots = asyncio.Semaphore(AT_ONCE)

    async def kill(number: int, point: Point) -> bool:
        # How often threads wake each other differs from run to run, the more the later: one that ends sooner is killed
        # somewhat earlier.
        for sooner in range(TRIES):
            run = Run(daemons(seaweedfs), objects, f"point-{number}-{sooner}")
            earlier = point.number - sooner * max(1, point.number // 20)
            if await run.killed_at(Point(point.name, earlier)):
                return True
        return False

    async def kill_one(number: int, point: Point) -> bool:
        async with slots:
            return await kill(number, point)

    killed = await asyncio.gather(*(kill_one(number, point) for number, point in enumerate(points)))
    assert [point for point, effective in zip(points, killed, strict=True) if not effective] == []
