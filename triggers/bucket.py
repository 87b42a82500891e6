"""
What Tidewaiter asks of an S3 store, and the words for what came of it. No network here: `triggers.aws` speaks to the
store.

Every call is chosen so that repeating it after a lost reply or a crash does no harm (reliability.md §3.5): reads are
pinned to an ETag, copies refuse to overwrite, deletes name the content they mean.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol

from tidewaiter.config.connection import Connection
from tidewaiter.config.errors import TidewaiterError


class BucketError(TidewaiterError):
    """
    A call to the store failed for good or for now. *cause* is the field's word for it (``AccessDenied``,
    ``NoSuchBucket`` …).

    The message names operation, bucket and key, never a credential.
    """

    def __init__(self, message: str, hint: str | None = None, *, cause: str = "Unknown") -> None:
        super().__init__(message, hint)
        self.cause = cause


class BucketUnavailableError(BucketError):
    """The store cannot be reached, is overloaded or answered 5xx: the same call may succeed later."""


class ObjectChangedError(BucketError):
    """The key holds other content than the ETag we named (412)."""


class ObjectGoneError(BucketError):
    """There is no object at the key, or that version is gone (404)."""


class DestinationExistsError(BucketError):
    """A copy or upload was refused because the destination key is taken (412 on ``If-None-Match: *``)."""


@dataclass(frozen=True, slots=True)
class S3Object:
    """One object as a listing showed it. *etag* is without quotes; *size* in bytes; *last_modified* is UTC."""

    bucket: str
    key: str
    etag: str
    size: int
    last_modified: datetime
    version_id: str | None = None
    storage_class: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """
    One page of a listing, in the store's key order. *last* is true on the page that completes the listing; *at* is the
    store's own time, if it told (reliability.md §2.1 "clock").
    """

    objects: tuple[S3Object, ...]
    last: bool
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """
    A downloaded content: its length, our own SHA-256 over all of it, and what the store said of it.

    *headers* are the others that describe it (Cache-Control, Content-Disposition, Content-Encoding, Content-Language,
    Expires), by their names in lower case. *read_at* is the store's own clock at the download (its ``Date``), UTC
    ISO-8601 with a resolution of one second; None where it did not tell.
    """

    size: int
    sha256: str
    etag: str
    version_id: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    tags: Mapping[str, str] | None = None
    read_at: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What the store knows of one object."""

    etag: str
    size: int
    last_modified: datetime
    version_id: str | None = None
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Encryption:
    """Server-side encryption for a copy: *algorithm* ``AES256`` or ``aws:kms``, and the KMS key for the latter."""

    algorithm: str
    kms_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectProperties:
    """
    How an archived copy is to differ from its object. What is None is left to the bucket; *tags* and *metadata* are
    added to the object's own, and win over those of the same name.
    """

    encryption: Encryption | None = None
    storage_class: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


AS_IT_IS = ObjectProperties()


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """A multipart upload that was begun at *initiated* (UTC) and neither completed nor aborted yet."""

    bucket: str
    key: str
    upload_id: str
    initiated: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """What the store said of an object it has just stored; *version_id* where the bucket keeps versions."""

    etag: str | None
    version_id: str | None = None


