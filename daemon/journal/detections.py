"""Claims on objects, and what became of them (reliability.md §3)."""

import itertools
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tidewaiter.daemon.database import Database, Row, Transaction
from tidewaiter.daemon.journal.claims import Claim, Comparison, Listed, Source, absences, arrival
from tidewaiter.daemon.journal.launches import Launch, launch
from tidewaiter.daemon.journal.rows import detection_of, detection_row
from tidewaiter.daemon.records import Detection, DetectionState, TriggerKey, execution_id, new_id, now, timestamp
from tidewaiter.triggers.bucket import S3Object

_LAST = "\U0010ffff"
_PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How many objects of a batch are still to be read and how many have been. While any is left there is no execution
    yet, and nothing may be moved or deleted (reliability.md §0.2).
    """

    to_read: int
    read: int


@dataclass(frozen=True, slots=True)
class Standing:
    """
    Where a trigger stands: the first of its unfinished detections that are due, how many are *failing* and when the
    next of these is due, how many executions it has ahead of it, how many failed ones wait to be tried again, whether
    it is paused, and whether its first look is over.
    """

    live: list[Detection]
    failing: int
    next_try: str | None
    batches: int
    waiting: int
    paused: bool
    begun: bool


class Detections:
    """Every read and write of detections; see `tidewaiter.daemon.records.DetectionState`."""

    def __init__(self, database: Database, ended: int) -> None:
        self._database = database
        self._clock = itertools.count(ended + 1)

    @classmethod
    async def over(cls, database: Database) -> "Detections":
        """Go on counting where the last process stopped."""
        row = await database.read(lambda tx: tx.one("last_ended"))
        return cls(database, row["value"] if row else 0)

    def moment(self) -> int:
        """
        Take a number before a listing begins. A claim that ended at a later number makes what that listing shows of
        its key stale (reliability.md §3.2 step 1). One process owns the journal, so counting in memory orders the
        two.
        """
        return next(self._clock)

    async def compare(self, trigger: TriggerKey, listed: Listed, meant: Sequence[S3Object], poll: int) -> Comparison:
        """
        Compare part of a listing with the journal. *meant* are the listed objects that the trigger means, in key
        order; *poll* is the `moment` the listing began. Changes nothing.
        """
        span: dict[str, Any] = {
            "trigger_key": str(trigger),
            "bucket": listed.bucket,
            "first": listed.first,
            "last": listed.last or _LAST,
        }

        def work(tx: Transaction) -> Comparison:
            seen = {row["object_key"]: row for row in tx.all("seen_between", **span)}
            if not meant:
                return Comparison([], absences(listed, seen))
            live = {row["object_key"]: row for row in tx.all("live_between", **span)}
            stale = {row["object_key"] for row in tx.all("ended_since", **span, poll_seq=poll)}
            found = (arrival(item, seen.get(item.key), live.get(item.key)) for item in meant if item.key not in stale)
            return Comparison([arrival for arrival in found if arrival], absences(listed, seen))

        return await self._database.read(work)

    async def claim(self, source: Source, batches: Iterable[Sequence[Claim]]) -> list[Detection]:
        """
        Claim objects, one batch for each future execution; an object claimed meanwhile is left out. All or nothing on
        error.

        The claim is the row: unique by trigger, bucket and key while it lives.
        """
        batches = list(batches)
        # Ids made in one millisecond are in no order; executions start in the order of their batches' ids.
        rows = [
            (claim, detection_row(source, claim, batch_id, ordinal))
            for batch_id, batch in zip(sorted(new_id() for _ in batches), batches, strict=True)
            for ordinal, claim in enumerate(batch)
        ]

        def work(tx: Transaction) -> list[Detection]:
            claimed = []
            for claim, row in rows:
                if claim.arrival.yields:
                    tx.run("yield_detection", id=claim.arrival.yields, ended_seq=self.moment(), updated_at=now())
                if tx.run("insert_detection", **row):
                    _remember(tx, str(source.trigger), claim.arrival.object)
                    claimed.append(detection_of(row))
            return claimed

        return await self._database.write(work)

    async def remember(self, trigger: TriggerKey, objects: Iterable[S3Object]) -> None:
        """
        Note objects that do not fire (``on: UPDATE`` and new, ``on: CREATE`` and changed), to tell later changes from
        them.
        """

        def work(tx: Transaction) -> None:
            for item in objects:
                _remember(tx, str(trigger), item)

        await self._database.write(work)

    async def forget_absent(self, trigger: TriggerKey, bucket: str, absences: dict[str, int]) -> None:
        """
        Record *absences* of a complete listing; what two in a row did not show is forgotten (reliability.md §3.5), and
        what was parked there is GONE.
        """

        def work(tx: Transaction) -> None:
            for key, count in absences.items():
                name = "delete_seen" if count > 1 else "set_absent"
                extra = {} if count > 1 else {"absent": count}
                tx.run(name, trigger_key=str(trigger), bucket=bucket, object_key=key, **extra)
                if count > 1:
                    tx.run(
                        "vanish_detection", trigger_key=str(trigger), bucket=bucket, object_key=key, updated_at=now()
                    )

        if absences:
            await self._database.write(work)

    async def forget_unread(self, before: str, limit: int) -> list[tuple[TriggerKey, str]]:
        """
        Delete detections that ended before that moment in batches that will never have an execution. Gives trigger and
        execution id of each of these batches.
        """

        def work(tx: Transaction) -> list[tuple[TriggerKey, str]]:
            batches = tx.all("unread_batches", before=before, limit=limit)
            for batch in batches:
                tx.run("delete_detections", batch_id=batch["batch_id"])
            return [(TriggerKey.parse(row["trigger_key"]), execution_id(row["batch_id"])) for row in batches]

        return await self._database.write(work)

    async def get(self, identifier: str) -> Detection | None:
        """The detection with that id, or None."""
        row = await self._database.read(lambda tx: tx.one("detection", id=identifier))
        return detection_of(row) if row else None

    async def gone_before(self, detection: Detection) -> bool:
        """Whether the same content was claimed before and was not there: the listing shows what cannot be read."""
        same = {"object_key": detection.key, "etag": detection.etag, "last_modified": detection.last_modified}
        where = {"trigger_key": detection.trigger, "bucket": detection.bucket}
        return await self._database.read(lambda tx: tx.one("gone_before", **where, **same) is not None)

    async def everything(self) -> list[Detection]:
        """Every detection there is, oldest first."""
        return [detection_of(row) for row in await self._database.read(lambda tx: tx.all("all_detections"))]

    async def standing(self, trigger: TriggerKey, limit: int = 256) -> Standing:
        """
        Give where *trigger* stands; at most *limit* detections, oldest batch first, since there may be very many.
        Executions that have ended do not count.
        """
        named = {"trigger_key": str(trigger)}

        def work(tx: Transaction) -> Standing:
            failing = tx.one("failing_detections", **named, now=now())
            status = tx.one("trigger_standing", **named)
            return Standing(
                live=[detection_of(row) for row in tx.all("due_detections", **named, now=now(), limit=limit)],
                failing=_number(failing),
                next_try=failing["next_try"] if failing else None,
                batches=_number(tx.one("live_batches", **named)),
                waiting=_number(tx.one("waiting_executions", **named)),
                paused=bool(status and status["paused"]),
                begun=bool(status and status["begun_at"]),
            )

        return await self._database.read(work)

    async def unfinished(self, identifiers: Collection[str]) -> set[str]:
        """Give those of *identifiers* whose detections still need something."""
        ids = json.dumps(list(identifiers))
        rows = await self._database.read(lambda tx: tx.all("unfinished_detections", ids=ids))
        return {row["id"] for row in rows}

    async def live_triggers(self) -> dict[TriggerKey, int]:
        """Triggers with live detections, and the newest flow revision these were claimed under."""
        rows = await self._database.read(lambda tx: tx.all("live_triggers"))
        return {TriggerKey.parse(row["trigger_key"]): row["flow_revision"] for row in rows}

    async def untouched(self, triggers: Collection[TriggerKey]) -> bool:
        """Whether claims of any of *triggers* have work left that has not failed yet."""
        rows = await self._database.read(lambda tx: tx.all("untouched_triggers"))
        return any(TriggerKey.parse(row["trigger_key"]) in triggers for row in rows)

    async def batch(self, batch_id: str) -> list[Detection]:
        """The detections of one execution, in key order."""
        rows = await self._database.read(lambda tx: tx.all("batch_detections", batch_id=batch_id))
        return [detection_of(row) for row in rows]

    async def counts(self) -> dict[str, dict[str, int]]:
        """For each trigger how many detections are in each state; blocked ones count as ``ACTION_BLOCKED``."""
        rows = await self._database.read(lambda tx: tx.all("count_detections"))
        counts: dict[str, dict[str, int]] = {}
        for row in rows:
            states = counts.setdefault(row["trigger_key"], {})
            state = "ACTION_BLOCKED" if row["blocked"] else row["state"]
            states[state] = states.get(state, 0) + row["number"]
        return counts

    async def progress(self, batch_id: str) -> Progress:
        """How far the objects of a batch have been read."""
        count = await self._database.read(lambda tx: tx.one("count_batch", batch_id=batch_id))
        return Progress(count["claimed"] or 0, count["stored"] or 0) if count else Progress(0, 0)

    async def stored(
        self, source: Source, detection: Detection, *, uri: str, sha256: str, version_id: str | None
    ) -> bool:
        """
        CLAIMED → STORED; without an action on to DONE. The last of its batch creates the execution in the same
        transaction: from here on the object cannot be without one (reliability.md §3.2 step 3).
        """
        ended = detection.action == "NONE"
        state = DetectionState.DONE if ended else DetectionState.STORED

        def work(tx: Transaction) -> bool:
            won = tx.run(
                "store_detection",
                id=detection.id,
                state=state,
                uri=uri,
                sha256=sha256,
                version_id=version_id,
                ended_seq=self.moment() if ended else None,
                updated_at=now(),
            )
            return bool(won) and self._launch(tx, source, detection.batch_id)

        return await self._database.write(work)

    async def copied(self, detection: Detection, bucket: str, key: str, etag: str | None) -> bool:
        """STORED → COPIED: the archived copy, with that ETag if the store told it, is at *bucket*/*key*."""
        copy = {"dest_bucket": bucket, "dest_key": key, "dest_etag": etag}
        return bool(
            await self._database.write(lambda tx: tx.run("copy_detection", id=detection.id, **copy, updated_at=now()))
        )

    async def done(self, detection: Detection, *, removed: bool, remark: str | None = None) -> bool:
        """
        → DONE, letting the execution go. *removed*: the key is free now, so whatever comes there next is new. *remark*
        is kept with it: what its action could not do, and need not any more.
        """

        def work(tx: Transaction) -> bool:
            won = tx.run("finish_detection", id=detection.id, remark=remark, ended_seq=self.moment(), updated_at=now())
            if won and removed:
                tx.run("delete_seen", trigger_key=detection.trigger, bucket=detection.bucket, object_key=detection.key)
            return bool(won) and self._release(tx, detection.batch_id)

        return await self._database.write(work)

    async def park(self, source: Source, detection: Detection, *, next_try: str, error: str) -> bool:
        """
        CLAIMED → PARKED until *next_try*: this object will not be part of its execution; the others go on without it.
        """

        def work(tx: Transaction) -> bool:
            won = self._close(tx, detection.id, DetectionState.PARKED, error, next_try)
            return won and self._launch(tx, source, detection.batch_id)

        return await self._database.write(work)

    async def close(self, source: Source, detection: Detection, state: DetectionState, error: str) -> bool:
        """CLAIMED → SUPERSEDED or GONE: this object will not be part of its execution; the others go on without it."""

        def work(tx: Transaction) -> bool:
            won = self._close(tx, detection.id, state, error)
            # Content that nobody read leaves no trace: whatever is at the key next is a creation still.
            unread = state is DetectionState.SUPERSEDED and detection.change_type == "CREATE"
            if won and (state is DetectionState.GONE or unread):
                tx.run("delete_seen", trigger_key=detection.trigger, bucket=detection.bucket, object_key=detection.key)
            return won and self._launch(tx, source, detection.batch_id)

        return await self._database.write(work)

    async def postpone(self, source: Source, detection: Detection, *, next_try: str, error: str) -> None:
        """
        Note a failed step, to be tried again at *next_try*. An object that keeps failing to be read leaves its batch,
        so that the others need not wait for it.
        """

        def work(tx: Transaction) -> None:
            tx.run("postpone_detection", id=detection.id, next_try=next_try, error=error, updated_at=now())
            leaving = detection.state is DetectionState.CLAIMED and detection.attempts + 1 >= _PATIENCE
            if leaving and tx.run("leave_batch", id=detection.id, batch_id=detection.batch_id, new_batch_id=new_id()):
                self._launch(tx, source, detection.batch_id)

        await self._database.write(work)

    async def block(self, detection: Detection, error: str) -> bool:
        """
        Let the execution go before its action, which keeps being tried (ACTION_BLOCKED, reliability.md §3.2 "Gate").
        """

        def work(tx: Transaction) -> bool:
            won = tx.run("block_detection", id=detection.id, error=error, updated_at=now())
            return bool(won) and self._release(tx, detection.batch_id)

        return await self._database.write(work)

    def _close(
        self, tx: Transaction, identifier: str, state: DetectionState, error: str, next_try: str | None = None
    ) -> bool:
        ended = None if state is DetectionState.PARKED else self.moment()
        values = {"state": state, "error": error, "next_try": next_try, "ended_seq": ended}
        return bool(tx.run("close_detection", id=identifier, **values, updated_at=now()))

    def _launch(self, tx: Transaction, source: Source, batch_id: str) -> bool:
        """
        Create the execution of a batch when none of its objects is still to be read and at least one has been. A marker
        that is left without objects is given back: what comes in their place needs it.
        """
        count = tx.one("count_batch", batch_id=batch_id)
        if count is None or count["claimed"] or not count["stored"]:
            if count is not None and not count["claimed"]:
                self._give_back_marker(tx, batch_id)
            return True
        order = Launch(source.trigger, source.trigger_type, source.flow_revision, batch_id, held=bool(count["waiting"]))
        launch(tx, execution_id(batch_id), order)
        return True

    def _give_back_marker(self, tx: Transaction, batch_id: str) -> None:
        for row in tx.all("batch_markers", batch_id=batch_id):
            if tx.run("give_back_marker", id=row["id"], ended_seq=self.moment(), updated_at=now()):
                place = {"bucket": row["bucket"], "object_key": row["object_key"]}
                tx.run("delete_seen", trigger_key=row["trigger_key"], **place)

    def _release(self, tx: Transaction, batch_id: str) -> bool:
        count = tx.one("count_batch", batch_id=batch_id)
        if count is not None and not count["waiting"]:
            tx.run("release_execution", batch_id=batch_id)
        return True


def _number(row: Row | None) -> int:
    return int(row["number"]) if row else 0


def _remember(tx: Transaction, trigger: str, item: S3Object) -> None:
    tx.run(
        "upsert_seen",
        trigger_key=trigger,
        bucket=item.bucket,
        object_key=item.key,
        etag=item.etag,
        last_modified=timestamp(item.last_modified),
    )
