"""
Kills one daemon after another, several at once, and looks at what became of their objects.

Every daemon is started by `reliability.forkserver`, a sample by ``execve`` of a fresh interpreter. Only kills that
ended the daemon count: the signal may come at a call that this run never makes, or hit the program of a task.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count

from acceptance.objects import Objects, plain_client
from reliability.crash_audit import Harm, Violation, audit, repeated
from reliability.crash_points import Point, points
from reliability.crash_scene import Scene
from reliability.experiment import Setting
from reliability.forkserver import ForkServer, fork_server

AT_ONCE = 3
TRIES = 8
SIGKILL = -9
_TOLD_EACH = 100
_log = logging.getLogger("reliability")


@dataclass(frozen=True, slots=True)
class Kill:
    """
    One kill to be tried: *at* a point, *inside* a task (task, moment) or *after* so many seconds; and *again* at a
    point of the recovery.

    *executed*: the daemon is a fresh interpreter. *broken*: it follows a wrong order.
    """

    action: str
    at: Point | None = None
    inside: tuple[str, str] | None = None
    after: float | None = None
    again: Point | None = None
    executed: bool = False
    broken: str | None = None

    @property
    def kind(self) -> str:
        """Where it hits, in words."""
        if self.inside:
            return "inside a task"
        if self.after is not None:
            return "at any time"
        if self.again:
            return "twice in a row"
        return "at a system call, started by execve" if self.executed else "at a system call"

    def sooner(self, times: int) -> "Kill":
        """Give the kill to try when it came too late *times* times."""
        at = self.at.earlier(times) if self.at else None
        return replace(self, at=at, after=self.after * 0.7**times if self.after else None)

    def __str__(self) -> str:
        inside = f"task {self.inside[0]} {self.inside[1]}" if self.inside else None
        where = self.at or inside or f"after {self.after:.3f} s"
        return f"{self.action} {where}" + (f" and again {self.again}" if self.again else "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What came of a kill: how many were *effective* (0, 1 or 2), how many unfinished tasks ran *again*, and what was
    wrong after the recovery.
    """

    kill: Kill
    effective: int
    again: int = 0
    violations: tuple[Violation, ...] = ()
    words: str = ""

    def harm(self, which: Harm) -> list[Violation]:
        """Give the violations of one kind."""
        return [violation for violation in self.violations if violation.harm is which]


@dataclass(slots=True)
class Rig:
    """Everything that kills need; `carry_out` one after another or several at once."""

    setting: Setting
    objects: Objects
    server: ForkServer
    chance: random.Random
    _numbers: Iterator[int] = field(default_factory=count)

    def scene(self, kill: Kill) -> Scene:
        """Make a scene of its own."""
        folder = self.setting.folder / f"k{next(self._numbers)}"
        return Scene(folder, self.objects, self.server, kill.action, kill.broken, kill.executed)

    async def points(self, action: str, *, executed: bool = False, broken: str | None = None) -> list[Point]:
        """Trace a run that nobody disturbs, and give its points; such a run must be without fault, too."""
        scene = self.scene(Kill(action, executed=executed, broken=broken))
        await scene.prepare()
        code = await scene.start(traced=True)
        if not broken and (wrong := audit(await scene.evidence(code))):
            raise AssertionError(f"wrong without a kill: {[str(v) for v in wrong]}\n{scene.last_words()}")
        found = points(scene.trace)
        scene.remove()
        return found

    async def carry_out(self, kill: Kill) -> Outcome:
        """Kill, start again, and look; a run that ends before it is killed is repeated with an earlier kill."""
        for times in range(TRIES):
            outcome = await self._try(kill.sooner(times))
            if outcome.effective or outcome.violations:
                return outcome
        return Outcome(kill, 0)

    async def _try(self, kill: Kill) -> Outcome:
        scene = self.scene(kill)
        await scene.prepare()
        if kill.inside:
            scene.kill_inside(kill.inside)
        code = await scene.start(kill.at, after=kill.after)
        if code == SIGKILL and kill.again:
            code = await scene.start(kill.again)
        # One that had to be stopped was not killed, and is looked at all the same.
        looked_at = scene.kills or code < 0
        outcome = await self._recovered(kill, scene, code) if looked_at else Outcome(kill, 0)
        if not outcome.violations:
            await asyncio.to_thread(scene.remove)
        return outcome

    async def _recovered(self, kill: Kill, scene: Scene, code: int) -> Outcome:
        if code == SIGKILL:
            code = await scene.start()
        evidence = await scene.evidence(code)
        found = audit(evidence)
        return Outcome(kill, scene.kills, repeated(evidence), tuple(found), scene.last_words() if found else "")

    async def all(self, kills: Iterable[Kill], *, enough: Callable[[Outcome], bool] = lambda _: False) -> list[Outcome]:
        """Carry out *kills*, several at once, until there are no more or an outcome says that it is *enough*."""
        left = iter(kills)
        done: list[Outcome] = []
        over = False

        async def work() -> None:
            nonlocal over
            for kill in left:
                outcome = await self.carry_out(kill)
                done.append(outcome)
                self._tell(done)
                over = enough(outcome) or over
                if over:
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
        return done

    def _tell(self, done: Sequence[Outcome]) -> None:
        if done[-1].violations and not done[-1].kill.broken:
            _log.error("%s: %s", done[-1].kill, [str(violation) for violation in done[-1].violations])
        if len(done) % _TOLD_EACH == 0:
            _log.info("%d kills, %d with violations", len(done), sum(bool(outcome.violations) for outcome in done))


@asynccontextmanager
async def rig(setting: Setting, name: str) -> AsyncIterator[Rig]:
    """Make a rig with a bucket of its own."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(plain_client(setting.store))
        server = await stack.enter_async_context(fork_server())
        bucket = f"{name}-{random.SystemRandom().randrange(1 << 32)}"
        await client.create_bucket(Bucket=bucket)
        setting.folder.mkdir(parents=True, exist_ok=True)
        yield Rig(setting, Objects(client, setting.store, bucket), server, random.Random(f"{setting.seed}{name}"))
        await client.delete_bucket(Bucket=bucket)
