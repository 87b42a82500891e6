"""Look at a journal from outside, without owning or changing it."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.database.queries import migrations

VERSION = sqlite3.sqlite_version
_WAL_RESET_FIXED = (3, 51, 3)


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found: the schema's version, the newest one known here, and damage (none: empty)."""

    schema: int
    newest: int
    damage: tuple[str, ...]


def has_wal_reset_bug() -> bool:
    """Tell whether this SQLite can corrupt a WAL that two connections write (reliability.md §0.10)."""
    return sqlite3.sqlite_version_info < _WAL_RESET_FIXED


def check_up(path: Path) -> Checkup:
    """Read the journal in the file *path* from end to end. Raises `DatabaseError` if it cannot be read."""
    try:
        with closing(sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True)) as connection:
            (schema,) = connection.execute("PRAGMA user_version").fetchone()
            said = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
    except sqlite3.Error as error:
        raise DatabaseError(f"{path} cannot be read: {error}", "restore it from a backup") from error
    return Checkup(schema, max(migrations()), tuple(line for line in said if line != "ok"))
