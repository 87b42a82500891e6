"""Forgets what ended long ago, so that neither the journal nor the disk grows for ever."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import ExecutionState, timestamp
from tidewaiter.daemon.storage import Storage, execution_folder

_log = structlog.get_logger("tidewaiter.retention")

_INTERVAL = timedelta(hours=1)
_AT_ONCE = 200
_SUCCEEDED = (ExecutionState.SUCCESS, ExecutionState.WARNING)
_FAILED = (ExecutionState.FAILED, ExecutionState.KILLED, ExecutionState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Retention:
    """
    Deletes executions that ended longer ago than *succeeded* or *failed* says (None: never), with their files.

    The rows go first, in a transaction that sees whether a replay still needs the bytes; a crash between the two leaves
    a folder that is marked as forgotten (`tidewaiter fsck` removes it), never an execution whose files are gone.
    Objects that never got an execution, since they were overwritten or removed before they were read, go after
    *succeeded*, too.
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
        unread = await self._forget_unread()
        return timedelta(0) if max(forgotten, unread) >= _AT_ONCE else _INTERVAL

    async def _forget(self, states: Sequence[ExecutionState], age: timedelta | None) -> int:
        if age is None:
            return 0
        before = timestamp(datetime.now(UTC) - age)
        expired = await self.journal.executions.expired(states, before, _AT_ONCE)
        for execution in expired:
            folder = self._folder(execution.namespace, execution.flow_id, execution.id)
            await asyncio.to_thread(self.storage.forgetting, folder)
            if await self.journal.executions.forget(execution):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            else:
                await asyncio.to_thread(self.storage.keeping, folder)
        return len(expired)

    async def _forget_unread(self) -> int:
        """Delete what ended without an execution, with the folder that an interrupted read may have left."""
        if self.succeeded is None:
            return 0
        before = timestamp(datetime.now(UTC) - self.succeeded)
        forgotten = await self.journal.detections.forget_unread(before, _AT_ONCE)
        for trigger, identifier in forgotten:
            folder = self._folder(trigger.namespace, trigger.flow_id, identifier)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return len(forgotten)

    def _folder(self, namespace: str, flow_id: str, identifier: str) -> Path:
        return self.storage.root / execution_folder(namespace, flow_id, identifier)
