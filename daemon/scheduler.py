"""
Starts the executions of schedules at their dates.

A schedule stands at the last date that needs nothing any more; the journal moves it on in the transaction that creates
the execution of a date. So no date is lost or comes twice, whatever ends the daemon and wherever its clock jumps.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.duty import AnyDuty, Duty, of_kind
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.schedules import Reached
from tidewaiter.daemon.records import TriggerKey, timestamp
from tidewaiter.daemon.starter import Event, Starter, iso
from tidewaiter.daemon.timetable import Timetable
from tidewaiter.daemon.troubles import Troubles
from tidewaiter.triggers.schedule import Schedule
from tidewaiter.triggers.windows import zone_of

_log = structlog.get_logger("tidewaiter.scheduler")

MOST_LIVE = 100
"""Executions of one schedule that wait or run at a time; further dates stay due until one of them has ended."""

# The wall clock may be set, or the machine sleep: alarms count seconds, dates do not.
_LONGEST_WAIT = timedelta(minutes=1)
_AFTER_TROUBLE = timedelta(seconds=10)
_DATES_A_STEP = 200
_DATES_AHEAD = 100
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Scheduled:
    duty: Duty[Schedule]
    timetable: Timetable


@dataclass(slots=True)
class Scheduler:
    """
    `step` is driven by a `tidewaiter.daemon.loop.Loop`; *launched* is called when executions may be ready, *now* tells
    the time.
    """

    journal: Journal
    starter: Starter
    launched: Callable[[], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    settled: bool = False
    troubles: Troubles = field(init=False)
    _served: dict[TriggerKey, _Scheduled] = field(default_factory=dict)
    _next: dict[TriggerKey, datetime | None] = field(default_factory=dict)
    _caught_up: set[TriggerKey] = field(default_factory=set)
    _full: set[TriggerKey] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.troubles = Troubles(self.journal)

    async def serve(self, duties: Iterable[AnyDuty], *, complete: bool) -> None:
        """
        Serve the schedules among *duties* from now on. With *complete*, those that are not among them are forgotten:
        nothing says that they will come back.
        """
        served: dict[TriggerKey, _Scheduled] = {}
        for key, duty in of_kind(duties, Schedule).items():
            before = self._served.get(key)
            served[key] = before if before and before.duty == duty else _scheduled(duty)
            if before is not served[key]:
                self.troubles.forget(key)
        self._served, self.settled = served, False
        if complete:
            await self.journal.schedules.keep(served)

    def facts(self, key: TriggerKey) -> Mapping[str, Any]:
        """Give what is known of a schedule."""
        item, due = self._served.get(key), self._next.get(key)
        return {
            "watches": f"cron {item.duty.spec.definition}" if item else None,
            "nextDate": timestamp(due) if due else None,
            "waiting": key in self._full,
        }

    async def step(self) -> timedelta | None:
        """Start what is due; gives when to look again."""
        statuses = await self.journal.triggers.statuses()
        reached = await self.journal.schedules.reached() if self._served else {}
        waits = []
        for item in list(self._served.values()):
            status = statuses.get(str(item.duty.key))
            if not (status and status.paused):
                waits.append(await self._attend(item, reached.get(item.duty.key)))
        self.settled = True
        return min(waits, default=None)

    def frees(self, key: TriggerKey) -> bool:
        """Whether dates of a schedule wait for one of its executions to end."""
        return key in self._full

    async def _attend(self, item: _Scheduled, reached: Reached | None) -> timedelta:
        try:
            wait = await self._hand_out(item, await self._begun(item, reached))
        except DatabaseError:
            raise
        except TidewaiterError as error:
            await self.troubles.note(item.duty.key, error)
            return _AFTER_TROUBLE
        await self.troubles.clear(item.duty.key)
        return min(wait, _LONGEST_WAIT)

    async def _begun(self, item: _Scheduled, reached: Reached | None) -> datetime:
        """
        Give the date that the schedule has reached. A new one begins now, or where its backfill says; one that goes on
        after a time without a daemon does with what it missed as it says.
        """
        key = item.duty.key
        if reached is None or reached.definition != item.duty.spec.definition:
            start = None if reached else self.starter.concrete(item.duty, "backfill").begin
            begin = min(start or self.now(), self.now())
            await self.journal.schedules.begin(key, item.duty.spec.definition, begin)
            self._caught_up.add(key)
            return begin
        last = reached.last if key in self._caught_up else await self._recovered(item, reached)
        self._caught_up.add(key)
        return last

    async def _recovered(self, item: _Scheduled, reached: Reached) -> datetime:
        """Leave out the missed dates that are not to be made up for."""
        recovery, last = item.duty.spec.recover_missed_schedules, reached.last
        begin = self.now()
        if recovery == "LAST" and (final := item.timetable.previous(begin)) is not None:
            begin = final - _TICK
        missed = item.timetable.next(last)
        if recovery == "ALL" or missed is None or missed > begin:
            return last
        await self._leave_out(item, begin, reason=f"recoverMissedSchedules: {recovery}")
        return begin

    async def _leave_out(self, item: _Scheduled, until: datetime, reason: str) -> None:
        _log.warning("dates_left_out", trigger=str(item.duty.key), until=timestamp(until), reason=reason)
        await self.journal.schedules.advance(item.duty.key, until)

    async def _hand_out(self, item: _Scheduled, last: datetime) -> timedelta:
        """Start the executions of dates after *last* that have come; gives how long to wait for the next."""
        for _ in range(_DATES_A_STEP):
            date = self._next[item.duty.key] = item.timetable.next(last)
            present = self.now()
            if date is None or date > present:
                return date - present if date else _LONGEST_WAIT
            late = item.duty.spec.late_maximum_delay
            if late is not None and present - date > late:
                last = present - late - _TICK
                await self._leave_out(item, last, reason="lateMaximumDelay")
                continue
            if await self._is_full(item.duty.key):
                return _LONGEST_WAIT
            await self._start(item, date)
            last = date
        return timedelta(0)

    async def _is_full(self, key: TriggerKey) -> bool:
        full = await self.journal.schedules.live(key) >= MOST_LIVE
        (self._full.add if full else self._full.discard)(key)
        return full

    async def _start(self, item: _Scheduled, date: datetime) -> None:
        """Start the execution of *date*, unless its conditions say that it is none."""
        if not self._is_meant(item, date):
            await self.journal.schedules.advance(item.duty.key, date)
            return
        order = self.starter.order(item.duty, self._event(item, date))
        if await self.journal.schedules.hand_out(item.duty.key, date, order):
            _log.info("schedule_due", trigger=str(item.duty.key), date=iso(date))
            self.launched()

    def _is_meant(self, item: _Scheduled, date: datetime) -> bool:
        return self.starter.admits(item.duty, Event({"date": iso(date)}, date))

    def _event(self, item: _Scheduled, date: datetime) -> Event:
        """Give what ``trigger`` shows: the date, the one before and, if there is one, the one after."""
        around = {
            "next": self._neighbour(item, date, item.timetable.next),
            "previous": self._neighbour(item, date, item.timetable.previous),
        }
        shown = {name: iso(found) for name, found in around.items() if found is not None}
        return Event({"date": iso(date), **shown}, date)

    def _neighbour(
        self, item: _Scheduled, date: datetime, follow: Callable[[datetime], datetime | None]
    ) -> datetime | None:
        """Give the nearest date that the conditions let through; far away ones are not looked for."""
        found = follow(date)
        if not item.duty.spec.conditions and item.duty.spec.when == "true":
            return found
        for _ in range(_DATES_AHEAD):
            if found is None or self._is_meant(item, found):
                return found
            found = follow(found)
        return None


def _scheduled(duty: Duty[Schedule]) -> _Scheduled:
    return _Scheduled(duty, Timetable(duty.spec.dates(), zone_of(duty.spec.timezone)))
