"""The journal's database: shared commits, one owner, one writer, and errors that say what to do."""

import asyncio
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from workshop.builders import until

from tidewaiter.daemon.database import (
    DatabaseError,
    DatabaseFullError,
    DatabaseLockedError,
    DatabaseRolledBackError,
    Transaction,
)
from tidewaiter.daemon.database.sqlite import SqliteDatabase, database_at

NOBODY = 65534

HOLD = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); input()"


def pause(number: int, *, paused: int = 1) -> Any:
    return lambda tx: tx.run("pause_trigger", trigger_key=f"t{number}", paused=paused)


def status(tx: Transaction) -> list[str]:
    return [row["trigger_key"] for row in tx.all("trigger_status")]


async def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    """A write that returned survives the process."""
    async with database_at(tmp_path / "j.db") as database:
        assert await database.write(pause(1)) == 1
    async with database_at(tmp_path / "j.db") as database:
        assert await database.read(status) == ["t1"]


async def test_the_folder_is_made(tmp_path: Path) -> None:
    """A state directory need not exist before."""
    async with database_at(tmp_path / "new" / "state" / "j.db"):
        assert (tmp_path / "new" / "state" / "j.db").exists()


async def test_writes_that_arrive_together_share_a_commit(database: SqliteDatabase) -> None:
    """Many small transactions cost few fsyncs."""
    commits: list[str] = []
    database._writing.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
    await asyncio.gather(*(database.write(pause(number)) for number in range(100)))
    assert len(await database.read(status)) == 100
    assert len(commits) < 20


async def test_only_the_failing_one_of_a_shared_commit_is_undone(database: SqliteDatabase) -> None:
    """Whoever shares a commit with a failure does not notice."""

    def failing(tx: Transaction) -> None:
        pause(1000)(tx)
        raise ValueError("mine alone")

    jobs = [database.write(pause(1)), database.write(failing), database.write(pause(2))]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(result) for result in results] == [int, ValueError, int]
    assert await database.read(status) == ["t1", "t2"]


async def test_a_broken_constraint_concerns_only_its_writer(database: SqliteDatabase) -> None:
    """A row that may not be is the error of the one who writes it."""

    def twice(tx: Transaction) -> None:
        for _ in range(2):
            tx.run("insert_flow", namespace="n", flow_id="f", revision=1, source="", created_at="")

    results = await asyncio.gather(database.write(twice), database.write(pause(1)), return_exceptions=True)
    assert isinstance(results[0], DatabaseError)
    assert await database.read(lambda tx: tx.one("latest_flow", namespace="n", flow_id="f")) is None


