"""Journal and internal storage are compared, and what the journal lost is put back from storage."""

import hashlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from workshop.builders import TRIGGER, Intake, source

from tidewaiter.daemon import custody
from tidewaiter.daemon.comparison import Examination
from tidewaiter.daemon.database import DatabaseRolledBackError
from tidewaiter.daemon.database.sqlite import SqliteDatabase, database_at
from tidewaiter.daemon.fsck import Fsck, RollbackError
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import Detection, DetectionState, Execution, ExecutionState, execution_id
from tidewaiter.daemon.retention import Retention
from tidewaiter.daemon.storage import Storage, execution_folder, witness_of
from tidewaiter.triggers.bucket import Stored


@dataclass
class Harbour:
    """A state directory that objects are taken into without a bucket."""

    state: Path

    @property
    def database(self) -> Path:
        return self.state / "tidewaiter.db"

    @property
    def storage(self) -> Storage:
        return Storage(self.state / "storage")

    @asynccontextmanager
    async def journal(self) -> AsyncIterator[Journal]:
        """Open the journal as the daemon does."""
        async with database_at(self.database, witness_of(self.storage.root)) as database:
            yield await Journal.over(database)

    async def keep(self, detection: Detection, action: str = "DELETE") -> str:
        """Put the bytes of *detection* into storage, with their manifest; gives the URI."""
        content = detection.key.encode()
        final = self.storage.object_path(TRIGGER, detection)
        final.parent.mkdir(parents=True)
        temporary = final.with_name("data.tmp")
        temporary.write_bytes(content)
        stored = Stored(len(content), hashlib.sha256(content).hexdigest(), detection.etag)
        return await self.storage.keep(temporary, final, custody._manifest(source(action), detection, stored))

    async def store(self, journal: Journal, detection: Detection, action: str = "DELETE") -> None:
        uri = await self.keep(detection, action)
        sha256 = hashlib.sha256(detection.key.encode()).hexdigest()
        await journal.detections.stored(source(action), detection, uri=uri, sha256=sha256, version_id=None)

    async def take(self, journal: Journal, key: str, action: str = "DELETE") -> Detection:
        """Claim an object and take it into custody."""
        [detection] = await Intake(journal, source(action)).claim(key)
        await self.store(journal, detection, action)
        return detection

    async def run(self, journal: Journal, key: str, action: str = "DELETE") -> Detection:
        """Take an object into custody, do its action and execute it."""
        detection = await self.take(journal, key, action)
        await journal.detections.done(detection, removed=True)
        await journal.executions.end(detection.execution_id, ExecutionState.SUCCESS)
        return detection

    def copy(self) -> Path:
        return Path(shutil.copy(self.database, self.state / "copy.db"))

    def put_back(self, copy: Path) -> None:
        copy.replace(self.database)

    async def check(self, *, repair: bool = False, accept: bool = False) -> Examination:
        async with database_at(self.database) as database:
            fsck = Fsck(database, await Journal.over(database), self.storage, accept_rollback=accept)
            found = await fsck.examine()
            if repair:
                await fsck.repair(found)
            return found

    async def found(self, **options: bool) -> list[str]:
        return [finding.kind for finding in (await self.check(**options)).findings]


@pytest.fixture
def harbour(tmp_path: Path) -> Harbour:
    """An empty state directory."""
    return Harbour(tmp_path)


async def rolled_back(harbour: Harbour, *keys: str, action: str = "DELETE") -> list[Detection]:
    """A journal as it was before these objects came; they have been executed since."""
    async with harbour.journal() as journal:
        await harbour.run(journal, "before")
    copy = harbour.copy()
    async with harbour.journal() as journal:
        gone = [await harbour.run(journal, key, action) for key in keys]
    harbour.put_back(copy)
    return gone


async def states(harbour: Harbour, detection: Detection) -> tuple[str | None, str | None]:
    """The states of a detection and of its execution."""
    async with harbour.journal() as journal:
        row = await journal.detections.get(detection.id)
        execution = await journal.executions.get(detection.execution_id)
        return row and row.state, execution and execution.state


async def test_a_sound_state_directory(harbour: Harbour) -> None:
    """Objects on every step of their way agree with storage; nothing is found."""
    async with harbour.journal() as journal:
        await harbour.run(journal, "a.csv")
        await harbour.take(journal, "b.csv")
        await harbour.take(journal, "c.tmp")
        [claimed] = await Intake(journal).claim("d.csv")
        await harbour.keep(claimed)
    assert await harbour.found() == []


