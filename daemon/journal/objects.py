"""Objects as an operator sees them: every detection with what became of it, and those that need a hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidewaiter.daemon.database import Database, Transaction
from tidewaiter.daemon.records import Detection, TriggerKey, now
from tidewaiter.triggers.settle import suffixed, suffixed_for


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    Which objects to list: in *state*, found by *trigger*, at *key* or with keys that begin with *prefix*; None means
    any.
    """

    state: str | None = None
    trigger: TriggerKey | None = None
    prefix: str | None = None
    key: str | None = None
    limit: int = 100


class Objects:
    """Reads of detections and their routes together, and the two ways to take an object up again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, wanted: Wanted) -> list[Mapping[str, Any]]:
        """
        Rows of objects, newest first. *state* is the detection's, but ``QUARANTINED`` for one that lies where failures
        go and ``ACTION_BLOCKED`` for one whose execution went before its action.
        """
        return await self._rows(
            state=wanted.state,
            trigger_key=str(wanted.trigger) if wanted.trigger else None,
            prefix=wanted.prefix,
            key=wanted.key,
            limit=wanted.limit,
        )

    async def find(self, beginning: str) -> list[Mapping[str, Any]]:
        """Rows of objects whose id begins so: none, the one meant, or two to show that more is needed."""
        return await self._rows(first=beginning, last=f"{beginning}~", limit=2)

    async def quarantined(self) -> dict[str, int]:
        """For each trigger how many objects lie where failures go."""
        rows = await self._database.read(lambda tx: tx.all("count_quarantined"))
        return {row["trigger_key"]: row["number"] for row in rows}

    async def release(self, detection: Detection, moment: int) -> bool:
        """PARKED → SUPERSEDED, so that the next look takes the object as new. False if it is not parked."""

        def work(tx: Transaction) -> bool:
            won = tx.run("release_detection", id=detection.id, ended_seq=moment, updated_at=now())
            if won:
                tx.run("delete_seen", trigger_key=detection.trigger, bucket=detection.bucket, object_key=detection.key)
            return bool(won)

        return await self._database.write(work)

    async def hasten(self, detection: Detection) -> bool:
        """Try the next step of a claim that keeps failing now; False if there is nothing to wait for."""
        return bool(await self._database.write(lambda tx: tx.run("hasten_detection", id=detection.id, now=now())))

    async def reconsider(self, trigger: TriggerKey, flow_revision: int) -> None:
        """Let parked objects be looked at once more: the flow that parked them has been changed since."""
        await self._database.write(
            lambda tx: tx.run("reconsider_parked", trigger_key=str(trigger), flow_revision=flow_revision, now=now())
        )

    async def shares_copy(self, detection: Detection) -> bool:
        """Whether another object is, or will be, archived by the copy of *detection*: the same bytes count as one."""
        where = {"dest_bucket": detection.dest_bucket, "dest_key": detection.dest_key, "sha256": detection.sha256}
        row = await self._database.read(lambda tx: tx.one("shared_copy", **where, id=detection.id))
        return row is not None

    async def bound_for(self, bucket: str, key: str) -> bool:
        """
        Whether *bucket*/*key* is where an object was or is to be stored, under its own name or that with the suffix.
        """
        parameters = {"bucket": bucket, "object_key": key, "id": suffixed_for(key) or ""}
        rows = await self._database.read(lambda tx: tx.all("bound_for", **parameters))
        return any(key in {row["dest_key"], suffixed(row["dest_key"], row["id"])} for row in rows)

    async def _rows(self, **chosen: Any) -> list[Mapping[str, Any]]:
        nothing = dict.fromkeys(("state", "trigger_key", "prefix", "key", "first", "last"))
        rows = await self._database.read(lambda tx: tx.all("list_objects", **{**nothing, **chosen}))
        return [dict(zip(row.keys(), tuple(row), strict=True)) for row in rows]
