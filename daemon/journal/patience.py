"""What has happened must be recorded: a full disk may delay that, it must not undo it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import structlog

from tidewaiter.daemon.database import DatabaseError

T = TypeVar("T")
_PAUSE = timedelta(seconds=1)
_log = structlog.get_logger("tidewaiter.journal")


async def until_recorded(record: Callable[[], Awaitable[T]]) -> T:
    """Call *record* until the journal takes it, and give what it gives. Other errors than the journal's are raised."""
    while True:
        try:
            return await record()
        except DatabaseError as error:
            _log.error("journal_unavailable", error=error.message, hint=error.hint)
        await asyncio.sleep(_PAUSE.total_seconds())
