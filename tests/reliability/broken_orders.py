"""
Orders of steps that are wrong on purpose, one at a time: what a rig that finds nothing is held against.

Each is applied to the product's classes in a process of its own, which then goes on as the daemon (see
`reliability.forkserver`). The product knows nothing of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from reliability.crash_audit import Harm

from tidewaiter.daemon.custody import Custody
from tidewaiter.daemon.journal.detections import Detections
from tidewaiter.daemon.journal.executions import Executions
from tidewaiter.daemon.records import TaskRunState
from tidewaiter.daemon.taskruns import TaskRuns
from tidewaiter.triggers import settle
from tidewaiter.triggers.bucket import Removal


def _claim_is_final() -> None:
    _at_start("UPDATE detection SET state = 'DONE' WHERE state = 'CLAIMED'")


def _recovery_begins_anew() -> None:
    _at_start(
        "UPDATE detection SET state = 'CLAIMED', uri = NULL, batch_id = batch_id || 'X' "
        "WHERE state IN ('STORED', 'COPIED')"
    )


def _at_start(statement: str) -> None:
    """Have *statement* executed when the journal is opened."""
    original: Any = Detections.over

    async def over(_cls: type[Detections], database: Any) -> Detections:
        await database.write(lambda tx: tx.connection.execute(statement))
        return await original(database)

    _replace(Detections, "over", classmethod(over))


def _removal_before_bytes() -> None:
    original = Custody._store

    async def store(self: Custody, detection: Any) -> bool:
        async def remove() -> None:
            await settle.remove(self.bucket, detection.object, self.capabilities)

        return await original(replace(self, storage=_Late(self.storage, remove)), detection)

    _replace(Custody, "_store", store)


@dataclass(frozen=True)
class _Late:
    """Internal storage that keeps nothing before *first* is done."""

    storage: Any
    first: Callable[[], Any]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.storage, name)

    async def keep(self, *arguments: Any) -> str:
        await self.first()
        return await self.storage.keep(*arguments)


def _execution_after_action() -> None:
    launch, remove = Detections._launch, Custody._remove

    async def removed(self: Custody, detection: Any) -> None:
        def work(tx: Any) -> None:
            launch(self.detections, tx, self.source, detection.batch_id)
            self.detections._release(tx, detection.batch_id)

        await remove(self, detection)
        await self.detections._database.write(work)

    _replace(Detections, "_launch", lambda *_: True)
    _replace(Custody, "_remove", removed)


def _overwriting_archive() -> None:
    original = settle.archive

    async def archive(bucket: Any, listed: Any, custody: Any, move: Any, **options: Any) -> Any:
        return await original(bucket, listed, custody, replace(move, on_conflict="overwrite"), **options)

    _replace(settle, "archive", archive)


def _result_before_task() -> None:
    original = TaskRuns._guarded

    async def guarded(self: TaskRuns, task: Any, run: Any, branch: Any) -> Any:
        await self.situation.place.journal.executions.end_task(run, TaskRunState.SUCCESS, {}, None)
        return await original(self, task, run, branch)

    _replace(TaskRuns, "_guarded", guarded)


def _result_not_recorded() -> None:
    async def end_task(*_: Any) -> bool:
        return True

    _replace(Executions, "end_task", end_task)


def _unconditional_removal() -> None:
    async def remove(bucket: Any, listed: Any, *_: Any, **__: Any) -> Removal:
        await bucket.delete_unconditionally(listed.key)
        return Removal.REMOVED

    _replace(settle, "remove", remove)


def _replace(owner: Any, name: str, by: Any) -> None:
    setattr(owner, name, by)


@dataclass(frozen=True, slots=True)
class BrokenOrder:
    """
    A wrong order: what it *says* in one sentence, the *action* that shows it, the *harm* it must do. *in_tasks*: kills
    inside tasks show it soonest.
    """

    says: str
    action: str
    harm: Harm
    apply: Callable[[], None]
    in_tasks: bool = False


BROKEN_ORDERS: Mapping[str, BrokenOrder] = MappingProxyType(
    {
        "claim-is-final": BrokenOrder("an object counts as seen before it is read", "NONE", Harm.LOST, _claim_is_final),
        "removal-before-bytes": BrokenOrder(
            "the source is removed before the bytes are recorded", "DELETE", Harm.LOST, _removal_before_bytes
        ),
        "execution-after-action": BrokenOrder(
            "the execution is created in a transaction after the action", "DELETE", Harm.LOST, _execution_after_action
        ),
        "recovery-begins-anew": BrokenOrder(
            "a restart takes unfinished objects for new ones", "MOVE", Harm.DOUBLED, _recovery_begins_anew
        ),
        "overwriting-archive": BrokenOrder(
            "a move replaces what is at its destination", "MOVE", Harm.LOST, _overwriting_archive, in_tasks=True
        ),
        "result-before-task": BrokenOrder(
            "a task's result is recorded before it runs", "NONE", Harm.LOST, _result_before_task, in_tasks=True
        ),
        "result-not-recorded": BrokenOrder(
            "a task's result is not recorded when it ends", "NONE", Harm.REPEATED, _result_not_recorded, in_tasks=True
        ),
        "unconditional-removal": BrokenOrder(
            "whatever is at the key is removed", "DELETE", Harm.LOST, _unconditional_removal
        ),
    }
)


def break_order(name: str) -> None:
    """Have this process follow the wrong order *name* from now on."""
    BROKEN_ORDERS[name].apply()
