"""
One claimed object, step by step into custody (reliability.md §3.2): read, keep, archive, remove.

Each step does its effect idempotently and then records it; where the record says a step is done, it is not taken
again. Recovery is the same code entered at a later record.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tidewaiter.config.errors import storage_error
from tidewaiter.daemon.journal.claims import Source
from tidewaiter.daemon.journal.detections import Detections
from tidewaiter.daemon.records import Detection, DetectionState
from tidewaiter.daemon.storage import Storage
from tidewaiter.triggers import settle
from tidewaiter.triggers.bucket import (
    AS_IT_IS,
    Bucket,
    BucketError,
    Capabilities,
    ObjectChangedError,
    ObjectGoneError,
    Removal,
    Stored,
)
from tidewaiter.triggers.s3 import BucketTrigger
from tidewaiter.triggers.tags import tag

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Custody:
    """Takes detections of one trigger from where they stand to their end."""

    source: Source
    trigger: BucketTrigger
    bucket: Bucket
    capabilities: Capabilities
    detections: Detections
    storage: Storage

    async def advance(self, detection: Detection) -> bool:
        """
        Take every step that is left. While others of its batch are still to be read, the object itself is let be; gives
        whether this was the last to be read, so that the others can go on.

        Raises:
            BucketError: a step failed for good or for now; the record says which, and calling again goes on there.
            StorageError: the local disk failed; no destructive call was made.
        """
        reading = detection.state is DetectionState.CLAIMED
        if reading:
            stored = await self._store(detection)
            detection = await self._current(detection)
            if not stored:
                progress = await self.detections.progress(detection.batch_id)
                return not progress.to_read and progress.read > 0
        progress = await self.detections.progress(detection.batch_id)
        if not progress.to_read:
            await self._settle(detection)
        return reading and not progress.to_read and progress.read > 1

    async def _settle(self, detection: Detection) -> None:
        """Do the action, now that the execution exists and the bytes are here."""
        if detection.state is DetectionState.STORED and detection.action == "TAG":
            await self._tag(detection)
            return
        if detection.state is DetectionState.STORED and detection.action == "MOVE":
            await self._archive(detection)
            detection = await self._current(detection)
        if detection.state in {DetectionState.STORED, DetectionState.COPIED}:
            await self._remove(detection)

    async def _current(self, detection: Detection) -> Detection:
        return await self.detections.get(detection.id) or detection

    async def _store(self, detection: Detection) -> bool:
        """Read the content the listing showed, and record it as stored together with its execution."""
        final = self.storage.object_path(self.source.trigger, detection)
        temporary = final.with_name("data.tmp")
        _make_room(temporary)
        try:
            stored = await self.bucket.read(detection.object, temporary)
        except ObjectChangedError as error:
            return await self._close(detection, DetectionState.SUPERSEDED, error.message)
        except ObjectGoneError as error:
            if await self.detections.gone_before(detection):
                raise BucketError(
                    f"{detection.key!r} is listed again and again, but is not there when it is read",
                    "the store changes this key; rename the object",
                    cause="NotReadable",
                ) from error
            return await self._close(detection, DetectionState.GONE, error.message)
        uri = await self.storage.keep(temporary, final, _manifest(self.source, detection, stored))
        return await self.detections.stored(
            self.source, detection, uri=uri, sha256=stored.sha256, version_id=stored.version_id or detection.version_id
        )

    async def _close(self, detection: Detection, state: DetectionState, error: str) -> bool:
        await self.detections.close(self.source, detection, state, error)
        return False

    async def _archive(self, detection: Detection) -> None:
        """Put the content at its destination; whether by a copy in the store or from our own file does not matter."""
        file = self.storage.path(detection.uri or "")
        copy = settle.Custody(detection.id, file, stored_of(file, detection))
        move = settle.Move(
            detection.dest_bucket or detection.bucket,
            detection.dest_key or "",
            self.trigger.on_conflict,
            self.trigger.move_to.properties if self.trigger.move_to else AS_IT_IS,
        )
        archived = await settle.archive(self.bucket, detection.object, copy, move, capabilities=self.capabilities)
        await self.detections.copied(detection, archived.bucket, archived.key, archived.etag)

    async def _remove(self, detection: Detection) -> None:
        removal = await settle.remove(
            self.bucket,
            detection.object,
            self.capabilities,
            allow_unconditional=self.trigger.allow_unconditional_delete,
            keep_versions=self.trigger.keep_versions,
        )
        await self.detections.done(detection, removed=removal is not Removal.REPLACED)

    async def _tag(self, detection: Detection) -> None:
        """Tag the content in custody where it is; it stays known, so that it does not start another execution."""
        missed = await tag(self.bucket, detection.object, self.trigger.tags or {})
        remark = f"not tagged: the object was {missed.value.replace('_', ' ')}" if missed else None
        await self.detections.done(detection, removed=missed is Removal.ALREADY_GONE, remark=remark)


def _make_room(temporary: Path) -> None:
    """Prepare the folder for *temporary*, without anything that an interrupted read left there."""
    try:
        if temporary.parent.exists():
            shutil.rmtree(temporary.parent)
        temporary.parent.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise storage_error(error, temporary) from error


def _manifest(source: Source, detection: Detection, stored: Stored) -> dict[str, Any]:
    """
    Everything needed to make the detection's row again from disk (reliability.md §3.4, C15), and to archive from our
    own copy.
    """
    passing = {
        "state",
        "attempts",
        "next_try",
        "action_since",
        "error",
        "blocked",
        "uri",
        "sha256",
        "version_id",
        "dest_etag",
    }
    row = {name: value for name, value in asdict(detection).items() if name not in passing}
    made = {"trigger_type": source.trigger_type, "execution_id": detection.execution_id}
    return {**row, **made, "stored": asdict(stored)}


def stored_of(file: Path, detection: Detection) -> Stored:
    """Read back what the store said of the content when it was read."""
    try:
        manifest = json.loads(file.with_name(MANIFEST).read_text(encoding="utf-8"))
    except OSError as error:
        raise storage_error(error, file.with_name(MANIFEST)) from error
    return (
        Stored(**manifest["stored"])
        if "stored" in manifest
        else Stored(detection.size, detection.sha256 or "", detection.etag)
    )