OnConflict = Literal["fail", "suffix", "overwrite", "identical"]
"""What to do when the destination of a move is taken: see `settle.Move`."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """
    What a store was seen to honour (reliability.md §2.2). A capability that could not be shown counts as absent.

    *delete_if_match*: DELETE evaluates ``If-Match``; *copy_source_if_match*: COPY evaluates the source's;
    *copy_if_none_match*: COPY and PUT evaluate the destination's; *versioning*: the bucket keeps versions, so a DELETE
    can name one. *keys* are the kinds of odd keys that do not come back from a listing as they were written (see
    `roundtrip.odd_keys`). *detail* says what was seen.
    """

    delete_if_match: bool
    copy_source_if_match: bool
    copy_if_none_match: bool
    versioning: bool
    server: str = ""
    detail: str = ""
    keys: tuple[str, ...] = ()


class Removal(Enum):
    """What a conditional DELETE found; in all three cases the content we meant is no longer at the key."""

    REMOVED = "removed"
    ALREADY_GONE = "already_gone"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Marking:
    """What a conditional DELETE without a version did, and the version id of the delete marker that it left, if any."""

    removal: Removal
    marker: str | None = None


class Bucket(Protocol):
    """
    One bucket of a store. Every method may raise `BucketError` (for good) or `BucketUnavailableError` (try again
    later).

    Destructive calls are sent once: no retry hides inside, because a retry after a lost reply turns our own success
    into a 404 or 412 (reliability.md §2.1 "retries").
    """

    name: str

    def list(
        self, prefix: str, *, start_after: str | None = None, delimiter: str | None = None, page_size: int = 1000
    ) -> AsyncIterator[Page]:
        """Give the objects below *prefix* page by page in key order (ListObjectsV2, keys URL-encoded on the wire)."""

    async def read(self, listed: S3Object, destination: Path) -> Stored:
        """
        Download exactly the listed content to *destination*, which is complete and fsynced on return and absent after a
        failure.

        Pinned by ``If-Match`` (and the version id, if any); length and SHA-256 are taken to the end of the body. A file
        that is already there is replaced, so repeating an interrupted download is harmless; a symbolic link is refused.
        Where the reply tells of tags (``x-amz-tagging-count``), they are read, too.

        Raises:
            ObjectChangedError: the key holds other content now.
            ObjectGoneError: the object is gone.
            StorageError: *destination* cannot be written.
        """

    async def head(self, key: str, *, bucket: str | None = None) -> Head | None:
        """Ask for the current object at *key*, here or in another *bucket* of the store; None if there is none."""

    async def copy(
        self,
        source: S3Object,
        bucket: str,
        key: str,
        *,
        properties: ObjectProperties = AS_IT_IS,
        overwrite: bool = False,
        like: Stored | None = None,
    ) -> str:
        """
        Copy exactly the listed content to *bucket*/*key* and give the copy's ETag.

        Sends the source's ETag as a condition, and ``If-None-Match: *`` for the destination unless *overwrite*. An
        error inside a 200 is an error. Objects over 5 GB are copied in parts, each with the condition.

        The copy keeps what describes the object, its metadata and tags among it. Where *properties* add to these the
        whole set is sent, so *like*, the download of this content, must tell what the object's own are.

        Raises:
            ObjectChangedError: the source holds other content now.
            ObjectGoneError: the source is gone.
            DestinationExistsError: the destination key is taken.
        """

    async def upload(
        self,
        source: Path,
        bucket: str,
        key: str,
        *,
        properties: ObjectProperties = AS_IT_IS,
        overwrite: bool = False,
        like: Stored | None = None,
    ) -> str | None:
        """
        Store the local file at *bucket*/*key*, with ``If-None-Match: *`` unless *overwrite*, and give its ETag.

        The object gets all that describes *like*, the download it stands for, with *properties* on top.

        Raises:
            DestinationExistsError: the destination key is taken.
        """

    async def download_digest(self, bucket: str, key: str) -> Stored:
        """Read *bucket*/*key* to the end without keeping it, for its length and SHA-256."""

    async def delete(self, listed: S3Object) -> Removal:
        """
        Remove exactly the listed content: by version id where it has one, else with ``If-Match``.

        204, 404 and 412 all mean that content is no longer at the key (reliability.md §3.3), so repeating the call is
        harmless.
        """

    async def mark_deleted(self, listed: S3Object) -> Marking:
        """
        On a versioned bucket, put a delete marker over exactly the listed content: DELETE with ``If-Match`` and without
        a version id, which is left out if *listed* has one.

        Safe to repeat where the store evaluates the condition: under a marker there is nothing that matches.
        """

    async def delete_unconditionally(self, key: str) -> None:
        """
        Remove whatever is at *key*. Only for stores without conditions, right after `head`, and for our own probe
        objects.
        """

    async def tags(self, key: str, *, version_id: str | None = None) -> dict[str, str]:
        """
        Give the tags of the object at *key*, or of one version of it (GetObjectTagging).

        Raises:
            ObjectGoneError: there is no such object or version.
            BucketError: *cause* ``NotImplemented``: the store has no tags, and gave the object itself.
        """

    async def set_tags(self, key: str, tags: Mapping[str, str], *, version_id: str | None = None) -> None:
        """
        Replace all tags of the object at *key*, or of one version of it (PutObjectTagging, which takes no condition).

        Call `tags` first and only go on if it succeeds: a store that does not know tags takes this request for an
        upload and replaces the object by it (seen on ``rclone serve s3``).

        Raises:
            ObjectGoneError: there is no such object or version.
        """

    def uploads(self, prefix: str, *, bucket: str | None = None) -> AsyncIterator[MultipartUpload]:
        """Give the unfinished multipart uploads to keys below *prefix*, here or in another *bucket* of the store."""

    async def abort_upload(self, upload: MultipartUpload) -> None:
        """Throw away an unfinished multipart upload with its parts. One that is no longer there is no error."""

    async def versioning(self) -> bool:
        """Tell whether the bucket keeps versions (GetBucketVersioning says Enabled)."""

    async def probe(self, scratch_prefix: str) -> Capabilities:
        """
        Find out, with objects of our own below *scratch_prefix*, which conditions the store honours (reliability.md
        §2.2).
        """


class Connect(Protocol):
    """Opens buckets. Connections with the same properties share one client."""

    def __call__(self, connection: Connection, bucket: str) -> AbstractAsyncContextManager[Bucket]:
        """Give *bucket* reached through *connection*; credentials are looked up at the first call, not here."""