async def test_the_daemon_refuses_an_older_journal(harbour: Harbour) -> None:
    """It would run again what has run; the error says what to do."""
    await rolled_back(harbour, "a.csv")
    with pytest.raises(DatabaseRolledBackError, match="older") as caught:
        SqliteDatabase.open(harbour.database, witness_of(harbour.storage.root))
    assert "fsck --repair --accept-rollback" in str(caught.value.hint)


async def test_lost_objects_are_put_back_but_not_run(harbour: Harbour) -> None:
    """What storage proves is in the journal again: its action goes on, its execution is there to be replayed."""
    [lost] = await rolled_back(harbour, "a.csv")

    assert await harbour.found(repair=True, accept=True) == ["rollback", "lost"]

    assert await states(harbour, lost) == (DetectionState.STORED, ExecutionState.FAILED)
    assert await harbour.found() == []


async def test_nothing_changes_without_repair(harbour: Harbour) -> None:
    """Looking tells what would be done."""
    await rolled_back(harbour, "a.csv")
    assert await harbour.found() == await harbour.found() == ["rollback", "lost"]


async def test_a_rollback_has_to_be_accepted(harbour: Harbour) -> None:
    """A newer copy may still be somewhere."""
    [lost] = await rolled_back(harbour, "a.csv")
    with pytest.raises(RollbackError, match="older copy"):
        await harbour.check(repair=True)
    with pytest.raises(DatabaseRolledBackError):
        await states(harbour, lost)


async def test_objects_without_an_action_do_not_fire_again(harbour: Harbour) -> None:
    """They are still in the bucket; the journal remembers them as seen."""
    [lost] = await rolled_back(harbour, "a.csv", action="NONE")
    await harbour.check(repair=True, accept=True)
    assert await states(harbour, lost) == (DetectionState.DONE, ExecutionState.FAILED)
    async with harbour.journal() as journal:
        rows = await journal.database.read(
            lambda tx: tx.all("seen_between", trigger_key=str(TRIGGER), bucket="harbour", first="", last="~")
        )
    assert [row["object_key"] for row in rows if row["object_key"] == "a.csv"] == ["a.csv"]


async def test_two_contents_of_one_key(harbour: Harbour) -> None:
    """The earlier one had ended when the later one was claimed."""
    earlier, later = await rolled_back(harbour, "a.csv", "a.csv")
    await harbour.check(repair=True, accept=True)
    assert [(await states(harbour, lost))[0] for lost in (earlier, later)] == ["DONE", "STORED"]


async def test_a_claim_that_was_read_since(harbour: Harbour) -> None:
    """The older copy has it as claimed; it was executed since, so it is not read and executed again."""
    async with harbour.journal() as journal:
        [detection] = await Intake(journal).claim("a.csv")
    copy = harbour.copy()
    async with harbour.journal() as journal:
        await harbour.store(journal, detection)
    harbour.put_back(copy)

    await harbour.check(repair=True, accept=True)

    assert await states(harbour, detection) == (DetectionState.STORED, ExecutionState.FAILED)


async def test_a_batch_that_was_half_read(harbour: Harbour) -> None:
    """The execution may have run on what was read; what was not read gets an execution of its own."""
    async with harbour.journal() as journal:
        first, second = await Intake(journal).claim("a.csv", "b.csv", batch=2)
        await harbour.store(journal, first)

    await harbour.check(repair=True, accept=True)

    assert await states(harbour, first) == (DetectionState.STORED, ExecutionState.FAILED)
    async with harbour.journal() as journal:
        row = await journal.detections.get(second.id)
    assert row is not None
    assert (row.state, row.batch_id == first.batch_id) == (DetectionState.CLAIMED, False)


@pytest.mark.parametrize("started", [False, True])
async def test_live_executions_of_an_older_journal(harbour: Harbour, started: bool) -> None:
    """They may have run since; replaying them is for somebody to decide."""
    async with harbour.journal() as journal:
        detection = await harbour.take(journal, "a.csv")
        await journal.detections.done(detection, removed=True)
        execution = await journal.executions.get(detection.execution_id)
        assert execution is not None
        if started:
            await journal.executions.start(execution)

    assert await harbour.found(repair=True, accept=True) == ["execution"]

    assert await states(harbour, detection) == (DetectionState.DONE, ExecutionState.FAILED)
    async with harbour.journal() as journal:
        ended: Any = await journal.executions.get(execution.id)
        assert "replay" in ended.error
        replay: Execution = await journal.executions.replay(ended, execution_id("x"))
    assert replay.state is ExecutionState.CREATED


