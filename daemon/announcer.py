"""
Tells Flow triggers of executions that have ended, or pause, and starts what follows.

What has happened is read from the journal and what follows is written there with the note that it has been announced:
a crash in between repeats the announcement, and nothing else.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.duty import AnyDuty, Duty, of_kind
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.announcements import Consequence, Met, News
from tidewaiter.daemon.progress import Progress
from tidewaiter.daemon.records import Execution, TriggerKey
from tidewaiter.daemon.starter import Event, Starter
from tidewaiter.daemon.troubles import Troubles
from tidewaiter.triggers.dated import Circumstances, Upstream
from tidewaiter.triggers.flowtrigger import FlowTrigger, Requirement

_log = structlog.get_logger("tidewaiter.announcer")

DEEPEST = 25
"""How many executions may follow from each other: flows that start each other in a circle come to an end."""

_AT_A_TIME = 100
# Nobody is told when an execution pauses.
_LOOK = timedelta(seconds=2)


class TriggerLoopError(TidewaiterError):
    """Executions have been starting each other in a long chain."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """An execution to be announced, and what its tasks gave."""

    news: News
    execution: Execution
    outputs: Mapping[str, Any]

    @property
    def upstream(self) -> Upstream:
        return Upstream(self.execution.namespace, self.execution.flow_id, self.news.state, dict(self.execution.labels))


@dataclass(slots=True)
class Announcer:
    """
    `step` is driven by a `tidewaiter.daemon.loop.Loop`; *launched* is called when executions may be ready.
    """

    journal: Journal
    starter: Starter
    launched: Callable[[], None]
    troubles: Troubles = field(init=False)
    _served: Mapping[TriggerKey, Duty[FlowTrigger]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.troubles = Troubles(self.journal)

    async def serve(self, duties: Iterable[AnyDuty]) -> None:
        """Serve the Flow triggers among *duties* from now on."""
        served = of_kind(duties, FlowTrigger)
        for key, duty in served.items():
            if self._served.get(key) != duty:
                self.troubles.forget(key)
                await self.troubles.clear(key)
        self._served = served

    async def step(self) -> timedelta | None:
        """Announce what has not been announced."""
        if not self._served:
            if await self.journal.announcements.pending(1):
                await self.journal.announcements.skip()
            return None
        pending = await self.journal.announcements.pending(_AT_A_TIME)
        for news in pending:
            await self._announce(news)
        return timedelta(0) if len(pending) == _AT_A_TIME else _LOOK

    async def _announce(self, news: News) -> None:
        outcome = await self._outcome(news)
        found = [await self._consequence(duty, outcome) for duty in await self._listening(outcome)]
        created = await self.journal.announcements.announce(news, [item for item in found if item is not None])
        if created:
            _log.info("flow_trigger", after=news.execution_id, state=news.state, executions=created)
            self.launched()

    async def _outcome(self, news: News) -> _Outcome:
        execution = await self.journal.executions.get(news.execution_id)
        if execution is None:
            raise LookupError(f"execution {news.execution_id} is gone while it is announced")
        runs = await self.journal.executions.task_runs(news.execution_id)
        return _Outcome(news, execution, Progress.of(runs).outputs)

    async def _listening(self, outcome: _Outcome) -> list[Duty[FlowTrigger]]:
        """Give the triggers to be told: not those of the execution's own flow, and none that is paused."""
        statuses = await self.journal.triggers.statuses()
        paused = {name for name, status in statuses.items() if status.paused}
        return [
            duty
            for key, duty in self._served.items()
            if str(key) not in paused and key.flow_path != outcome.execution.flow_path
        ]

    async def _consequence(self, duty: Duty[FlowTrigger], outcome: _Outcome) -> Consequence | None:
        try:
            consequence = await self._judged(duty, outcome)
        except DatabaseError:
            raise
        except TidewaiterError as error:
            await self.troubles.note(duty.key, error)
            return None
        if consequence is not None:
            await self.troubles.clear(duty.key)
        return consequence

    async def _judged(self, duty: Duty[FlowTrigger], outcome: _Outcome) -> Consequence | None:
        seen = self.starter.circumstances(duty, _event(outcome, outcome.execution.outputs))
        if not duty.spec.admits(seen):
            return None
        requirements = duty.spec.requirements()
        known = await self.journal.announcements.met(duty.key) if requirements else []
        sights = [_sight(requirement, seen, outcome, known) for requirement in requirements]
        met = [(sight.requirement.id, part) for sight in sights for part in sight.now]
        if not all(sight.complete for sight in sights):
            return Consequence(duty.key, met) if met else None
        if outcome.news.depth >= DEEPEST:
            chain = f"{DEEPEST} executions have led to each other, the last of them {outcome.execution.id}"
            raise TriggerLoopError(
                f"{chain}: no more follow", "let the conditions of the flows' triggers leave each other out"
            )
        outputs = await self._merged(sights, outcome)
        order = self.starter.order(duty, _event(outcome, outputs))
        resets = [sight.requirement.id for sight in sights if sight.requirement.reset]
        return Consequence(duty.key, met, order, resets)

    async def _merged(self, sights: Sequence["_Sight"], outcome: _Outcome) -> Mapping[str, Any]:
        """Give the outputs of all executions that were waited for, those of the last one first in doubt."""
        outputs: dict[str, Any] = {}
        for identifier in dict.fromkeys(item.execution_id for sight in sights for item in sight.before):
            execution = await self.journal.executions.get(identifier)
            outputs |= execution.outputs if execution else {}
        return {**outputs, **outcome.execution.outputs}


@dataclass(frozen=True, slots=True)
class _Sight:
    """How far a requirement is met: by parts that are true *now*, and by those that were *before*, in the window."""

    requirement: Requirement
    now: Collection[str]
    before: Sequence[Met]

    @property
    def complete(self) -> bool:
        parts = {*self.now, *(item.part for item in self.before)}
        return bool(self.now) and len(parts) >= self.requirement.needed


def _sight(requirement: Requirement, seen: Circumstances, outcome: _Outcome, known: Sequence[Met]) -> _Sight:
    window = requirement.window.around(outcome.news.at)
    if window is None:
        return _Sight(requirement, (), ())
    begin, end = window
    now = [name for name, holds in requirement.parts.items() if holds(seen)]
    before = [
        item
        for item in known
        if item.requirement == requirement.id and item.part in requirement.parts and begin <= item.at <= end
    ]
    return _Sight(requirement, now, before)


def _event(outcome: _Outcome, outputs: Mapping[str, Any]) -> Event:
    """Give what a Flow trigger shows of the execution, and what its conditions and inputs see besides."""
    execution = outcome.execution
    variables = {
        "executionId": execution.id,
        "executionLabels": dict(execution.labels),
        "namespace": execution.namespace,
        "flowId": execution.flow_id,
        "flowRevision": execution.flow_revision,
        "state": outcome.news.state,
        "startDate": execution.started_at,
        "endDate": execution.ended_at,
        "outputs": dict(outputs),
    }
    known = {
        "flow": {"id": execution.flow_id, "namespace": execution.namespace, "revision": execution.flow_revision},
        "execution": {
            "id": execution.id,
            "state": outcome.news.state,
            "startDate": execution.started_at,
            "originalId": execution.original_id or execution.id,
        },
        "outputs": dict(outcome.outputs),
        "inputs": dict(execution.inputs),
        "labels": dict(execution.labels),
    }
    return Event(variables, known=known, upstream=outcome.upstream)
