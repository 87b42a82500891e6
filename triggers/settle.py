"""
Do a trigger's action to an object that is in custody: archive it, remove it from where it came.

Both steps are idempotent, so that recovery is the same call again (reliability.md §3.2 steps 4 and 5). Before them the
content and its execution are durable here; nothing in this module may run earlier.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tidewaiter.triggers.bucket import (
    AS_IT_IS,
    Bucket,
    BucketError,
    Capabilities,
    DestinationExistsError,
    Head,
    ObjectChangedError,
    ObjectGoneError,
    ObjectProperties,
    OnConflict,
    Removal,
    S3Object,
    Stored,
)
from tidewaiter.triggers.tags import merged

REMOVING = frozenset({"MOVE", "DELETE"})
"""The actions that take an object away from where it was; only they ask something of the store."""

_SUFFIX = re.compile(r"~(?P<identity>[0-9A-Z]{26})(?:\.[^./]*)?\Z")
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Custody:
    """Our copy of an object: the id of its detection, the file, and what was seen when it was downloaded."""

    id: str
    file: Path
    stored: Stored


@dataclass(frozen=True, slots=True)
class Move:
    """
    Where an object is to be archived, and how the copy is to differ from it.

    *on_conflict* decides when the destination is taken. Other content there: ``suffix`` stores beside it with ``~`` and
    the detection's id before the extension, ``overwrite`` replaces it, ``identical`` and ``fail`` refuse. The same
    content there counts as archived, except with ``fail``, if it was there before the object was taken into custody.
    """

    bucket: str
    key: str
    on_conflict: OnConflict = "suffix"
    properties: ObjectProperties = AS_IT_IS


@dataclass(frozen=True, slots=True)
class Archived:
    """Where the archived content is; *etag* is None where the store did not tell it."""

    bucket: str
    key: str
    etag: str | None


def check_capabilities(
    what: str, capabilities: Capabilities, *, allow_unconditional: bool, keep_versions: bool = False
) -> None:
    """
    Make sure before anything is taken that *what*, which removes objects, can be done without destroying other content
    (reliability.md §3.3).

    Raises:
        BucketError: the store can neither delete conditionally nor by version, and the author did not accept that risk;
            or with *keep_versions* it cannot mark exactly one content as deleted, which no consent replaces.
    """
    if keep_versions and not (capabilities.versioning and capabilities.delete_if_match):
        lacks = "does not honour If-Match on DELETE" if capabilities.versioning else "keeps no versions"
        raise BucketError(
            f"'keepVersions: true' is not possible on this bucket: it {lacks}",
            "remove 'keepVersions', so that exactly the version in custody is removed"
            if capabilities.versioning
            else "turn on versioning for the bucket, or remove 'keepVersions'",
            cause="NoDeleteMarkers",
        )
    safe = capabilities.versioning or capabilities.delete_if_match or allow_unconditional
    if not safe:
        raise BucketError(
            f"{what} is not safe on this store: it does not honour If-Match on DELETE and keeps no versions",
            "turn on versioning for the bucket, use action NONE, or accept with 'allowUnconditionalDelete: true' "
            "that an object overwritten in the moment of its removal is lost",
            cause="UnsafeDelete",
        )


async def archive(
    bucket: Bucket, listed: S3Object, custody: Custody, move: Move, *, capabilities: Capabilities
) -> Archived:
    """
    Store the content in custody at its destination and say where it is.

    Copies inside the store where that is certain to copy this content; else, or when the source was replaced or removed
    meanwhile, uploads the file. A destination that holds the same content is taken as done: it is our own copy from
    before a crash. Repeating therefore finds its copy again, under the suffix, too. With ``fail`` it is ours only if it
    is not older than our download, by the store's clock alone (`Stored.read_at`); where the store does not tell the
    time, ``fail`` is ``identical``.

    Raises:
        DestinationExistsError: the destination is taken, and *on_conflict* is ``fail`` or ``identical``, or the name
            with the suffix is taken, too.
        BucketError: the store refused, or there would be too many tags; nothing was changed.
    """
    if move.properties.tags:
        merged(custody.stored.tags or {}, move.properties.tags, listed.key)
    names = [move.key, *([suffixed(move.key, custody.id)] if move.on_conflict == "suffix" else [])]
    for name in names:
        there = replace(move, key=name)
        if archived := await _archive_at(bucket, listed, custody, there, capabilities=capabilities):
            return archived
    hint = "move that object away" if move.on_conflict == "suffix" else "move it away, or choose onConflict: suffix"
    raise DestinationExistsError(
        f"cannot archive {listed.key!r}: an object is at {' and at '.join(map(repr, names))} in bucket '{move.bucket}'",
        hint,
        cause="DestinationExists",
    )


def suffixed(key: str, identity: str) -> str:
    """Put ``~`` and *identity* before the extension of the last part of *key*."""
    folder, slash, name = key.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    return f"{folder}{slash}{stem}~{identity}.{extension}" if stem and dot else f"{key}~{identity}"


def suffixed_for(key: str) -> str | None:
    """Give the identity that `suffixed` put into *key*, None if it does not look like that."""
    found = _SUFFIX.search(key)
    return found["identity"] if found else None


async def remove(
    bucket: Bucket,
    listed: S3Object,
    capabilities: Capabilities,
    *,
    allow_unconditional: bool = False,
    keep_versions: bool = False,
) -> Removal:
    """
    Remove exactly the content in custody from its source, by the strongest means there is (reliability.md §3.3).

    With *keep_versions* its version stays, under a delete marker: made only while that content is the current one, so
    that it never hides a newer one. Identical bytes that were uploaded again since count as the same (R1).

    *listed* carries the version id its download told (`Stored.version_id`), if any: on a versioned bucket that version
    is removed and no other. The version ``null`` is exact only while versioning is on: when suspended, each upload
    replaces it.

    Raises:
        BucketError: no safe means, see `check_capabilities`.
    """
    if keep_versions:
        check_capabilities("DELETE", capabilities, allow_unconditional=False, keep_versions=True)
        return await _mark(bucket, listed)
    if listed.version_id and (listed.version_id != "null" or capabilities.versioning):
        return await bucket.delete(listed)
    if capabilities.delete_if_match:
        return await bucket.delete(replace(listed, version_id=None))
    check_capabilities("DELETE", replace(capabilities, versioning=False), allow_unconditional=allow_unconditional)
    return await _remove_after_look(bucket, listed)


async def _mark(bucket: Bucket, listed: S3Object) -> Removal:
    marking = await bucket.mark_deleted(listed)
    # Under a marker, as our own from before a crash, some stores say 412, too: it is gone only if nothing is there.
    if marking.removal is Removal.REPLACED and await bucket.head(listed.key) is None:
        return Removal.ALREADY_GONE
    return marking.removal


async def _remove_after_look(bucket: Bucket, listed: S3Object) -> Removal:
    now = await bucket.head(listed.key)
    if now is None:
        return Removal.ALREADY_GONE
    if now.etag != listed.etag:
        return Removal.REPLACED
    await bucket.delete_unconditionally(listed.key)
    return Removal.REMOVED


async def _archive_at(
    bucket: Bucket, listed: S3Object, custody: Custody, move: Move, *, capabilities: Capabilities
) -> Archived | None:
    """Store the content at exactly ``move.key``; None if other content is there that must stay."""
    overwrite = move.on_conflict == "overwrite"
    # A store that ignores the condition would overwrite: look first, and live with the moment in between.
    if not overwrite and not capabilities.copy_if_none_match and await bucket.head(move.key, bucket=move.bucket):
        return await _already_there(bucket, custody.stored, move)
    try:
        if capabilities.copy_source_if_match:
            etag = await _copy_or_upload(bucket, listed, custody, move)
        else:
            etag = await _upload(bucket, custody, move)
    except DestinationExistsError:
        return await _already_there(bucket, custody.stored, move)
    return Archived(move.bucket, move.key, etag)


async def _copy_or_upload(bucket: Bucket, listed: S3Object, custody: Custody, move: Move) -> str | None:
    overwrite = move.on_conflict == "overwrite"
    try:
        return await bucket.copy(
            listed, move.bucket, move.key, properties=move.properties, overwrite=overwrite, like=custody.stored
        )
    except (ObjectChangedError, ObjectGoneError):
        return await _upload(bucket, custody, move)


async def _upload(bucket: Bucket, custody: Custody, move: Move) -> str | None:
    return await bucket.upload(
        custody.file,
        move.bucket,
        move.key,
        properties=move.properties,
        overwrite=move.on_conflict == "overwrite",
        like=custody.stored,
    )


async def _already_there(bucket: Bucket, stored: Stored, move: Move) -> Archived | None:
    """
    Tell whether the destination holds the same content, and one that *move* accepts: by ETag where that is a plain MD5,
    else by reading it.
    """
    there = await bucket.head(move.key, bucket=move.bucket)
    if there is None or there.size != stored.size or (move.on_conflict == "fail" and _was_before(stored, there)):
        return None
    same = bool(_MD5.fullmatch(there.etag)) and there.etag == stored.etag
    if same or (await bucket.download_digest(move.bucket, move.key)).sha256 == stored.sha256:
        return Archived(move.bucket, move.key, there.etag)
    return None


def _was_before(stored: Stored, there: Head) -> bool:
    """Tell whether *there* is older than our download. Both times are the store's, in whole seconds."""
    return stored.read_at is not None and there.last_modified < datetime.fromisoformat(stored.read_at)
