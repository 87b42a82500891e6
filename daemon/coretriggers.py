"""The triggers in service that no bucket feeds: schedules, webhooks, and flows after flows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from tidewaiter.daemon.announcer import Announcer
from tidewaiter.daemon.duty import AnyDuty
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.loop import Loop, Step
from tidewaiter.daemon.records import Execution, TriggerKey
from tidewaiter.daemon.scheduler import Scheduler
from tidewaiter.daemon.starter import Starter
from tidewaiter.daemon.webhooks import Webhooks
from tidewaiter.triggers.schedule import Schedule
from tidewaiter.triggers.webhook import Webhook

_NOTHING_OF_BUCKETS: Mapping[str, Any] = MappingProxyType({
    "state": "OK",
    "bucket": None,
    "prefix": None,
    "action": None,
    "lastPoll": None,
    "waiting": False,
    "backlog": None,
    "held": {},
    "capabilities": None,
    "watches": None,
})  # fmt: skip


@dataclass(slots=True)
class CoreTriggers:
    """
    What drives them. *launched* is called when executions may be ready, *listening* tells whether webhooks can be
    called.
    """

    journal: Journal
    starter: Starter
    launched: Callable[[], None]
    listening: bool
    scheduler: Scheduler = field(init=False)
    announcer: Announcer = field(init=False)
    webhooks: Webhooks = field(init=False)
    _duties: Mapping[TriggerKey, AnyDuty] = field(default_factory=dict)
    _loops: Sequence[Loop] = ()

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.journal, self.starter, self.launched)
        self.announcer = Announcer(self.journal, self.starter, self.launched)
        self.webhooks = Webhooks(self.journal, self.starter, self.launched, self.listening)

    def loops(self, make_loop: Callable[[str, Step], Loop]) -> Sequence[Loop]:
        """Make the loops to be started once `serve` has been called."""

        async def schedules() -> timedelta | None:
            return await self.scheduler.step()

        async def announcements() -> timedelta | None:
            return await self.announcer.step()

        self._loops = (make_loop("schedules", schedules), make_loop("announcements", announcements))
        return self._loops

    async def serve(self, duties: Sequence[AnyDuty], *, complete: bool) -> None:
        """Serve *duties* from now on; they are *complete* unless a flow file is wrong."""
        self._duties = {duty.key: duty for duty in duties}
        await self.scheduler.serve(duties, complete=complete)
        await self.announcer.serve(duties)
        await self.webhooks.serve(duties)
        self._wake()

    def wake(self, key: TriggerKey) -> None:
        """Look again at a trigger that was resumed."""
        if key in self._duties:
            self._wake()

    def ended(self, execution: Execution) -> None:
        """An execution has ended: Flow triggers are told, and callers; a schedule may have room for another."""
        self.webhooks.ended(execution)
        if self._loops:
            self._loops[1].wake()
        if self.scheduler.frees(TriggerKey.parse(execution.trigger)):
            self._wake()

    def facts(self) -> dict[TriggerKey, Mapping[str, Any]]:
        """Give what is known of each trigger."""
        return {
            key: {**_NOTHING_OF_BUCKETS, "type": duty.spec.type, **self._own(key)} for key, duty in self._duties.items()
        }

    @property
    def keys(self) -> list[TriggerKey]:
        """The triggers in service."""
        return list(self._duties)

    @property
    def troubled(self) -> bool:
        """Whether something keeps a trigger from working."""
        return any(map(len, (self.scheduler.troubles, self.announcer.troubles, self.webhooks.troubles)))

    async def settled(self) -> bool:
        """Whether what came due has been started, every execution has ended, and so has what follows from that."""
        quiet = self.scheduler.settled and await self.journal.announcements.quiet()
        if not quiet:
            self._loops[1].wake()
        return quiet

    def _own(self, key: TriggerKey) -> Mapping[str, Any]:
        spec = self._duties[key].spec
        if isinstance(spec, Schedule):
            return self.scheduler.facts(key)
        if isinstance(spec, Webhook):
            return self.webhooks.facts(key)
        return {"watches": "executions of other flows"}

    def _wake(self) -> None:
        for loop in self._loops:
            loop.wake()
