"""
Per trigger: look for new objects, claim what there is room for, and see every claim through custody to its execution.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.claimer import Claimer
from tidewaiter.daemon.custody import Custody
from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.gathering import Backlog, Look
from tidewaiter.daemon.journal.claims import Source
from tidewaiter.daemon.journal.detections import Standing
from tidewaiter.daemon.loop import supervised
from tidewaiter.daemon.probes import check_removal
from tidewaiter.daemon.records import Detection, DetectionState, now, parse_timestamp, timestamp
from tidewaiter.daemon.watch import Port, Watch, checked_trigger, conditions_hold, room_for, rules_of
from tidewaiter.triggers.bucket import (
    Bucket,
    BucketError,
    Capabilities,
)
from tidewaiter.triggers.manifests import Manifests
from tidewaiter.triggers.s3 import BucketTrigger
from tidewaiter.triggers.settle import REMOVING

_log = structlog.get_logger("tidewaiter.intake")
_POLL = ""
_RULES = "rules"
# Counting what is left lists the bucket to its end: not more often than this, nor for more than a tenth of the time.
_COUNT_SECONDS = 60.0
_COUNT_SHARE = 10
# The store tells its time to the second.
_SHORTEST_PAUSE = 1.0
# Failures that are about one object; what concerns the store as a whole is tried for as long as it takes.
_ABOUT_OBJECT = frozenset({"InvalidObjectState", "NotReadable", "InvalidRequest", "MethodNotAllowed"})
# Of these, what another attempt soon after cannot change.
_AT_ONCE = frozenset({"InvalidObjectState", "NotReadable"})
_NOTHING = Capabilities(delete_if_match=False, copy_source_if_match=False, copy_if_none_match=False, versioning=False)
# Claims taken up in one step; there may be more of them than tasks are good for.
_AT_A_TIME = 256
_UNFINISHED = frozenset({DetectionState.CLAIMED, DetectionState.STORED, DetectionState.COPIED})


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a trigger from working, in the field's word (*cause*) and in full."""

    cause: str
    message: str
    hint: str | None


