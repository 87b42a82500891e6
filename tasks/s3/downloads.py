"""The tasks Download and Downloads: objects become files in internal storage."""

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from tidewaiter.config.connection import MinioConnection
from tidewaiter.config.errors import TaskError
from tidewaiter.config.fields import Optional, Text
from tidewaiter.config.spec import Dynamic, Spec
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.lines import Steps, in_steps
from tidewaiter.tasks.objectstore import Fetched, Headers, Listed, ObjectBucket
from tidewaiter.tasks.s3.listing import (
    AwsFiles,
    Filter,
    ListingSpec,
    MinioListing,
    Required,
    StoreSpec,
    described,
    selected,
)

_CHUNK = 1 << 20


class Download(AwsFiles):
    """
    Keep the object at *key*, or all those that *prefix*, *delimiter* or *regexp* select, as files (Kestra's
    documentation of ``aws.s3.Download``). With *validate_checksum* the checksum that the store keeps must be that of
    what arrived; SHA256, SHA1 and CRC32 of whole objects can be compared.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.aws.s3.Download",)

    key: Dynamic[Optional] = None
    """The key of one object."""
    version_id: Dynamic[Optional] = None
    """A version of it."""
    filter: Dynamic[Filter] = "FILES"
    """Take objects, folder markers (their key ends with a slash), or both."""
    validate_checksum: Dynamic[bool] = False
    """Compare the store's checksum with that of what arrived."""


class MinioDownload(MinioConnection, StoreSpec):
    """Keep the object at *key* as a file (Kestra's documentation of ``minio.Download``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.minio.Download",)

    bucket: Dynamic[Required]
    """The bucket."""
    key: Dynamic[Required]
    """The key of the object."""
    version_id: Dynamic[Optional] = None
    """A version of it."""


class MoveTarget(Spec):
    """Where ``action: MOVE`` puts objects: below the folder *key*, each with its own name, in *bucket* or the same."""

    bucket: Dynamic[Optional] = None
    """The bucket; the same without it."""
    key: Dynamic[Text]
    """The folder."""
    server_side_encryption: Dynamic[Literal["AES256", "AWS_KMS", "NONE"] | None] = None
    """How the store encrypts the copy."""
    kms_key_id: Dynamic[Optional] = None
    """The key for ``AWS_KMS``; the account's own without it."""

    @property
    def headers(self) -> Headers:
        """How the copy is to be encrypted."""
        return encryption_headers(self.server_side_encryption, self.kms_key_id)

    def key_of(self, key: str) -> str:
        """Give the new key of the object at *key* (kestra.md Q3)."""
        folder = self.key.rstrip("/")
        return (f"{folder}/" if folder else "") + key.rpartition("/")[2]


def encryption_headers(algorithm: str | None, kms_key_id: str | None) -> Headers:
    """Ask for an encryption in the words of S3."""
    return {
        "x-amz-server-side-encryption": {"AES256": "AES256", "AWS_KMS": "aws:kms"}.get(algorithm or ""),
        "x-amz-server-side-encryption-aws-kms-key-id": kms_key_id if algorithm == "AWS_KMS" else None,
    }


class DownloadsSpec(ListingSpec):
    """
    Objects to keep as files, and what is done to each afterwards: ``MOVE`` to *move_to*, ``DELETE`` or nothing. Folder
    markers are left alone. Only the content that was kept is moved or deleted, and a move replaces nothing.
    """

    action: Dynamic[Literal["MOVE", "DELETE", "NONE"]] = "NONE"
    """What to do with each object once it is kept."""
    move_to: MoveTarget | None = None
    """Where ``MOVE`` puts them."""

    @model_validator(mode="after")
    def _has_destination(self) -> Self:
        if self.action == "MOVE" and self.move_to is None:
            raise PydanticCustomError("downloads", "action MOVE needs a destination: add 'moveTo: {key: archive/}'")
        return self


class Downloads(AwsFiles, DownloadsSpec):
    """Keep objects as files (Kestra's documentation of ``aws.s3.Downloads``); *validate_checksum* as in `Download`."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.aws.s3.Downloads",)

    validate_checksum: Dynamic[bool] = False
    """Compare the store's checksum with that of what arrived."""


