"""
What the next look of a trigger would do, and why an object does or does not start an execution.

Looks with the same eyes as the daemon (`tidewaiter.daemon.claimer`), but claims, writes and removes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tidewaiter.daemon.claimer import Claimer, covers
from tidewaiter.daemon.control import NotFoundError
from tidewaiter.daemon.gathering import Look
from tidewaiter.daemon.journal.claims import Claim, Listed
from tidewaiter.daemon.journal.detections import Standing
from tidewaiter.daemon.journal.objects import Wanted
from tidewaiter.daemon.records import DetectionState, ExecutionState, TriggerKey, execution_id, timestamp
from tidewaiter.daemon.watch import Port, Watch, checked_trigger, room_for, rules_of
from tidewaiter.triggers.bucket import Bucket, S3Object
from tidewaiter.triggers.manifests import Manifests
from tidewaiter.triggers.rules import Found, Kind, Rules, Verdict
from tidewaiter.triggers.s3 import BucketTrigger

_MOST_SHOWN = 1000
_LATEST = 5


@dataclass(frozen=True, slots=True)
class Preview:
    """Previews of the triggers that *watches* gives."""

    port: Port
    watches: Callable[[], Mapping[TriggerKey, Watch]]

    def watch(self, text: str) -> Watch:
        """
        Give the trigger that a user calls *text*.

        Raises:
            NotFoundError: none or several are called so.
        """
        found = [watch for key, watch in self.watches().items() if key.answers_to(text)]
        if len(found) != 1:
            reason = f"several triggers are called '{text}'" if found else f"no flow has a trigger '{text}'"
            raise NotFoundError(reason, "name it as namespace/flow/trigger, and its folder of flows with --flows")
        return found[0]

    async def plan(self, watch: Watch) -> dict[str, Any]:
        """
        Say what the next look of a trigger would claim, in which batches, where each object would go, and what stays.

        Raises:
            TidewaiterError: the trigger cannot look now, for the reason given.
        """
        view = await self._view(watch)
        stays = _Stays()
        async with self.port.connect(view.spec.connection(), view.spec.bucket) as bucket:
            look = await view.claimer(stays.note).look(bucket, view.room, to_the_end=True)
        return _plan(view, look, stays)

    async def explain(self, watch: Watch, key: str) -> dict[str, Any]:
        """
        Say in one answer whether the object at *key* starts an execution at the next look, and if not, why.

        Raises:
            TidewaiterError: the trigger cannot look now, for the reason given.
        """
        view = await self._view(watch)
        rows = await self.port.journal.objects.newest(Wanted(trigger=watch.key, key=key, limit=_LATEST))
        async with self.port.connect(view.spec.connection(), view.spec.bucket) as bucket:
            listed, at = await _find(bucket, key)
            answer = await self._answer(replace(view, at=at), bucket, key, listed, rows)
        return {
            "trigger": str(watch.key),
            "bucket": view.spec.bucket,
            "key": key,
            "fires": answer.fires,
            "answer": answer.text,
            "rule": answer.rule,
            "object": _listed(listed) if listed else None,
            "history": [_past(row) for row in rows],
        }

    async def _view(self, watch: Watch) -> "_View":
        spec = checked_trigger(watch, self.port)
        standing = await self.port.journal.detections.standing(watch.key)
        return _View(watch, spec, rules_of(spec, watch, self.port), standing, self.port)

    async def _answer(
        self, view: "_View", bucket: Bucket, key: str, listed: S3Object | None, rows: Sequence[Mapping[str, Any]]
    ) -> "_Answer":
        if not covers(view.spec, key):
            return _Answer(fires=False, text=_out_of_sight(view.spec), rule="prefix")
        if listed is None:
            return _Answer(fires=False, text="there is no object at the key now", rule="key")
        detections = self.port.journal.detections
        alone = Listed(bucket.name, (listed,), key, key, lambda _key: True)
        compared = await detections.compare(view.watch.key, alone, [listed], detections.moment())
        if not compared.arrivals:
            return _Answer(fires=False, text=await self._known(rows), rule="journal")
        return await self._news(view, bucket, listed, compared.arrivals[0].change_type)

    async def _news(self, view: "_View", bucket: Bucket, listed: S3Object, change: str) -> "_Answer":
        """Explain an object that nobody has claimed."""
        verdict = view.rules.judge(listed, view.at)
        if view.spec.on not in {change, "CREATE_OR_UPDATE"}:
            verdict = Verdict(Kind.SKIP, "on", f"it is a {change}; on is {view.spec.on}")
        if verdict.kind is Kind.TAKE and view.spec.in_sets:
            verdict = await self._in_its_set(view, bucket, listed.key) or verdict
        if verdict.kind is not Kind.TAKE:
            until = f"; it may be ready at {timestamp(verdict.until)}" if verdict.until else ""
            return _Answer(fires=False, text=f"{verdict.reason}{until}", rule=verdict.rule)
        if obstacle := view.obstacle:
            return _Answer(fires=False, text=f"every rule lets it in, but {obstacle}", rule="trigger")
        where = verdict.destination
        goes = f"; it would be moved to s3://{where[0]}/{where[1]}" if where else ""
        return _Answer(
            fires=True, text=f"the next look takes it, or one soon after if others come first{goes}", rule=""
        )

    async def _in_its_set(self, view: "_View", bucket: Bucket, key: str) -> Verdict | None:
        """Give the last word on an object that waits with others; None if its set is complete."""
        verdicts: list[Verdict] = []

        def note(found: Found) -> None:
            if found.object.key == key:
                verdicts.append(found.verdict)

        await view.claimer(note).look(bucket, max(view.room, 1), to_the_end=True)
        return verdicts[0] if verdicts else None

    async def _known(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Explain an object whose present content is known already."""
        if not rows:
            return "it was there at the first look, or is a change that 'on' did not ask for; it fires when it changes"
        row = rows[0]
        when = f"it was claimed as this very content, last changed in the journal at {row['updated_at']}"
        if row["state"] == DetectionState.PARKED:
            again = f"; it is looked at again at {row['next_try']}" if row["next_try"] else ""
            return f"it is parked: {row['error']}{again}; 'tidewaiter objects retry {row['id']}' does it now"
        if row["state"] != DetectionState.DONE:
            return f"{when}: {row['state']}" + (f", {row['error']}" if row["error"] else "")
        return f"{when}; {await self._told(row)}"

    async def _told(self, row: Mapping[str, Any]) -> str:
        execution = await self.port.journal.executions.get(execution_id(row["batch_id"]))
        if execution is None:
            return "its execution has been forgotten since"
        waits = " and waits for its turn" if execution.state is ExecutionState.CREATED else ""
        return f"its execution {execution.id} is {execution.state}{waits}"


