"""
What `tidewaiter fsck` reads from the journal as a whole, and puts back into it (reliability.md §3.4, C15).

Nothing here makes anything run: what was lost may have run before, so its execution ends FAILED, for somebody to
replay.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidewaiter.daemon.database import Database, Transaction
from tidewaiter.daemon.journal.launches import Launch, launch
from tidewaiter.daemon.records import Detection, DetectionState, ExecutionState, TriggerKey, new_id, now


@dataclass(frozen=True, slots=True)
class Lost:
    """A detection as its manifest in storage has it; *extra* holds what arrival rules took from its key."""

    detection: Detection
    trigger_type: str
    captures: Mapping[str, Any]
    marker: bool


@dataclass(frozen=True, slots=True)
class KnownExecution:
    """An execution as far as fsck needs it. *by_hand*: it never had objects."""

    state: ExecutionState
    by_hand: bool
    has_objects: bool


class Restoration:
    """Reads the journal as a whole, and restores what storage proves. For a process that has both to itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def executions(self) -> dict[str, KnownExecution]:
        """Every execution there is, by id."""
        rows = await self._database.read(lambda tx: tx.all("execution_states"))
        return {
            row["id"]: KnownExecution(
                ExecutionState(row["state"]), bool(row["without_objects"]), bool(row["has_objects"])
            )
            for row in rows
        }

    async def generation(self) -> int:
        """How many commits there have been."""
        row = await self._database.read(lambda tx: tx.one("fact", fact="generation"))
        return int(row["value"]) if row else 0

    async def restore(
        self, lost: Sequence[Lost], doubtful: Sequence[str], reason: str, *, generation: int | None
    ) -> None:
        """
        Put *lost* detections back: as STORED, so that their action is completed, or DONE where there is none or later
        content was claimed at the key. Their executions are there again, FAILED for *reason*, and so are the live ones
        with *doubtful* ids. The journal goes on counting from *generation*. One transaction; idempotent.
        """

        def work(tx: Transaction) -> None:
            for item in sorted(lost, key=lambda item: item.detection.id):
                _put_back(tx, item)
            for item in {item.detection.batch_id: item for item in lost}.values():
                _release_unread(tx, item.detection.batch_id)
                _insert_execution(tx, item)
            for identifier in {*doubtful, *(item.detection.execution_id for item in lost)}:
                tx.run("interrupt_task_runs", execution_id=identifier, now=now())
                tx.run("doubt_execution", id=identifier, now=now(), error=reason)
            if generation is not None:
                tx.run("set_fact", fact="generation", value=str(generation))

        await self._database.write(work)


def _put_back(tx: Transaction, lost: Lost) -> None:
    detection = lost.detection
    where = {"trigger_key": detection.trigger, "bucket": detection.bucket, "object_key": detection.key}
    moment = (tx.one("last_ended") or {"value": 0})["value"] + 1
    # Whatever lived at the key before ended before this was claimed: one claim lives at a key at a time.
    tx.run("end_older_claim", **where, id=detection.id, ended_seq=moment, updated_at=now())
    followed = tx.one("live_claim_after", **where, id=detection.id) is not None
    ended = followed or detection.action == "NONE"
    tx.run(
        "restore_detection",
        id=detection.id,
        batch_id=detection.batch_id,
        ordinal=detection.ordinal,
        flow_revision=_revision(tx, detection),
        etag=detection.etag,
        size=detection.size,
        last_modified=detection.last_modified,
        version_id=detection.version_id,
        change_type=detection.change_type,
        action=detection.action,
        state=DetectionState.DONE if ended else DetectionState.STORED,
        dest_bucket=detection.dest_bucket,
        dest_key=detection.dest_key,
        uri=detection.uri,
        sha256=detection.sha256,
        ended_seq=moment if ended else None,
        captures=json.dumps(dict(detection.captures)),
        marker=int(detection.marker),
        updated_at=now(),
        **where,
    )
    if not followed:
        tx.run("upsert_seen", **where, etag=detection.etag, last_modified=detection.last_modified)


def _release_unread(tx: Transaction, batch_id: str) -> None:
    """Let the objects of a batch that were not read go into executions of their own: these never ran."""
    for row in tx.all("unread_of_batch", batch_id=batch_id):
        tx.run("move_to_batch", id=row["id"], batch_id=new_id())


def _insert_execution(tx: Transaction, lost: Lost) -> None:
    detection = lost.detection
    order = Launch(TriggerKey.parse(detection.trigger), lost.trigger_type, _revision(tx, detection), detection.batch_id)
    launch(tx, detection.execution_id, order)


def _revision(tx: Transaction, detection: Detection) -> int:
    """Give a revision of the flow that there is: where the journal lost it, the one that is registered next."""
    trigger = TriggerKey.parse(detection.trigger)
    latest = tx.one("latest_flow", namespace=trigger.namespace, flow_id=trigger.flow_id)
    return min(detection.flow_revision, (latest["revision"] if latest else 0) + 1)