class MinioDownloads(MinioListing, DownloadsSpec):
    """Keep objects as files (Kestra's documentation of ``minio.Downloads``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.minio.Downloads",)


async def run_download(spec: Download | MinioDownload, context: TaskContext) -> Result:
    """
    Do a `Download` task: outputs ``uri``, ``contentLength``, ``contentType``, ``metadata``, ``eTag``, ``versionId`` and
    the checksum; of several objects ``files``, which has these of each by its key.

    Raises:
        TaskError: neither a key nor a selection is given, or a checksum differs.
    """
    if isinstance(spec, Download) and (spec.prefix or spec.delimiter or spec.regexp):
        return await _download_all(spec, context)
    if not spec.key:
        raise TaskError("neither a key nor a selection is given", "set key, or prefix, delimiter or regexp")
    async with context.stores(spec.connection(), spec.bucket) as bucket:
        validating = isinstance(spec, Download) and spec.validate_checksum
        return Result(outputs=await _kept(bucket, spec.key, context, version_id=spec.version_id, validating=validating))


async def _download_all(spec: Download, context: TaskContext) -> Result:
    async with context.stores(spec.connection(), spec.bucket) as bucket:
        found = await selected(spec, bucket, context)
        if not found:
            context.log("WARN", f"no object of bucket '{spec.bucket}' matches")
        files = {
            item.key: await _kept(bucket, item.key, context, etag=item.etag, validating=spec.validate_checksum)
            for item in found
        }
    return Result(outputs={"files": files})


async def run_downloads(spec: Downloads | MinioDownloads, context: TaskContext) -> Result:
    """
    Do a `Downloads` task: outputs ``objects``, each with the ``uri`` of its file, ``outputFiles`` (key to URI) and
    ``totalSize``. Objects are moved or deleted when all of them have been kept.
    """
    validating = isinstance(spec, Downloads) and spec.validate_checksum
    async with context.stores(spec.connection(), spec.bucket) as bucket:
        found = [item for item in await selected(spec, bucket, context) if not item.key.endswith("/")]
        uris = {
            item.key: (await _kept(bucket, item.key, context, etag=item.etag, validating=validating))["uri"]
            for item in found
        }
        for item in found:
            await _act(spec, bucket, item, context)
    objects = [{"uri": uris[item.key], **described(item)} for item in found]
    total = sum(item.size for item in found)
    return Result(outputs={"objects": objects, "outputFiles": uris, "totalSize": total})


async def _act(spec: DownloadsSpec, bucket: ObjectBucket, item: Listed, context: TaskContext) -> None:
    if spec.action == "DELETE" and not await bucket.discard(item.key, item.etag):
        context.log("WARN", f"{item.key!r} was not deleted: it holds other content than the one that was kept")
    elif spec.action == "MOVE" and spec.move_to:
        target = spec.move_to
        destination = target.bucket or bucket.name
        await bucket.move_as(item.key, item.etag, destination, target.key_of(item.key), target.headers)


async def _kept(
    bucket: ObjectBucket,
    key: str,
    context: TaskContext,
    *,
    version_id: str | None = None,
    etag: str | None = None,
    validating: bool = False,
) -> dict[str, Any]:
    """Keep an object as a file of internal storage, called as the object is, made safe."""
    path = context.scratch / "object"
    fetched = await bucket.fetch(key, path, version_id=version_id, etag=etag)
    checksum = await in_steps(_checksum(path, key, fetched)) if validating else {}
    stored = fetched.stored
    return {
        "uri": await context.files.store(path, key.rpartition("/")[2] or "object"),
        "contentLength": stored.size,
        "contentType": stored.content_type,
        "metadata": dict(stored.metadata or {}),
        "eTag": stored.etag,
        "versionId": stored.version_id,
        **checksum,
    }


class _Crc32:
    """CRC-32 with the interface of `hashlib`."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


_COMPARABLE: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {"SHA256": hashlib.sha256, "SHA1": lambda: hashlib.sha1(usedforsecurity=False), "CRC32": _Crc32}
)


def _checksum(path: Path, key: str, fetched: Fetched) -> Steps[dict[str, str]]:
    """Compare the first checksum that can be; one of several parts (``…-2``) cannot. Gives what was compared."""
    known = (name for name in _COMPARABLE if "-" not in fetched.checksums.get(name, "-"))
    algorithm = next(known, None)
    if algorithm is None:
        return {}
    sum_, expected = _COMPARABLE[algorithm](), fetched.checksums[algorithm]
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sum_.update(chunk)
            yield
    if base64.b64encode(sum_.digest()).decode() != expected:
        raise TaskError(
            f"the {algorithm} of {key!r} is not the one that the store keeps ({expected})",
            "the object is damaged: upload it again",
        )
    return {"checksumAlgorithm": algorithm, "checksumValue": expected}
