"""
Do a trigger's action to an object that is in custody: archive it, remove it from where it came.

Both steps are idempotent, so that recovery is the same call again (reliability.md §3.2 steps 4 and 5). Before them the
content and its execution are durable here; nothing in this module may run earlier.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from tidewaiter.triggers.bucket import (
    Bucket,
    BucketError,
    Capabilities,
    DestinationExistsError,
    Encryption,
    ObjectChangedError,
    ObjectGoneError,
    OnConflict,
    Removal,
    S3Object,
    Stored,
)

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
    Where an object is to be archived.

    *on_conflict* decides when other content is there: ``suffix`` stores beside it with ``~`` and the detection's id
    before the extension, ``fail`` refuses, ``overwrite`` replaces it.
    """

    bucket: str
    key: str
    on_conflict: OnConflict = "suffix"
    encryption: Encryption | None = None


@dataclass(frozen=True, slots=True)
class Archived:
    """Where the archived content is; *etag* is None where the store did not tell it."""

    bucket: str
    key: str
    etag: str | None


def check_capabilities(action: str, capabilities: Capabilities, *, allow_unconditional: bool) -> None:
    """
    Make sure before anything is taken that *action* can be done without destroying other content (reliability.md §3.3).

    Raises:
        BucketError: the store can neither delete conditionally nor by version, and the author did not accept that risk.
    """
    safe = capabilities.versioning or capabilities.delete_if_match or allow_unconditional
    if action != "NONE" and not safe:
        raise BucketError(
            f"action {action} is not safe on this store: it does not honour If-Match on DELETE and keeps no versions",
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
    before a crash. Repeating therefore finds its copy again, under the suffix, too.

    Raises:
        DestinationExistsError: other content is there and *on_conflict* is ``fail``.
        BucketError: the store refused; nothing was changed.
    """
    archived = await _archive_at(bucket, listed, custody, move, capabilities=capabilities)
    if archived is None and move.on_conflict == "suffix":
        beside = replace(move, key=suffixed(move.key, custody.id))
        archived = await _archive_at(bucket, listed, custody, beside, capabilities=capabilities)
    if archived is None:
        raise DestinationExistsError(
            f"cannot archive {listed.key!r}: other content is at {move.key!r} in bucket '{move.bucket}'",
            "move that object away, or choose onConflict: suffix",
            cause="DestinationExists",
        )
    return archived


def suffixed(key: str, identity: str) -> str:
    """Put ``~`` and *identity* before the extension of the last part of *key*."""
    folder, slash, name = key.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    return f"{folder}{slash}{stem}~{identity}.{extension}" if stem and dot else f"{key}~{identity}"


async def remove(
    bucket: Bucket, listed: S3Object, capabilities: Capabilities, *, allow_unconditional: bool = False
) -> Removal:
    """
    Remove exactly the content in custody from its source, by the strongest means there is (reliability.md §3.3).

    *listed* carries the version id its download told (`Stored.version_id`), if any: on a versioned bucket that version
    is removed and no other. The version ``null`` is exact only while versioning is on: when suspended, each upload
    replaces it.

    Raises:
        BucketError: no safe means, see `check_capabilities`.
    """
    if listed.version_id and (listed.version_id != "null" or capabilities.versioning):
        return await bucket.delete(listed)
    if capabilities.delete_if_match:
        return await bucket.delete(replace(listed, version_id=None))
    check_capabilities("DELETE", replace(capabilities, versioning=False), allow_unconditional=allow_unconditional)
    return await _remove_after_look(bucket, listed)


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
        return await bucket.copy(listed, move.bucket, move.key, encryption=move.encryption, overwrite=overwrite)
    except (ObjectChangedError, ObjectGoneError):
        return await _upload(bucket, custody, move)


async def _upload(bucket: Bucket, custody: Custody, move: Move) -> str | None:
    return await bucket.upload(
        custody.file,
        move.bucket,
        move.key,
        encryption=move.encryption,
        overwrite=move.on_conflict == "overwrite",
        like=custody.stored,
    )


async def _already_there(bucket: Bucket, stored: Stored, move: Move) -> Archived | None:
    """Tell whether the destination holds the same content: by ETag where that is a plain MD5, else by reading it."""
    there = await bucket.head(move.key, bucket=move.bucket)
    if there is None or there.size != stored.size:
        return None
    same = bool(_MD5.fullmatch(there.etag)) and there.etag == stored.etag
    if same or (await bucket.download_digest(move.bucket, move.key)).sha256 == stored.sha256:
        return Archived(move.bucket, move.key, there.etag)
    return None