async def test_a_cancelled_write_is_still_made(database: SqliteDatabase) -> None:
    """Whoever stops waiting does not undo what was handed in; the writer goes on."""
    task = asyncio.create_task(database.write(pause(1)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: database.read(status))


async def test_a_reader_cannot_write(database: SqliteDatabase) -> None:
    """The reading connection changes nothing, whatever it is asked."""
    with pytest.raises(DatabaseError):
        await database.read(pause(1))
    assert await database.read(status) == []


async def test_a_reader_sees_one_moment(database: SqliteDatabase) -> None:
    """A read of several queries is not disturbed by a commit in between."""

    def twice(tx: Transaction) -> tuple[int, int]:
        before = len(tx.all("trigger_status"))
        asyncio.run_coroutine_threadsafe(database.write(pause(1)), loop).result()
        return before, len(tx.all("trigger_status"))

    loop = asyncio.get_running_loop()
    assert await database.read(twice) == (0, 0)


async def test_an_unknown_statement_is_its_callers_error(database: SqliteDatabase) -> None:
    """A name that does not exist does not stop the writer."""
    with pytest.raises(KeyError):
        await database.write(lambda tx: tx.run("no_such_statement"))
    assert await database.write(pause(1)) == 1


async def test_closing_twice_is_fine_and_finishes_what_was_handed_in(tmp_path: Path) -> None:
    """Nothing that was handed in before is lost by closing."""
    database = SqliteDatabase.open(tmp_path / "j.db")
    writes = [asyncio.create_task(database.write(pause(number))) for number in range(50)]
    await asyncio.sleep(0)
    await database.close()
    await database.close()
    assert await asyncio.gather(*writes) == [1] * 50


async def test_a_closed_database_refuses_at_once(tmp_path: Path) -> None:
    """Nobody waits for ever for a writer that has gone."""
    database = SqliteDatabase.open(tmp_path / "j.db")
    await database.close()
    with pytest.raises(DatabaseError, match="closed"):
        await asyncio.wait_for(database.write(pause(1)), 5)
    with pytest.raises(DatabaseError, match="closed"):
        await database.read(status)


async def test_another_process_is_kept_out(tmp_path: Path) -> None:
    """One process owns a state directory; the next one is told so."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "lock"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(DatabaseLockedError, match=f"another tidewaiter uses the state directory {tmp_path}"):
            SqliteDatabase.open(tmp_path / "j.db")
        holder.communicate(b"\n")
    await SqliteDatabase.open(tmp_path / "j.db").close()


async def test_the_lock_is_really_held_and_ends_with_closing(tmp_path: Path) -> None:
    """While it is open nobody else gets the lock; afterwards anybody does."""
    async with database_at(tmp_path / "j.db"):
        with (tmp_path / "lock").open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """A database of a newer version is left alone."""
    await SqliteDatabase.open(tmp_path / "j.db").close()
    with sqlite3.connect(tmp_path / "j.db") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(DatabaseError, match="written by a newer tidewaiter"):
        SqliteDatabase.open(tmp_path / "j.db")


async def test_a_refused_database_is_not_kept_locked(tmp_path: Path) -> None:
    """After a failed opening others may try."""
    (tmp_path / "j.db").write_bytes(b"this is no database, though it is long enough to look like one" * 100)
    for _ in range(2):
        with pytest.raises(DatabaseError, match="damaged") as caught:
            SqliteDatabase.open(tmp_path / "j.db")
        assert not isinstance(caught.value, DatabaseLockedError)
        assert str(tmp_path / "j.db") in caught.value.message


def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    """A state directory that cannot be written says which and why."""
    (tmp_path / "state").mkdir(mode=0o555)
    pid = os.fork()
    if pid == 0:
        os._exit(_open_as_nobody(tmp_path / "state" / "j.db"))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _open_as_nobody(path: Path) -> int:
    """In a process of its own, which never comes back: 0 if the refusal was as promised."""
    try:
        if os.geteuid() == 0:
            for folder in (path.parent.parent, *path.parents[2:-2]):
                folder.chmod(0o711)
            os.setuid(NOBODY)
        SqliteDatabase.open(path)
    except DatabaseError as error:
        return 0 if f"cannot use {path}: Permission denied" in error.message and error.hint else 2
    except BaseException:  # noqa: BLE001 - told by the exit code
        return 3
    return 1


FILL = textwrap.dedent("""
    import asyncio, resource, signal, sys
    from pathlib import Path
    from tidewaiter.daemon.database import DatabaseFullError, DatabaseError
    from tidewaiter.daemon.database.sqlite import SqliteDatabase

    async def main():
        path = Path(sys.argv[1])
        database = SqliteDatabase.open(path)
        write = lambda n, size: database.write(lambda tx: tx.run(
            "insert_flow", namespace="n", flow_id=f"f{n}", revision=1, source="x" * size, created_at=""))
        await write(0, 10)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        try:
            await write(1, 4 << 20)
        except DatabaseError as error:
            print(error.message)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await write(2, 10)
        flows = await database.read(lambda tx: tx.all("latest_flows"))
        print(sorted(row["flow_id"] for row in flows))
        await database.close()

    asyncio.run(main())
""")


def test_a_write_that_the_disk_refuses_is_undone_and_the_next_works(tmp_path: Path) -> None:
    """The file that cannot grow is named, nothing of the write remains, and work goes on when there is room again."""
    done = subprocess.run([sys.executable, "-c", FILL, tmp_path / "j.db"], capture_output=True, text=True, check=True)
    message, flows = done.stdout.splitlines()
    assert str(tmp_path / "j.db") in message
    assert flows == "['f0', 'f2']"


async def test_a_full_database_says_so_and_recovers(database: SqliteDatabase) -> None:
    """No space left is an error of its own, for those who wait for space."""
    pages = database._writing.execute("PRAGMA page_count").fetchone()[0]
    database._writing.execute(f"PRAGMA max_page_count = {pages}")
    big = {"namespace": "n", "flow_id": "f", "revision": 1, "created_at": ""}
    with pytest.raises(DatabaseFullError, match=r"no space left to write .*tidewaiter.db"):
        await database.write(lambda tx: tx.run("insert_flow", source="x" * 100_000, **big))
    database._writing.execute("PRAGMA max_page_count = 1000000")
    assert await database.write(lambda tx: tx.run("insert_flow", source="x" * 100_000, **big)) == 1


async def test_commits_are_synced_to_the_disk(database: SqliteDatabase) -> None:
    """WAL with synchronous=FULL: what was committed survives a power cut."""
    assert database._writing.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert database._writing.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


async def test_an_older_copy_is_recognised(tmp_path: Path) -> None:
    """Whatever was committed since the copy was made: internal storage has seen more than the journal knows."""
    path, witness = tmp_path / "j.db", tmp_path / "storage" / ".generation"
    async with database_at(path, witness) as database:
        await database.write(pause(1))
    shutil.copy(path, tmp_path / "copy.db")
    async with database_at(path, witness) as database:
        await database.write(pause(2))
    shutil.copy(tmp_path / "copy.db", path)

    with pytest.raises(DatabaseRolledBackError, match="older than it once was"):
        SqliteDatabase.open(path, witness)

    await SqliteDatabase.open(path).close()


@pytest.mark.parametrize("left", [b"", b"\0" * 21, b"0000"])
async def test_a_witness_that_a_power_cut_damaged_proves_nothing(tmp_path: Path, left: bytes) -> None:
    """It is not fsynced; what is missing in it must not keep the journal from being opened."""
    path, witness = tmp_path / "j.db", tmp_path / ".generation"
    async with database_at(path, witness) as database:
        await database.write(pause(1))
    witness.write_bytes(left)
    await SqliteDatabase.open(path, witness).close()
    assert int(witness.read_text()) == 1


async def test_a_commit_that_changes_nothing_is_none(tmp_path: Path) -> None:
    """An idle journal costs no write."""
    witness = tmp_path / ".generation"
    async with database_at(tmp_path / "j.db", witness) as database:
        await database.write(pause(1))
        await database.write(lambda tx: tx.run("delete_seen", trigger_key="x", bucket="x", object_key="x"))
    assert int(witness.read_text()) == 1
