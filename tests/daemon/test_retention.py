"""What ended long ago is forgotten; nothing else is."""

from datetime import timedelta
from typing import Any

import pytest

from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.records import DetectionState, Execution, ExecutionState
from tidewaiter.daemon.retention import Retention
from tidewaiter.daemon.storage import FORGOTTEN, Storage, execution_folder

NOW = timedelta(0)


@pytest.fixture
def storage(tmp_path: Any) -> Storage:
    """An empty internal storage."""
    return Storage(tmp_path / "storage")


async def ended(intake: Any, storage: Storage, state: ExecutionState, key: str = "raw/a.csv") -> Execution:
    """An execution that has ended, with a file."""
    execution: Execution = await intake.deliver(key)
    folder = storage.root / execution_folder(execution.namespace, execution.flow_id, execution.id)
    folder.mkdir(parents=True)
    (folder / "data.csv").write_text("x")
    await intake.journal.executions.end(execution.id, state)
    return execution


async def test_an_expired_success_goes_with_its_files(intake: Any, journal: Journal, storage: Storage) -> None:
    """Rows and files of an execution that ended before the limit are deleted."""
    execution = await ended(intake, storage, ExecutionState.SUCCESS)

    await Retention(journal, storage, NOW, None).step()

    assert await journal.executions.get(execution.id) is None
    assert await journal.detections.batch(execution.batch_id) == []
    assert list(storage.root.rglob("*.csv")) == []


async def test_failures_stay_unless_told(intake: Any, journal: Journal, storage: Storage) -> None:
    """A failed execution is kept for somebody to replay."""
    execution = await ended(intake, storage, ExecutionState.FAILED)

    await Retention(journal, storage, NOW, None).step()

    assert await journal.executions.get(execution.id) is not None


async def test_young_ones_stay(intake: Any, journal: Journal, storage: Storage) -> None:
    """An execution younger than the limit is kept."""
    execution = await ended(intake, storage, ExecutionState.SUCCESS)

    await Retention(journal, storage, timedelta(hours=1), None).step()

    assert await journal.executions.get(execution.id) is not None


async def test_an_original_stays_while_its_replay_lives(intake: Any, journal: Journal, storage: Storage) -> None:
    """The bytes of an object are kept while a replay of its execution may still read them."""
    execution = await ended(intake, storage, ExecutionState.SUCCESS)
    await journal.executions.replay(execution, "replay")

    await Retention(journal, storage, NOW, NOW).step()

    assert await journal.executions.get(execution.id) is not None


async def test_a_blocked_action_keeps_its_execution(intake: Any, journal: Journal, storage: Storage) -> None:
    """While an object still waits for its action, the copy here may be the one to archive."""
    [detection] = await intake.claim("raw/a.csv")
    await intake.store(detection)
    await journal.detections.block(detection, "403")
    await journal.executions.end(detection.execution_id, ExecutionState.SUCCESS)

    await Retention(journal, storage, NOW, NOW).step()

    assert await journal.executions.get(detection.execution_id) is not None


async def test_the_next_step_is_due_in_an_hour(journal: Journal, storage: Storage) -> None:
    """With nothing to forget there is no hurry."""
    assert await Retention(journal, storage, NOW, NOW).step() == timedelta(hours=1)


async def test_what_never_got_an_execution_is_forgotten(intake: Any, journal: Journal, storage: Storage) -> None:
    """An object that was gone before it was read leaves no row; one of a batch that is still to be read stays."""
    [gone] = await intake.claim("raw/gone.csv")
    vanished, live = await intake.claim("raw/vanished.csv", "raw/live.csv", batch=2)
    for detection in (gone, vanished):
        await journal.detections.close(intake.source, detection, DetectionState.GONE, "404")

    await Retention(journal, storage, NOW, NOW).step()

    assert [row.id for row in await journal.detections.everything()] == [vanished.id, live.id]


async def test_what_is_being_forgotten_is_marked(intake: Any, journal: Journal, storage: Storage) -> None:
    """A crash before the folder is removed leaves it so that nobody takes it for something the journal lost."""
    execution = await ended(intake, storage, ExecutionState.SUCCESS)
    folder = storage.root / execution_folder(execution.namespace, execution.flow_id, execution.id)

    storage.forgetting(folder)
    storage.forgetting(folder / "not there")

    assert (folder / FORGOTTEN).exists()


async def test_what_is_needed_after_all_is_not_left_marked(intake: Any, journal: Journal, storage: Storage) -> None:
    """A replay that came in between keeps the rows; should the journal be lost, the files must count, too."""
    execution = await ended(intake, storage, ExecutionState.SUCCESS)
    folder = storage.root / execution_folder(execution.namespace, execution.flow_id, execution.id)

    storage.forgetting(folder)
    storage.keeping(folder)
    storage.keeping(folder / "not there")

    assert not (folder / FORGOTTEN).exists()
