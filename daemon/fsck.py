"""
Check a state directory, and repair what can be repaired without guessing (reliability.md §3.4, C15).

Nothing is made to run by it: where nobody knows whether an execution has run, it ends FAILED and says so, for somebody
to replay.
"""

import asyncio
import shutil
from pathlib import Path

from tidewaiter.config.errors import TidewaiterError, storage_error
from tidewaiter.daemon.comparison import Comparison, Examination, Finding
from tidewaiter.daemon.database import Database
from tidewaiter.daemon.database.witness import seen
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.restoration import Restoration
from tidewaiter.daemon.storage import Storage, witness_of

_DOUBT = (
    "the journal was restored from storage: whether this execution has run is not known. "
    "If its effects are missing: tidewaiter executions replay"
)


class RollbackError(TidewaiterError):
    """The journal is an older copy of itself, and nobody has accepted what follows from that."""


class Fsck:
    """
    Checks journal and *storage* of a state directory, which it needs to itself.

    *accept_rollback*: take the journal for an older copy of itself, also where that does not show.
    """

    def __init__(self, database: Database, journal: Journal, storage: Storage, *, accept_rollback: bool) -> None:
        self._restoration = Restoration(database)
        self._journal = journal
        self._storage = storage
        self._accepted = accept_rollback

    async def examine(self) -> Examination:
        """Find every disagreement. Changes nothing. Raises `StorageError` where storage cannot be read."""
        generation = await self._restoration.generation()
        known = seen(witness_of(self._storage.root))
        doubting = self._accepted or known > generation
        comparison = Comparison(
            self._storage,
            await self._journal.detections.everything(),
            await self._restoration.executions(),
            doubting=doubting,
        )
        found = await asyncio.to_thread(comparison.run)
        found.generation = max(known, generation) + 1 if doubting else None
        if known > generation:
            message = f"the journal is an older copy: it is at generation {generation}, storage has seen {known}"
            remedy = "with --accept-rollback, go on from this copy"
            found.findings.insert(0, Finding("rollback", "tidewaiter.db", message, remedy))
        return found

    async def repair(self, found: Examination) -> None:
        """
        Do what was *found* to be done: the journal in one transaction, then the files. Idempotent.

        Raises:
            RollbackError: the journal is an older copy, and that was not accepted.
            StorageError: a file cannot be removed.
        """
        if found.generation is not None and not self._accepted:
            raise RollbackError(
                "the journal is an older copy of itself: what it has as still to run may have run since",
                "put the newest copy back, or add --accept-rollback: what may have run ends FAILED, to be replayed",
            )
        if found.lost or found.doubtful or found.generation is not None:
            await self._restoration.restore(found.lost, found.doubtful, _DOUBT, generation=found.generation)
        for path in found.files:
            await asyncio.to_thread(_remove, path)


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, path) from error