async def test_repairing_twice_is_repairing_once(harbour: Harbour) -> None:
    """A crash between repair and exit does no harm."""
    await rolled_back(harbour, "a.csv", "b.csv")
    async with database_at(harbour.database) as database:
        fsck = Fsck(database, await Journal.over(database), harbour.storage, accept_rollback=True)
        found = await fsck.examine()
        await fsck.repair(found)
        await fsck.repair(found)
    assert await harbour.found() == []


async def test_damaged_bytes_are_told(harbour: Harbour) -> None:
    """Neither missing nor changed bytes can be repaired, and are not hidden."""
    async with harbour.journal() as journal:
        missing, changed = [await harbour.run(journal, key) for key in ("a.csv", "b.csv")]
    harbour.storage.object_path(TRIGGER, missing).unlink()
    harbour.storage.object_path(TRIGGER, changed).write_text("x")
    findings = (await harbour.check(repair=True)).findings
    assert [(finding.kind, finding.repair) for finding in findings] == [("bytes", None), ("bytes", None)]
    assert ["missing" in findings[0].message, "different" in findings[1].message] == [True, True]


async def test_lost_and_damaged_is_not_restored(harbour: Harbour) -> None:
    """What is not what was read is not taken for it, and not removed either."""
    [lost] = await rolled_back(harbour, "a.csv")
    harbour.storage.object_path(TRIGGER, lost).write_text("x")
    assert await harbour.found(repair=True, accept=True) == ["rollback", "bytes"]
    assert harbour.storage.object_path(TRIGGER, lost).exists()


async def test_a_manifest_of_nonsense_is_told(harbour: Harbour) -> None:
    """A broken manifest stops neither the others from being read, nor is it thrown away."""
    [lost] = await rolled_back(harbour, "a.csv")
    manifest = harbour.storage.object_path(TRIGGER, lost).with_name("manifest.json")
    manifest.write_text('{"id": 1, "stored": {"sha256": [], "version_id": null}}')
    assert await harbour.found(repair=True, accept=True) == ["rollback", "manifest"]
    assert manifest.exists()


async def test_leftovers_are_removed(harbour: Harbour) -> None:
    """Files of interrupted writes go; an object whose own file is called like one stays."""
    async with harbour.journal() as journal:
        detection, kept = [await harbour.run(journal, key) for key in ("a.csv", "b.tmp")]
    folder = harbour.storage.object_path(TRIGGER, detection).parent
    (folder / "data.tmp").write_text("half")
    (folder / f"manifest.json.{'0' * 26}.tmp").write_text("half")
    assert await harbour.found(repair=True) == ["temporary", "temporary"]
    assert sorted(path.name for path in folder.iterdir()) == ["data.csv", "manifest.json"]
    assert harbour.storage.object_path(TRIGGER, kept).exists()


async def test_a_forgotten_folder_is_removed_not_restored(harbour: Harbour) -> None:
    """Retention was killed between the rows and the files: nothing was lost."""
    async with harbour.journal() as journal:
        detection = await harbour.run(journal, "a.csv")
        folder = harbour.storage.root / execution_folder("demo", "orders", detection.execution_id)
        harbour.storage.forgetting(folder)
        execution = await journal.executions.get(detection.execution_id)
        assert execution is not None
        await journal.executions.forget(execution)
    assert await harbour.found(repair=True) == ["unknown"]
    assert not folder.exists()
    assert await states(harbour, detection) == (None, None)


async def test_an_unread_batch_is_forgotten_with_its_folder(harbour: Harbour) -> None:
    """What ended before it was read never gets an execution, and is not kept for ever."""
    async with harbour.journal() as journal:
        gone, live = await Intake(journal).claim("a.csv", "b.csv")
        folder = harbour.storage.object_path(TRIGGER, gone).parent
        folder.mkdir(parents=True)
        await journal.detections.close(source(), gone, DetectionState.GONE, "404")
        await Retention(journal, harbour.storage, timedelta(0), None).step()
        assert [row.id for row in await journal.detections.everything()] == [live.id]
    assert not folder.exists()


async def test_a_journal_that_is_lost_altogether(harbour: Harbour) -> None:
    """Everything that has a manifest is in the new one, with a flow revision that it will have."""
    async with harbour.journal() as journal:
        for text in ("one", "two", "three"):
            revision = await journal.triggers.register("demo", "orders", text)
        [detection] = await Intake(journal, source(revision=revision)).claim("a.csv")
        await harbour.store(journal, detection)
    for path in harbour.state.glob("tidewaiter.db*"):
        path.unlink()

    assert await harbour.found(repair=True, accept=True) == ["rollback", "lost"]

    async with harbour.journal() as journal:
        execution = await journal.executions.get(detection.execution_id)
    assert execution is not None
    assert (execution.flow_revision, execution.state) == (1, ExecutionState.FAILED)
