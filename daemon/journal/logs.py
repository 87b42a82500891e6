"""What task runs had to say, kept with their execution."""

from collections.abc import Callable, Sequence

from tidewaiter.daemon.database import Database, DatabaseError, Row, Transaction
from tidewaiter.daemon.records import LogLine, storable


class Logs:
    """
    Log lines by execution, numbered from 1.

    Lines are handed over one by one and written in bunches (`flush`), so that a chatty script costs few commits. A
    crash may lose the lines of the last moment; it never loses or repeats work.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: list[LogLine] = []
        self.notify: Callable[[], None] = lambda: None

    def append(self, line: LogLine) -> None:
        """Take *line* for the next `flush`, telling *notify* when it is the first since the last one. Never blocks."""
        if not self._pending:
            self.notify()
        self._pending.append(line)

    async def flush(self) -> None:
        """
        Write what was taken since the last time; it stays taken if the write fails. A cancelled flush is carried out.
        """
        lines = self._pending
        if not lines:
            return
        self._pending = []
        try:
            await self._database.write(lambda tx: _insert(tx, lines))
        except DatabaseError:
            self._pending = lines + self._pending
            raise

    async def errors(self, execution_id: str, *, limit: int = 1000) -> list[LogLine]:
        """The error lines of an execution's tasks, but for those still to be written."""
        rows = await self._database.read(lambda tx: tx.all("error_lines", execution_id=execution_id, limit=limit))
        return [_line(row) for row in rows]

    async def of(self, execution_id: str, *, after: int = 0, limit: int = 100_000) -> list[tuple[int, LogLine]]:
        """The lines of an execution past number *after*, with their numbers."""
        rows = await self._database.read(
            lambda tx: tx.all("log_lines", execution_id=execution_id, after=after, limit=limit)
        )
        return [(row["line"], _line(row)) for row in rows]


def _insert(tx: Transaction, lines: Sequence[LogLine]) -> None:
    last: dict[str, int] = {}
    for line in lines:
        if line.execution_id not in last:
            row = tx.one("last_log_line", execution_id=line.execution_id)
            last[line.execution_id] = row["value"] if row else 0
        last[line.execution_id] += 1
        tx.run(
            "insert_log",
            execution_id=line.execution_id,
            line=last[line.execution_id],
            task_path=line.task_path,
            attempt=line.attempt,
            at=line.at,
            level=line.level,
            message=storable(line.message),
        )


def _line(row: Row) -> LogLine:
    return LogLine(row["execution_id"], row["task_path"], row["attempt"], row["at"], row["level"], row["message"])
