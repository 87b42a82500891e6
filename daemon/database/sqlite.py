"""
The journal on SQLite.

One thread owns the only writing connection (SQLite before 3.51.3 can corrupt a WAL with two, reliability.md §0.10)
and commits what has queued up as one transaction: WAL with ``synchronous=FULL`` costs one fsync for all of them.
Reads have a connection of their own that cannot write. The state directory belongs to one process at a time, by
``flock``.
"""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tidewaiter.config.errors import SyncError
from tidewaiter.daemon.database import (
    DatabaseError,
    DatabaseFullError,
    DatabaseLockedError,
    DatabaseRolledBackError,
    Row,
    Transaction,
)
from tidewaiter.daemon.database.queries import migrations, queries
from tidewaiter.daemon.database.witness import Witness, seen

T = TypeVar("T")
_MAX_SHARED = 256
_LOCK_SECONDS = 1.0
_UNCONFIRMED = frozenset({"SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"})
_LOCK_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class _Statements:
    """A connection as a `Transaction`."""

    connection: sqlite3.Connection

    def run(self, name: str, **parameters: Any) -> int:
        return self.connection.execute(queries()[name], parameters).rowcount

    def one(self, name: str, **parameters: Any) -> Row | None:
        row: Row | None = self.connection.execute(queries()[name], parameters).fetchone()
        return row

    def all(self, name: str, **parameters: Any) -> Sequence[Row]:
        return self.connection.execute(queries()[name], parameters).fetchall()


@dataclass(slots=True)
class _Job:
    work: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        self.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class SqliteDatabase:
    """A `Database` in one file, ``tidewaiter.db`` in the state directory."""

    def __init__(
        self,
        path: Path,
        lock: int,
        writing: sqlite3.Connection,
        reading: sqlite3.Connection,
        witness: Witness | None = None,
    ) -> None:
        self._path = path
        self._lock = lock
        self._writing = writing
        self._reading = reading
        self._witness = witness
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._reader = ThreadPoolExecutor(1, "journal-read")
        self._writer = threading.Thread(target=self._write_loop, name="journal-write", daemon=True)
        self._closed = False
        self._unconfirmed: SyncError | None = None
        self._writer.start()

    @classmethod
    def open(cls, path: Path, witness: Path | None = None) -> "SqliteDatabase":
        """
        Open or create the database file at *path* and bring its schema up to date. With *witness*, the number of each
        commit is noted in that file, too.

        Raises:
            DatabaseLockedError: another process has it open.
            DatabaseRolledBackError: the witness has seen later commits than the database has.
            DatabaseError: it cannot be created, is damaged, or was written by a newer version.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = _own(path)
        except OSError as error:
            raise DatabaseError(
                f"cannot use {path}: {error.strerror}", "the state directory must be writable; see --state-dir"
            ) from error
        try:
            writing = _connect(path)
            _migrate(writing, path)
            noted = _call_witness(writing, path, witness) if witness else None
            reading = _connect(path)
            reading.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            os.close(lock)
            raise _translated(error, path) from error
        except DatabaseError:
            os.close(lock)
            raise
        return cls(path, lock, writing, reading, noted)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """See `Database.write`."""
        if self._closed:
            raise DatabaseError(f"cannot use {self._path}: it was closed")
        loop = asyncio.get_running_loop()
        job = _Job(work, loop.create_future(), loop)
        self._jobs.put(job)
        result: T = await asyncio.shield(job.future)
        return result

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """See `Database.read`."""
        if self._closed:
            raise DatabaseError(f"cannot use {self._path}: it was closed")
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._read, work)

    async def close(self) -> None:
        """See `Database.close`."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._writer.join)
        self._reader.shutdown()
        self._reading.close()
        self._writing.close()
        if self._witness is not None:
            self._witness.close()
        os.close(self._lock)

    def _read(self, work: Callable[[Transaction], T]) -> T:
        try:
            self._reading.execute("BEGIN")
            try:
                return work(_Statements(self._reading))
            finally:
                self._reading.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise _translated(error, self._path) from error

    def _write_loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs, closing = [job], False
            while len(jobs) < _MAX_SHARED and not closing and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    closing = True
                else:
                    jobs.append(following)
            self._commit(jobs)
            for done in jobs:
                done.settle()
            if closing:
                return

    def _commit(self, jobs: list[_Job]) -> None:
        """
        Run *jobs* as one transaction with one fsync; a job that fails is undone alone. Once an fsync has failed,
        nothing is written any more (reliability.md §3.5).
        """
        if self._unconfirmed is not None:
            for job in jobs:
                job.error = self._unconfirmed
            return
        try:
            self._transact(jobs)
        except sqlite3.Error as error:
            self._undo(jobs, error)

    def _transact(self, jobs: list[_Job]) -> None:
        before = self._writing.total_changes
        self._writing.execute("BEGIN IMMEDIATE")
        for job in jobs:
            self._attempt(job)
        changed = self._writing.total_changes != before
        advanced = self._writing.execute(queries()["advance_generation"]).fetchall() if changed else []
        self._writing.execute("COMMIT")
        if advanced and self._witness is not None:
            self._witness.remember(int(advanced[0]["value"]))

    def _undo(self, jobs: list[_Job], error: sqlite3.Error) -> None:
        if getattr(error, "sqlite_errorname", "") in _UNCONFIRMED:
            self._unconfirmed = SyncError(self._path, str(error))
        failure = self._unconfirmed or _translated(error, self._path)
        for job in jobs:
            job.error = job.error or failure
        if self._writing.in_transaction:
            # If this cannot be undone, the next transaction fails to begin; the thread must live to say so.
            with suppress(sqlite3.Error):
                self._writing.execute("ROLLBACK")

    def _attempt(self, job: _Job) -> None:
        self._writing.execute("SAVEPOINT job")
        try:
            job.result = job.work(_Statements(self._writing))
        except sqlite3.OperationalError:
            raise  # a full disk or an I/O error concerns the whole transaction
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits the job
            job.error = _translated(error, self._path) if isinstance(error, sqlite3.Error) else error
            self._writing.execute("ROLLBACK TO job")
        self._writing.execute("RELEASE job")


