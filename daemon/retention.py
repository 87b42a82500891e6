"""Forgets what ended long ago, so that neither the journal nor the disk grows for ever."""

import asyncio
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import Execution, ExecutionState, timestamp
from tidewaiter.daemon.storage import Storage, execution_folder

_log = structlog.get_logger("tidewaiter.retention")

_INTERVAL = timedelta(hours=1)
_AT_ONCE = 200
_SUCCEEDED = (ExecutionState.SUCCESS, ExecutionState.WARNING)
_FAILED = (ExecutionState.FAILED, ExecutionState.KILLED)


@dataclass(frozen=True, slots=True)
class Retention:
    """
    Deletes executions that ended longer ago than *succeeded* or *failed* says (None: never), with their files.

    The rows go first, in a transaction that sees whether a replay still needs the bytes; a crash between the two leaves
    files that nobody knows, never an execution whose files are gone.
    """

    journal: Journal
    storage: Storage
    succeeded: timedelta | None
    failed: timedelta | None

    async def step(self) -> timedelta | None:
        """Delete some of what has expired; the next step is due at once while there is more."""
        forgotten = await self._forget(_SUCCEEDED, self.succeeded) + await self._forget(_FAILED, self.failed)
        if forgotten:
            _log.info("executions_forgotten", executions=forgotten)
        return timedelta(0) if forgotten >= _AT_ONCE else _INTERVAL

    async def _forget(self, states: tuple[ExecutionState, ExecutionState], age: timedelta | None) -> int:
        if age is None:
            return 0
        before = timestamp(datetime.now(UTC) - age)
        expired = await self.journal.executions.expired(states, before, _AT_ONCE)
        for execution in expired:
            if await self.journal.executions.forget(execution):
                await asyncio.to_thread(shutil.rmtree, self._folder(execution), ignore_errors=True)
        return len(expired)

    def _folder(self, execution: Execution) -> str:
        folder = execution_folder(execution.namespace, execution.flow_id, execution.id)
        return str(self.storage.root / folder)
