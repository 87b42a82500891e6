"""Where the journal is kept. Named SQL in, rows out; which database it is stays in here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from tidewaiter.config.errors import TidewaiterError

T = TypeVar("T")
Row = Mapping[str, Any]


class DatabaseError(TidewaiterError):
    """The database cannot be opened, read or written; the message names the file and the reason."""


class DatabaseFullError(DatabaseError):
    """There is no space left for the journal. Nothing was written; the same transaction may succeed later."""


class DatabaseLockedError(DatabaseError):
    """Another process owns this state directory."""


class DatabaseRolledBackError(DatabaseError):
    """The database is an older copy of itself, restored from a backup: what happened since is not in it."""


class Transaction(Protocol):
    """Statements by name, inside one transaction. Parameters are bound by name and never become part of the SQL."""

    def run(self, name: str, **parameters: Any) -> int:
        """Execute a statement and give the number of rows it changed."""

    def one(self, name: str, **parameters: Any) -> Row | None:
        """Give the first row of a query, or None."""

    def all(self, name: str, **parameters: Any) -> Sequence[Row]:
        """Give every row of a query."""


class Database(Protocol):
    """
    A transactional store. *work* is called on another thread and must only use the transaction it is given.

    When `write` returns, what *work* did has reached the disk. Transactions that arrive together share one fsync;
    each of them still succeeds or fails alone.
    """

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run *work* in a transaction and make it durable. An exception from *work* undoes it and is raised here."""

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run *work* on a consistent snapshot; it cannot change anything."""

    async def close(self) -> None:
        """Finish what was handed in, then let go of the database. Safe to call twice."""
