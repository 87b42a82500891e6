"""Manifests: objects that list the members of a set. What they say is hostile, and read as such."""

import asyncio
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidewaiter.config.errors import storage_error
from tidewaiter.config.fields import format_size
from tidewaiter.triggers.bucket import Bucket, BucketError, ObjectChangedError, ObjectGoneError, S3Object
from tidewaiter.triggers.keys import danger, folder_of

MAX_BYTES = 1 << 20

_SCHEME = "s3://"


class ManifestError(BucketError):
    """A manifest cannot be used: its set waits until another one takes its place."""

    def __init__(self, manifest: S3Object, problem: str) -> None:
        super().__init__(
            f"manifest {manifest.key!r} in bucket '{manifest.bucket}' cannot be used: {problem}",
            "put a corrected manifest in its place; until then its set waits",
            cause="Manifest",
        )


Members = frozenset[str] | ManifestError
"""The keys a manifest lists, or why it cannot be used."""


@dataclass(slots=True)
class Manifests:
    """Reads manifests, each content once."""

    _known: dict[tuple[str, str, str], Members] = field(default_factory=dict)

    async def read(
        self, bucket: Bucket, prefix: str, listed: Sequence[S3Object], wanted: Collection[str]
    ) -> Mapping[str, Members]:
        """
        Give what the manifests *listed* below *prefix* say, by their keys, in order and as far as any of the keys
        *wanted* is still to be found. One that was replaced or removed meanwhile is left out.

        Raises:
            BucketError: the store failed.
        StorageError: there is no room for a manifest on the disk.
        """
        left, found = set(wanted), {}
        identities = {manifest.key: (prefix, manifest.key, manifest.etag) for manifest in listed}
        self._known = {which: said for which in identities.values() if (said := self._known.get(which))}
        for manifest in listed:
            if not left:
                break
            try:
                said = self._known.get(identities[manifest.key]) or await _read(bucket, prefix, manifest)
            except (ObjectChangedError, ObjectGoneError):
                continue
            self._known[identities[manifest.key]] = found[manifest.key] = said
            left -= said if isinstance(said, frozenset) else set()
        return found


async def _read(bucket: Bucket, prefix: str, manifest: S3Object) -> Members:
    if manifest.size > MAX_BYTES:
        return ManifestError(manifest, f"it has {manifest.size} B, more than {format_size(MAX_BYTES)}")
    try:
        with tempfile.TemporaryDirectory(prefix="tidewaiter-manifest-") as folder:
            file = Path(folder) / "manifest"
            await bucket.read(manifest, file)
            content = await asyncio.to_thread(file.read_bytes)
    except OSError as error:
        raise storage_error(error, error.filename or "the folder for temporary files") from error
    try:
        return members(content, manifest, prefix)
    except ManifestError as error:
        return error


def members(content: bytes, manifest: S3Object, prefix: str) -> frozenset[str]:
    """
    Give the keys that a manifest lists: a JSON array of names, ``{"files": […]}``, ``{"entries": [{"url": "s3://…"}]}``,
    or plain text with a name in each line. Names are relative to the manifest's folder, ``s3://`` URLs absolute.

    Raises:
        ManifestError: it is none of these, lists nothing, or an object that the trigger cannot see.
    """
    try:
        text = content.decode("utf-8-sig")
        names = list(_names(text))
    except (ValueError, RecursionError) as error:
        raise ManifestError(manifest, f"it cannot be read: {str(error)[:200]}") from error
    keys = frozenset(_key(name, manifest, prefix) for name in names) - {manifest.key}
    if not keys:
        raise ManifestError(manifest, "it lists no object")
    return keys


def _names(text: str) -> Iterator[str]:
    if not text.lstrip().startswith(("[", "{")):
        yield from (line.strip() for line in text.splitlines() if line.strip())
        return
    data = json.loads(text)
    entries = data if isinstance(data, list) else next((data[key] for key in ("entries", "files") if key in data), None)
    if isinstance(entries, list):
        yield from map(_name, entries)
    else:
        raise ValueError("there is neither a list of names, nor one under 'entries' or 'files'")  # noqa: TRY004 - of text


def _name(entry: Any) -> str:
    name = entry.get("url") if isinstance(entry, Mapping) else entry
    if not isinstance(name, str) or not name:
        raise ValueError(f"{json.dumps(entry)[:80]} names no object")
    return name


def _key(name: str, manifest: S3Object, prefix: str) -> str:
    key = folder_of(manifest.key) + name
    if name.startswith(_SCHEME):
        bucket, _, key = name.removeprefix(_SCHEME).partition("/")
        if bucket != manifest.bucket:
            raise ManifestError(manifest, f"it names {name[:200]!r} in another bucket")
    if problem := danger(key):
        raise ManifestError(manifest, f"it names {name[:200]!r}: {problem}")
    if not key.startswith(prefix):
        raise ManifestError(manifest, f"it names {name[:200]!r}, which is not below the prefix '{prefix}'")
    return key