@asynccontextmanager
async def database_at(path: Path, witness: Path | None = None) -> AsyncIterator[SqliteDatabase]:
    """
    Open the database at *path* for this process alone, for as long as the context lasts. Takes and raises what
    `SqliteDatabase.open` does.
    """
    database = SqliteDatabase.open(path, witness)
    try:
        yield database
    finally:
        await database.close()


def _own(path: Path) -> int:
    """
    Take the state directory for this process; the lock ends with the process, however it ends.

    A command that reads the journal while no daemon runs holds it for a moment, so a taken lock is tried again.
    """
    descriptor = os.open(path.with_name("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise DatabaseLockedError(
                    f"another tidewaiter uses the state directory {path.parent}",
                    "stop it, or choose another --state-dir",
                ) from error
            time.sleep(_LOCK_LOOK_SECONDS)
        else:
            return descriptor


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA cache_size = -4096")
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    known = migrations()
    if version > max(known):
        raise DatabaseError(
            f"{path} was written by a newer tidewaiter (schema {version}, this one knows {max(known)})",
            "upgrade tidewaiter",
        )
    for number, script in known.items():
        if number > version:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")


def _call_witness(connection: sqlite3.Connection, path: Path, where: Path) -> Witness:
    row = connection.execute(queries()["fact"], {"fact": "generation"}).fetchone()
    generation, known = int(row["value"]) if row else 0, seen(where)
    if known > generation:
        raise DatabaseRolledBackError(
            f"{path} is older than it once was: it is at generation {generation}, internal storage has seen {known}",
            "put the newest copy back; if there is none, run 'tidewaiter fsck --repair --accept-rollback'",
        )
    try:
        witness = Witness(where)
    except OSError as error:
        raise DatabaseError(f"cannot use {where}: {error.strerror}", "the state directory must be writable") from error
    witness.remember(generation)
    return witness


def _translated(error: sqlite3.Error, path: Path) -> DatabaseError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return DatabaseFullError(
            f"no space left to write {path}", "free space on that disk; nothing is lost and work goes on by itself"
        )
    if name.startswith("SQLITE_READONLY"):
        return DatabaseError(f"cannot write {path}: it is read-only", "make the state directory writable for this user")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return DatabaseError(f"{path} is damaged: {error}", "restore it from a backup")
    return DatabaseError(f"cannot use {path}: {error}")