@dataclass(slots=True)
class _Stays:
    """What a look leaves: some of what is held back, and how many objects are not meant, however many there are."""

    held: list[Found] = field(default_factory=list)
    skipped: int = 0

    def note(self, found: Found) -> None:
        if found.verdict.kind is Kind.SKIP:
            self.skipped += 1
        elif found.verdict.kind is Kind.WAIT and len(self.held) < _MOST_SHOWN:
            self.held.append(found)


@dataclass(frozen=True, slots=True)
class _Answer:
    """Whether an object fires, why or why not, and the rule that decides."""

    fires: bool
    text: str
    rule: str


@dataclass(frozen=True, slots=True)
class _View:
    """A trigger as its next look would see it, *at* a moment by the clock of the store."""

    watch: Watch
    spec: BucketTrigger
    rules: Rules
    standing: Standing
    port: Port = field(repr=False)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def room(self) -> int:
        """For how many executions there is room now."""
        return max(0, room_for(self.spec, self.standing, self.port))

    @property
    def obstacle(self) -> str | None:
        """What keeps the trigger from claiming anything at all, None if nothing does."""
        if self.standing.paused:
            return "the trigger is paused; see 'tidewaiter triggers resume'"
        if self.spec.initial == "skip" and not self.standing.begun:
            return "the first look will only remember what is there (initial: skip)"
        if not self.room:
            return f"{self.standing.batches} executions are ahead of it; it is taken when one of them ends"
        return None

    def claimer(self, notice: Callable[[Found], object]) -> Claimer:
        """Make a claimer that only looks."""
        return Claimer(self.watch.key, self.port.journal.detections, self.rules, Manifests(), notice)


def _past(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "state": row["state"],
        "etag": row["etag"],
        "lastModified": row["last_modified"],
        "executionId": execution_id(row["batch_id"]) if row["uri"] else None,
        "error": row["error"],
        "updatedAt": row["updated_at"],
    }


def _plan(view: _View, look: Look, stays: _Stays) -> dict[str, Any]:
    return {
        "trigger": str(view.watch.key),
        "bucket": view.spec.bucket,
        "prefix": view.spec.prefix,
        "action": view.spec.action,
        "obstacle": view.obstacle,
        "room": view.room,
        "batches": [[_claim(claim) for claim in batch] for batch in look.batches],
        "refused": [{"key": claim.arrival.object.key, "reason": claim.refusal} for claim in look.refused],
        "held": [_held(found) for found in stays.held],
        "heldByRule": dict(look.held),
        "backlog": {
            "objects": look.backlog.objects,
            "oldest": timestamp(look.backlog.oldest) if look.backlog.oldest else None,
        },
        "notMeant": stays.skipped,
        "trouble": str(look.trouble) if look.trouble else None,
    }


def _claim(claim: Claim) -> dict[str, Any]:
    where = claim.destination
    return {
        **_listed(claim.arrival.object),
        "changeType": claim.arrival.change_type,
        "captures": dict(claim.captures),
        "marker": claim.marker,
        "destination": {"bucket": where[0], "key": where[1]} if where else None,
    }


def _held(found: Found) -> dict[str, Any]:
    verdict = found.verdict
    until = timestamp(verdict.until) if verdict.until else None
    return {"key": found.object.key, "rule": verdict.rule, "reason": verdict.reason, "until": until}


def _listed(item: S3Object) -> dict[str, Any]:
    return {
        "key": item.key,
        "etag": item.etag,
        "size": item.size,
        "lastModified": timestamp(item.last_modified),
        "storageClass": item.storage_class,
    }


async def _find(bucket: Bucket, key: str) -> tuple[S3Object | None, datetime]:
    """
    Give the object at *key* as a listing shows it, and the store's time; what begins with *key* is listed from it on.
    """
    async for page in bucket.list(key, page_size=1):
        return next((item for item in page.objects if item.key == key), None), page.at or datetime.now(UTC)
    return None, datetime.now(UTC)


def _out_of_sight(spec: BucketTrigger) -> str:
    folded = f", or has '{spec.delimiter}' after it" if spec.delimiter else ""
    after = f", or does not come after marker '{spec.marker}'" if spec.marker else ""
    return f"its key does not begin with prefix '{spec.prefix}'{folded}{after}"
