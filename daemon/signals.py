"""Wake-ups between an executor and the executions it carries out. They carry nothing: the journal says what is new."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self


def _nobody() -> None:
    """Nobody carries out executions here."""


@dataclass(slots=True)
class Signals:
    """
    Who waits for news of which execution. *launched* tells an executor that there is a new one, or that one rests and
    leaves its place to another.
    """

    launched: Callable[[], None] = _nobody
    _waiting: dict[str, set[asyncio.Event]] = field(default_factory=dict)

    def tell(self, execution_id: str) -> None:
        """Wake whoever waits for news of an execution."""
        for event in self._waiting.get(execution_id, ()):
            event.set()

    def listen(self, execution_id: str) -> "Listener":
        """Begin to listen for news of an execution: what is told from now on is not missed."""
        event = asyncio.Event()
        self._waiting.setdefault(execution_id, set()).add(event)
        return Listener(event, lambda: self._forget(execution_id, event))

    def _forget(self, execution_id: str, event: asyncio.Event) -> None:
        events = self._waiting.get(execution_id, set())
        events.discard(event)
        if not events:
            self._waiting.pop(execution_id, None)


@dataclass(frozen=True, slots=True)
class Listener:
    """Use as a context manager; look at the journal, then `news`, and look again."""

    _event: asyncio.Event
    _stop: Callable[[], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    async def news(self, limit: timedelta | None = None) -> None:
        """Wait until something is told, or for *limit*."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), None if limit is None else max(limit.total_seconds(), 0))
        self._event.clear()
