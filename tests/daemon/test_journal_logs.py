"""What task runs had to say: numbered lines, written in bunches."""

import asyncio

import pytest
from workshop.builders import until

from tidewaiter.daemon.database import DatabaseError
from tidewaiter.daemon.database.sqlite import SqliteDatabase
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.logs import Logs
from tidewaiter.daemon.records import LogLine


def line(message: str, execution: str = "e1") -> LogLine:
    return LogLine(execution, "task", 1, "2026-01-01T00:00:00.000000Z", "INFO", message)


async def messages(logs: Logs, execution: str = "e1") -> list[str]:
    return [kept.message for _, kept in await logs.of(execution)]


async def test_lines_are_kept_as_they_were_said(journal: Journal) -> None:
    """Nothing about a line changes on the way."""
    journal.logs.append(line("é \0 \x1b[2J\n"))
    await journal.logs.flush()
    assert await journal.logs.of("e1") == [(1, line("é \0 \x1b[2J\n"))]


async def test_lines_are_numbered_by_execution(journal: Journal) -> None:
    """Numbers begin with 1 in each execution and go on over flushes."""
    for message, execution in (("a", "e1"), ("b", "e2"), ("c", "e1")):
        journal.logs.append(line(message, execution))
        await journal.logs.flush()
    assert [number for number, _ in await journal.logs.of("e1")] == [1, 2]
    assert [number for number, _ in await journal.logs.of("e2")] == [1]


async def test_lines_past_a_number_can_be_asked_for(journal: Journal) -> None:
    """A reader goes on where it stopped, as far as it wants."""
    for number in range(1, 6):
        journal.logs.append(line(str(number)))
    await journal.logs.flush()
    assert [kept.message for _, kept in await journal.logs.of("e1", after=2, limit=2)] == ["3", "4"]


async def test_somebody_is_told_of_the_first_line_only(journal: Journal) -> None:
    """One wake-up is enough for a bunch."""
    told: list[int] = []
    journal.logs.notify = lambda: told.append(1)
    for number in range(3):
        journal.logs.append(line(str(number)))
    await journal.logs.flush()
    journal.logs.append(line("again"))
    assert len(told) == 2


async def test_a_failed_flush_keeps_its_lines_in_order(journal: Journal, database: SqliteDatabase) -> None:
    """What could not be written is written with the next, before what came later."""
    journal.logs.append(line("x" * 100_000))
    pages = database._writing.execute("PRAGMA page_count").fetchone()[0]
    database._writing.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DatabaseError):
        await journal.logs.flush()
    journal.logs.append(line("later"))
    database._writing.execute("PRAGMA max_page_count = 1000000")
    await journal.logs.flush()
    assert await messages(journal.logs) == ["x" * 100_000, "later"]


async def test_a_cancelled_flush_writes_its_lines_once(journal: Journal) -> None:
    """Who is interrupted while lines are written neither loses nor repeats them."""
    journal.logs.append(line("once"))
    flush = asyncio.create_task(journal.logs.flush())
    await asyncio.sleep(0)
    flush.cancel()
    await asyncio.gather(flush, return_exceptions=True)
    await until(lambda: messages(journal.logs))
    await journal.logs.flush()
    assert await messages(journal.logs) == ["once"]


async def test_a_line_that_no_database_takes_does_not_stop_the_others(journal: Journal) -> None:
    """A hostile file may make a script print half a surrogate pair; it must not poison the log of the daemon."""
    journal.logs.append(line("bad \ud800"))
    journal.logs.append(line("good", "e2"))
    await journal.logs.flush()
    assert await messages(journal.logs) + await messages(journal.logs, "e2") == ["bad ?", "good"]


async def test_flushing_nothing_is_nothing(journal: Journal) -> None:
    """No lines, no commit."""
    await journal.logs.flush()
    assert await messages(journal.logs) == []
