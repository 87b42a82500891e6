"""
One object on its way after its execution has ended: placed at its destination, then removed from where it was.

The steps are the custody's own (`tidewaiter.triggers.settle`), so each can be repeated after a crash, and nothing is
removed before it is somewhere else.
"""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.custody import stored_of
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.probes import Probes
from tidewaiter.daemon.records import Detection, Place, Route, RoutePurpose, RouteState, parse_timestamp, storable
from tidewaiter.daemon.storage import Storage
from tidewaiter.triggers import settle
from tidewaiter.triggers.bucket import AS_IT_IS, Bucket, BucketError, Connect, Head, Removal, S3Object, Stored
from tidewaiter.triggers.download import Digest
from tidewaiter.triggers.memory import in_memory
from tidewaiter.triggers.moves import MoveTo, Outcome
from tidewaiter.triggers.rules import Rules
from tidewaiter.triggers.s3 import BucketTrigger

SIDECAR = ".tidewaiter.json"
"""What the name of the file that explains a quarantined object ends with."""

_LAST_LINES = 50
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Routing:
    """Takes routes of objects of one trigger to their end, as far as they go now."""

    rules: Rules
    journal: Journal
    storage: Storage
    connect: Connect
    probes: Probes

    async def advance(self, route: Route, detection: Detection) -> None:
        """
        Take every step that is left. Idempotent.

        Raises:
            BucketError: a step failed for good or for now; calling again goes on there.
            StorageError: our own copy cannot be read.
        """
        place = await self.journal.routes.whereabouts(detection)
        if route.state is RouteState.PENDING:
            await self._put(route, detection, place)
        route = await self._current(route)
        if route.state is RouteState.PLACED:
            freed = await self._take_away(route, detection, place)
            await self.journal.routes.done(route, detection, freed=freed)

    async def _current(self, route: Route) -> Route:
        return next((item for item in await self.journal.routes.of(route.detection_id) if item.id == route.id), route)

    async def _put(self, route: Route, detection: Detection, place: Place | None) -> None:
        """Store the object at the destination, with what explains it beside it."""
        outcome = self._outcome(route)
        if outcome and outcome.action == "DELETE":
            await self.journal.routes.placed(route, None)
            return
        target = await self._aimed(route, detection)
        if place and (place.bucket, place.key) == target:
            await self.journal.routes.placed(route, place)
            return
        source = place or Place(detection.bucket, detection.key, detection.etag)
        async with self._open(source.bucket) as bucket:
            archived = await self._copy(bucket, route, detection, source, target)
            if route.purpose is RoutePurpose.FAILURE:
                await self._explain(bucket, route, detection, archived)
        await self.journal.routes.placed(route, Place(archived.bucket, archived.key, archived.etag))

    @asynccontextmanager
    async def _open(self, name: str) -> AsyncIterator[Bucket]:
        """Open a bucket with the trigger's connection; whom it expects to own a bucket is about the watched one."""
        connection = self._trigger.connection()
        if name != self._trigger.bucket:
            connection = replace(connection, expected_bucket_owner=None)
        async with self.connect(connection, name) as bucket:
            yield bucket

    async def _copy(
        self, bucket: Bucket, route: Route, detection: Detection, source: Place, target: tuple[str, str]
    ) -> settle.Archived:
        file = self.storage.path(detection.uri or "")
        own = settle.Custody(detection.id, file, stored_of(file, detection))
        outcome = self._outcome(route)
        properties = outcome.move_to.properties if outcome and outcome.move_to else AS_IT_IS
        # Driven in again, an object must have its own name, or it would not be what the trigger looks for.
        move = settle.Move(*target, self._trigger.on_conflict if outcome else "identical", properties)
        capabilities = await self.probes.of(bucket, self._trigger)
        return await settle.archive(bucket, _listed(detection, source), own, move, capabilities=capabilities)

    async def _aimed(self, route: Route, detection: Detection) -> tuple[str, str]:
        """Give where the object goes, as recorded before anything was done."""
        if route.dest_key is None:
            outcome = self._outcome(route)
            move = outcome.move_to if outcome else None
            target = self._destination(detection, move) if move else (detection.bucket, detection.key)
            await self.journal.routes.aim(route, *target)
            route = await self._current(route)
        return route.dest_bucket or "", route.dest_key or ""

    def _destination(self, detection: Detection, move: MoveTo) -> tuple[str, str]:
        target, objection = self.rules.destination(detection.object, detection.captures, move)
        if objection:
            raise BucketError(
                f"cannot move {detection.key!r} after its execution: {objection}",
                "change the destination in onSuccess or onFailure",
                cause="NoDestination",
            )
        return target

    @property
    def _trigger(self) -> BucketTrigger:
        return self.rules.spec

    def _outcome(self, route: Route) -> Outcome | None:
        """Give what the trigger says of this outcome; None for the way back in."""
        if route.purpose is RoutePurpose.REDRIVE:
            return None
        outcome = self._trigger.on_success if route.purpose is RoutePurpose.SUCCESS else self._trigger.on_failure
        if outcome is None:
            name = "onSuccess" if route.purpose is RoutePurpose.SUCCESS else "onFailure"
            raise TidewaiterError(
                f"the object has to be moved, but trigger '{self._trigger.id}' has no '{name}' any more",
                f"give it back its '{name}'",
            )
        return outcome

    async def _explain(self, bucket: Bucket, route: Route, detection: Detection, archived: settle.Archived) -> None:
        """
        Write what happened beside a quarantined object, but never over anything else: that may be another object, which
        had this name. It is always the same text, so writing it again is harmless.
        """
        text, content = await self._told(route, detection)
        beside, _ = _beside(archived.key, detection.id)
        if not beside:
            return
        with in_memory(text) as file:
            own = settle.Custody(detection.id, file, Stored(content.size, content.sha256, etag=""))
            # It is nowhere in the store to be copied from.
            capabilities = replace(await self.probes.of(bucket, self._trigger), copy_source_if_match=False)
            move = settle.Move(archived.bucket, beside)
            await settle.archive(bucket, detection.object, own, move, capabilities=capabilities)

    async def _told(self, route: Route, detection: Detection) -> tuple[str, Digest]:
        """Give the text beside an object that *route* brought into quarantine."""
        text = storable(json.dumps(await self._story(route, detection), ensure_ascii=False, indent=2))
        return text, Digest(len(text.encode()), hashlib.sha256(text.encode()).hexdigest())

    async def _story(self, route: Route, detection: Detection) -> dict[str, Any]:
        execution = await self.journal.executions.get(route.execution_id or "")
        lines = await self.journal.logs.of(route.execution_id or "")
        return {
            "object": {
                "id": detection.id,
                "bucket": detection.bucket,
                "key": detection.key,
                "etag": detection.etag,
                "versionId": detection.version_id,
                "size": detection.size,
                "sha256": detection.sha256,
                "lastModified": detection.last_modified,
            },
            "trigger": detection.trigger,
            "execution": execution
            and {
                "id": execution.id,
                "state": execution.state,
                "attempts": execution.attempts,
                "createdAt": execution.created_at,
                "startedAt": execution.started_at,
                "endedAt": execution.ended_at,
                "error": execution.error,
            },
            "log": [f"{line.at} {line.level} {line.task_path}: {line.message}" for _, line in lines[-_LAST_LINES:]],
            "retry": f"tidewaiter objects retry {detection.id}",
        }

    async def _take_away(self, route: Route, detection: Detection, place: Place | None) -> bool:
        """Remove the object from where it was before; gives whether that was its source, free for another now."""
        if place is None or (place.bucket, place.key) == (route.dest_bucket, route.dest_key):
            return False
        archived = (place.bucket, place.key) == (detection.dest_bucket, detection.dest_key)
        if archived and await self.journal.objects.shares_copy(detection):
            return False
        async with self._open(place.bucket) as bucket:
            removal = await self._remove(bucket, place, detection, Digest(detection.size, detection.sha256 or ""))
            if place.quarantined:
                await self._remove_story(bucket, place, detection)
        return (place.bucket, place.key) == (detection.bucket, detection.key) and removal is not Removal.REPLACED

    async def _remove_story(self, bucket: Bucket, place: Place, detection: Detection) -> None:
        """Remove the text beside an object that leaves the quarantine, and nothing that only has its name."""
        ended = [route for route in await self.journal.routes.of(detection.id) if route.state is RouteState.DONE]
        _, content = await self._told(ended[-1], detection)
        for key in filter(None, _beside(place.key, detection.id)):
            await self._remove(bucket, Place(place.bucket, key, None), detection, content)

    async def _remove(self, bucket: Bucket, place: Place, detection: Detection, content: Digest) -> Removal:
        """
        Remove exactly what is meant: what its version or ETag names, or what has that *content* where none is known. At
        the source the time of change counts, too: an execution may take long enough for the same bytes to be uploaded
        once more.
        """
        at_source = (place.bucket, place.key) == (detection.bucket, detection.key)
        capabilities = await self.probes.of(bucket, self._trigger)
        allowed = self._trigger.allow_unconditional_delete
        keep = self._trigger.keep_versions
        if at_source and not keep and detection.version_id not in {None, "null"}:
            # Also from below newer content, whose removal would bring it to light again.
            return await settle.remove(bucket, detection.object, capabilities)
        now = await bucket.head(place.key)
        if now is None:
            return Removal.ALREADY_GONE
        if at_source and not _same_second(now.last_modified, detection.last_modified):
            return Removal.REPLACED
        if not await _holds(bucket, place, now, content):
            return Removal.REPLACED
        listed = S3Object(place.bucket, place.key, now.etag, now.size, now.last_modified, now.version_id)
        return await settle.remove(bucket, listed, capabilities, allow_unconditional=allowed, keep_versions=keep)


def _beside(key: str, identity: str) -> tuple[str | None, str | None]:
    """
    Give the two names that the file beside a quarantined object may have, the second where the first is taken; None for
    both where they would be longer than S3 allows.
    """
    name = key + SIDECAR
    other = settle.suffixed(name, identity)
    return (name, other) if len(other.encode(errors="surrogatepass")) <= _LONGEST else (None, None)


async def _holds(bucket: Bucket, place: Place, there: Head, content: Digest) -> bool:
    """Tell whether *there*, found at *place*, is what is meant by its ETag, else by its content."""
    if place.etag is not None:
        return there.etag == place.etag
    if there.size != content.size:
        return False
    return (await bucket.download_digest(place.bucket, place.key)).sha256 == content.sha256


def _listed(detection: Detection, place: Place) -> S3Object:
    """Give the object as a copy is to find it at *place*."""
    if (place.bucket, place.key) == (detection.bucket, detection.key):
        return detection.object
    return S3Object(place.bucket, place.key, place.etag or detection.etag, detection.size, datetime.now(UTC))


def _same_second(one: datetime, other: str) -> bool:
    """Compare the time of a HEAD, which has seconds only, with the time of a listing."""
    return int(one.timestamp()) == int(parse_timestamp(other).timestamp())