@dataclass(slots=True)
class Intake:
    """
    The intake of one trigger. `step` is driven by a `tidewaiter.daemon.loop.Loop`; *launched* is called when
    executions may be ready.

    Claims already made come first, so recovery after a crash is an ordinary step.
    """

    watch: Watch
    port: Port
    launched: Callable[[], None]
    wake: Callable[[], None] = lambda: None
    paused: bool = False
    last_poll: str | None = None
    waiting: bool = False
    unmet: bool = False
    backlog: Backlog = field(default_factory=Backlog)
    held: Mapping[str, int] = field(default_factory=dict)
    capabilities: Capabilities | None = None
    _problems: dict[str, Problem] = field(default_factory=dict)
    _reported: str | None = "?"
    _in_hand: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _due: float = 0.0
    _retry: float | None = None
    _failures: int = 0
    _attended: bool = False
    _asked: int = 0
    _answered: int = 0
    _revision: int = 0
    _count_due: float = 0.0
    _manifests: Manifests = field(default_factory=Manifests)
    _more: bool = False
    _transfers: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._transfers = asyncio.Semaphore(self.port.transfers)
        self._count_due = time.monotonic() + _COUNT_SECONDS

    async def step(self) -> timedelta | None:
        """
        Take up live claims, then look for new objects if it is time, there is room, and nobody paused the trigger.
        """
        try:
            await self._attend()
        except TidewaiterError as error:
            self._trouble(_POLL, error)
            self._due = self._retry = time.monotonic() + self._backoff()
        await self._report()
        return self._wait()

    def _wait(self) -> timedelta | None:
        """Time to the next look or retry; None when only a wake can bring something to do."""
        looking = self.watch.looking and not self.paused
        moments = [moment for moment in (self._due if looking else None, self._retry) if moment is not None]
        return timedelta(seconds=max(0.0, min(moments) - time.monotonic())) if moments else None

    def poll_now(self) -> None:
        """Look at the next step, whatever the interval says."""
        self._asked += 1
        self._due = 0.0
        self.wake()

    async def stop(self) -> None:
        """Leave what is in hand where it stands; the next start goes on from there."""
        tasks = list(self._in_hand.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def settled(self) -> bool:
        """
        Whether everything that had arrived at the last look is in the hands of the executor, or trouble keeps it from
        being. An object that the rules cannot judge keeps no other from it.
        """
        resting = self.paused or not self.watch.looking
        begun = self._attended or self.troubled
        done = resting or not (self.waiting or self._answered < self._asked)
        stuck = bool(self._problems.keys() - {_RULES})
        return begun and not self._in_hand and (stuck or (done and self._retry is None))

    @property
    def troubled(self) -> bool:
        """Whether something keeps the trigger from working."""
        return bool(self._problems)

    @property
    def interval(self) -> timedelta:
        """How long to wait when there is nothing to do."""
        return self.watch.spec.interval

    def _backoff(self) -> float:
        self._failures += 1
        return self.port.retry.delay(self._failures - 1).total_seconds()

    async def _attend(self) -> None:
        spec = self.rendered()
        if self._revision != self.watch.revision:
            await self.port.journal.objects.reconsider(self.watch.key, self.watch.revision)
            self._revision = self.watch.revision
        source = Source(self.watch.key, spec.type, self.watch.revision, spec.action)
        limit = len(self._in_hand) + _AT_A_TIME
        standing = await self.port.journal.detections.standing(self.watch.key, limit)
        self.paused = standing.paused
        await self._forget_problems()
        self._retry = _monotonic(standing.next_try) if standing.next_try else None
        self._more = len(standing.live) == limit
        looking = self.watch.looking and not self.paused and time.monotonic() >= self._due and self._may_look(spec)
        if standing.live or looking:
            async with self.port.connect(spec.connection(), spec.bucket) as bucket:
                await self._probe(bucket, spec, standing.live)
                self._take_up(standing.live, source, spec)
                if looking:
                    await self._look(bucket, source, spec, standing)
        self._attended = True

    async def _forget_problems(self) -> None:
        """Problems of claims that no longer need anything are over."""
        if self._problems:
            about = {_POLL, _RULES, *await self.port.journal.detections.unfinished(self._problems.keys())}
            self._problems = {subject: problem for subject, problem in self._problems.items() if subject in about}

    def rendered(self) -> BucketTrigger:
        """
        Give the trigger with its expressions evaluated.

        Raises:
            TidewaiterError: one of them fails, or objects would be moved to where they are found again.
        """
        return checked_trigger(self.watch, self.port)

    def _claimer(self, spec: BucketTrigger) -> Claimer:
        rules = rules_of(spec, self.watch, self.port)
        return Claimer(self.watch.key, self.port.journal.detections, rules, self._manifests)

    async def _probe(self, bucket: Bucket, spec: BucketTrigger, live: Sequence[Detection]) -> None:
        """
        Make sure that the action is safe on this store; if none removes, also of earlier claims, there is nothing to
        ask.
        """
        if spec.removes or any(detection.action in REMOVING for detection in live):
            self.capabilities = await self.port.probes.of(bucket, spec)
            check_removal(spec, self.capabilities)

    def _may_look(self, spec: BucketTrigger) -> bool:
        """Whether the trigger's conditions hold; if not, they are asked again after the interval."""
        self.unmet = not conditions_hold(spec, self.watch, self.port)
        if self.unmet:
            self._answered = self._asked
            self.waiting = False
            self._due = time.monotonic() + self.interval.total_seconds()
            self._problems.pop(_POLL, None)
        return not self.unmet

    async def _look(self, bucket: Bucket, source: Source, spec: BucketTrigger, standing: Standing) -> None:
        """
        Claim new objects while there is room. A look that leaves some behind is followed by the next at once
        (design.md §3, "drain").
        """
        asked = self._asked
        room = room_for(spec, standing, self.port)
        if room <= 0:
            await self._wait_for_room(spec)
            return
        claimer = self._claimer(spec)
        if not standing.begun and spec.initial == "skip":
            await claimer.skip(bucket)
            await self.port.journal.triggers.begin(self.watch.key)
        look = await self._list(claimer, bucket, room)
        claimed = await claimer.claim(source, look)
        if not standing.begun:
            await self.port.journal.triggers.begin(self.watch.key)
        self._looked(look)
        # Whoever asked for a look while this one was under way means another.
        self._answered = asked
        at_once = (self.waiting and claimed) or self._answered < self._asked
        self._due = time.monotonic() + (0 if at_once else self._pause(look))
        self._take_up(claimed, source, spec)

    async def _list(self, claimer: Claimer, bucket: Bucket, room: int) -> Look:
        """Look, and now and then count to the end what there is no room for."""
        began = time.monotonic()
        counting = began >= self._count_due
        look = await claimer.look(bucket, room, to_the_end=counting)
        if counting:
            took = time.monotonic() - began
            self._count_due = time.monotonic() + max(_COUNT_SECONDS, _COUNT_SHARE * took)
        return look

    def _looked(self, look: Look) -> None:
        self.backlog, self.held = look.backlog, look.held
        self.waiting = look.backlog.objects > 0 or not look.backlog.complete
        self._failures = 0
        self.last_poll = now()
        self._problems.pop(_POLL, None)
        self._problems.pop(_RULES, None)
        if look.trouble is not None:
            self._trouble(_RULES, look.trouble)

    def _pause(self, look: Look) -> float:
        """Seconds to the next look: the interval, or less when something that waits may be ready before."""
        interval = self.interval.total_seconds()
        return interval if look.ready_in is None else min(interval, max(look.ready_in.total_seconds(), _SHORTEST_PAUSE))

    async def _wait_for_room(self, spec: BucketTrigger) -> None:
        """Look again when an execution ends; one that ended since the journal was asked told nobody who waits."""
        self.waiting = True
        self._due = time.monotonic() + self.interval.total_seconds()
        standing = await self.port.journal.detections.standing(self.watch.key)
        if room_for(spec, standing, self.port) > 0:
            self._due = 0.0

    def _take_up(self, live: Sequence[Detection], source: Source, spec: BucketTrigger) -> None:
        """Start work on every claim that is due and not in hand, several at a time."""
        present = now()
        for detection in live:
            if detection.id not in self._in_hand and (detection.next_try is None or detection.next_try <= present):
                work = self._see_through(detection.id, source, spec)
                self._in_hand[detection.id] = supervised(work, f"custody {detection.id}", self.port.crashed)

    async def _see_through(self, identifier: str, source: Source, spec: BucketTrigger) -> None:
        """Take one claim as far as it goes now. Its record is read again: it may have moved on since it was listed."""
        others = False
        try:
            async with self._transfers:
                detection = await self.port.journal.detections.get(identifier)
                if detection is not None and detection.state in _UNFINISHED:
                    others = await self._advance(detection, source, spec)
            self._problems.pop(identifier, None)
        except TidewaiterError as error:
            await self._setback(identifier, source, error)
        finally:
            self._in_hand.pop(identifier, None)
        self.launched()
        if others or self._problems or (self._more and len(self._in_hand) < self.port.transfers):
            self.wake()

    async def _advance(self, detection: Detection, source: Source, spec: BucketTrigger) -> bool:
        async with self.port.connect(spec.connection(), detection.bucket) as bucket:
            asked = detection.action in REMOVING
            capabilities = await self.port.probes.of(bucket, spec) if asked else _NOTHING
            custody = Custody(source, spec, bucket, capabilities, self.port.journal.detections, self.port.storage)
            # Where a copy cannot refuse to overwrite, two of ours must not look at one destination at the same time.
            async with nullcontext() if capabilities.copy_if_none_match or not asked else self.port.archiving:
                return await custody.advance(detection)

    async def _setback(self, identifier: str, source: Source, error: TidewaiterError) -> None:
        """Note that a step failed, when to try again, and let go of what must not wait for it."""
        self._trouble(identifier, error)
        try:
            await self._postpone(identifier, source, error)
        except DatabaseError as full:
            self._trouble(_POLL, full)
            self._retry = time.monotonic() + self._backoff()

    async def _postpone(self, identifier: str, source: Source, error: TidewaiterError) -> None:
        detections = self.port.journal.detections
        detection = await detections.get(identifier)
        if detection is None:
            return
        if detection.state is DetectionState.CLAIMED and self._hopeless(detection, error):
            _log.error(
                "object_parked", trigger=str(self.watch.key), key=detection.key, error=error.message, hint=error.hint
            )
            due = timestamp(datetime.now(UTC) + self.port.retry.parked)
            await detections.park(source, detection, next_try=due, error=str(error))
            self._problems.pop(identifier, None)
            self.wake()
            return
        due = timestamp(datetime.now(UTC) + self.port.retry.delay(detection.attempts))
        await detections.postpone(source, detection, next_try=due, error=error.message)
        if self._overdue(detection):
            _log.error(
                "action_blocked", trigger=str(self.watch.key), key=detection.key, error=error.message, hint=error.hint
            )
            await detections.block(detection, error.message)

    def _hopeless(self, detection: Detection, error: TidewaiterError) -> bool:
        """Whether to park an object: the store refuses this one, and not because of anything that waiting mends."""
        if not isinstance(error, BucketError) or error.cause not in _ABOUT_OBJECT:
            return False
        return error.cause in _AT_ONCE or detection.attempts + 1 >= self.port.retry.attempts

    def _overdue(self, detection: Detection) -> bool:
        """Whether the action has been failing so long that the execution goes first."""
        since = detection.action_since
        waited = datetime.now(UTC) - parse_timestamp(since) if since else timedelta(0)
        return not detection.blocked and waited > self.port.retry.action_timeout

    def _trouble(self, about: str, error: TidewaiterError) -> None:
        cause = error.cause if isinstance(error, BucketError) else type(error).__name__.removesuffix("Error")
        self._problems[about] = Problem(cause, error.message, error.hint)

    async def _report(self) -> None:
        """Say once per change of state what the trouble is, or that it is over."""
        problem = next(iter(self._problems.values()), None)
        cause = problem.cause if problem else None
        if cause == self._reported:
            return
        # Whoever reads of it in the log must find it in the journal.
        await self.port.journal.triggers.report(
            self.watch.key, cause, problem.message if problem else None, problem.hint if problem else None
        )
        if problem:
            _log.error(
                "trigger_failing", trigger=str(self.watch.key), cause=cause, error=problem.message, hint=problem.hint
            )
        elif self._reported != "?":
            _log.info("trigger_recovered", trigger=str(self.watch.key))
        self._reported = cause


def _monotonic(moment: str) -> float:
    """Give the monotonic time of a moment that the journal keeps by the wall clock."""
    return time.monotonic() + (parse_timestamp(moment) - datetime.now(UTC)).total_seconds()
