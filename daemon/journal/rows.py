"""Detections as rows of the journal, and back."""

import json
from collections.abc import Iterator
from typing import Any

from tidewaiter.daemon.database import Row
from tidewaiter.daemon.journal.claims import Claim, Source
from tidewaiter.daemon.records import Detection, DetectionState, new_id, now, timestamp


def detection_row(source: Source, claim: Claim, batch_id: str, ordinal: int) -> dict[str, Any]:
    """Make the row of a new claim, the *ordinal*-th of its batch."""
    item = claim.arrival.object
    bucket, key = claim.destination or (None, None)
    return {
        "id": new_id(),
        "trigger_key": str(source.trigger),
        "batch_id": batch_id,
        "ordinal": ordinal,
        "flow_revision": source.flow_revision,
        "bucket": item.bucket,
        "object_key": item.key,
        "etag": item.etag,
        "size": item.size,
        "last_modified": timestamp(item.last_modified),
        "version_id": item.version_id,
        "change_type": claim.arrival.change_type,
        "action": source.action,
        "state": DetectionState.PARKED if claim.refusal else DetectionState.CLAIMED,
        "dest_bucket": bucket,
        "dest_key": key,
        "uri": None,
        "sha256": None,
        "ended_seq": None,
        "error": claim.refusal,
        "captures": json.dumps(dict(claim.captures), ensure_ascii=False),
        "marker": int(claim.marker),
        "updated_at": now(),
    }


def _fields() -> Iterator[tuple[str, str]]:
    renamed = {"trigger": "trigger_key", "key": "object_key"}
    return ((name, renamed.get(name, name)) for name in Detection.__slots__)


def detection_of(row: Row) -> Detection:
    """Read a detection back from its row; columns that were not asked for have their defaults."""
    known = set(row.keys())
    values = {name: row[column] for name, column in _fields() if column in known}
    flags = {"blocked": bool(values.get("blocked")), "marker": bool(values.get("marker"))}
    captures = json.loads(values.get("captures") or "{}")
    return Detection(**{**values, **flags, "captures": captures, "state": DetectionState(values["state"])})
