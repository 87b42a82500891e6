"""What keeps triggers from working that no bucket feeds: told once, in the log and by ``triggers list``."""

from dataclasses import dataclass, field

import structlog

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import TriggerKey

_log = structlog.get_logger("tidewaiter.troubles")


@dataclass(slots=True)
class Troubles:
    """Reports each change of a trigger's fortune to the journal and the log, and nothing twice."""

    journal: Journal
    _known: dict[TriggerKey, str | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(message is not None for message in self._known.values())

    async def note(self, trigger: TriggerKey, error: TidewaiterError) -> None:
        """Report that *error* keeps a trigger from working."""
        if self._known.get(trigger) == error.message:
            return
        cause = type(error).__name__.removesuffix("Error")
        await self.journal.triggers.report(trigger, cause, error.message, error.hint)
        _log.error("trigger_failing", trigger=str(trigger), cause=cause, error=error.message, hint=error.hint)
        self._known[trigger] = error.message

    async def clear(self, trigger: TriggerKey) -> None:
        """Report that a trigger works."""
        if self._known.get(trigger, "unknown") is None:
            return
        await self.journal.triggers.report(trigger, None)
        if trigger in self._known:
            _log.info("trigger_recovered", trigger=str(trigger))
        self._known[trigger] = None

    def forget(self, trigger: TriggerKey) -> None:
        """Let a trigger that has changed begin anew."""
        self._known.pop(trigger, None)
