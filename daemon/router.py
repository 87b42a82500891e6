"""Sees objects on their way after their executions have ended, whichever trigger they came through."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.config.settings import Retry
from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.loop import Crashed, supervised
from tidewaiter.daemon.records import Detection, Route, RoutePurpose, TriggerKey, timestamp
from tidewaiter.daemon.routing import Routing

_log = structlog.get_logger("tidewaiter.router")

MakeRouting = Callable[[TriggerKey, int], Awaitable[Routing]]
"""Makes what routes objects of a trigger: as it is served now, or else as it was at that revision of its flow."""


@dataclass(slots=True)
class Router:
    """
    Takes routes from the journal and sees up to *limit* of them through at once. *wake* asks for another `step`,
    *freed* is told of a trigger whose objects are back at their source. *failed* counts the steps that failed here.
    """

    journal: Journal
    routing: MakeRouting
    limit: int
    retry: Retry
    wake: Callable[[], None]
    freed: Callable[[TriggerKey], object]
    crashed: Crashed
    failed: int = 0
    _in_hand: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def step(self) -> timedelta | None:
        """Take up what is due; gives when to look again."""
        for route in await self.journal.routes.due(2 * self.limit):
            if route.id not in self._in_hand and len(self._in_hand) < self.limit:
                work = self._see_through(route)
                self._in_hand[route.id] = supervised(work, f"route {route.id}", self.crashed)
        return await self.journal.routes.wait()

    async def stop(self) -> None:
        """Leave what is in hand where it stands; the next start goes on from there."""
        tasks = list(self._in_hand.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def busy(self) -> bool:
        """Whether an object is on its way at the moment."""
        return bool(self._in_hand)

    async def _see_through(self, route: Route) -> None:
        detection = None
        try:
            detection = await self.journal.detections.get(route.detection_id)
            if detection is not None:
                await self._advance(route, detection)
        except TidewaiterError as error:
            await self._setback(route, detection, error)
        finally:
            self._in_hand.pop(route.id, None)
        self.wake()

    async def _advance(self, route: Route, detection: Detection) -> None:
        key = TriggerKey.parse(route.trigger)
        routing = await self.routing(key, detection.flow_revision)
        await routing.advance(route, detection)
        _log.info("object_routed", trigger=route.trigger, key=detection.key, purpose=route.purpose.value)
        if route.purpose is RoutePurpose.REDRIVE:
            self.freed(key)

    async def _setback(self, route: Route, detection: Detection | None, error: TidewaiterError) -> None:
        self.failed += 1
        due = timestamp(datetime.now(UTC) + self.retry.delay(route.attempts))
        key = detection.key if detection else None
        _log.error("route_failing", trigger=route.trigger, key=key, error=error.message, hint=error.hint)
        try:
            await self.journal.routes.postpone(route, next_try=due, error=error.message)
        except DatabaseError as full:
            _log.error("journal_unavailable", error=full.message, hint=full.hint)
            await asyncio.sleep(self.retry.initial.total_seconds())
