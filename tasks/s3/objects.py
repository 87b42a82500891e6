"""The tasks that change a store: Copy, Delete, DeleteList and CreateBucket."""

import asyncio
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidewaiter.config.connection import AwsConnection, MinioConnection
from tidewaiter.config.errors import TaskError
from tidewaiter.config.fields import Optional, Text
from tidewaiter.config.spec import Dynamic, Spec
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.objectstore import Listed, ObjectBucket
from tidewaiter.tasks.s3.downloads import encryption_headers
from tidewaiter.tasks.s3.listing import AwsListing, ListingSpec, MinioListing, Required, StoreSpec, matching


class CopyFrom(Spec):
    """The object to copy, or one version of it."""

    bucket: Dynamic[Required]
    """The bucket."""
    key: Dynamic[Required]
    """The key."""
    version_id: Dynamic[Optional] = None
    """A version of it."""
    server_side_encryption: Dynamic[Optional] = None
    """Has no effect: *to* says how the copy is encrypted."""
    kms_key_id: Dynamic[Optional] = None
    """Has no effect: *to* says how the copy is encrypted."""


class CopyTo(Spec):
    """Where the copy goes; what is left out is that of the source."""

    bucket: Dynamic[Optional] = None
    """The bucket; that of the source without it."""
    key: Dynamic[Optional] = None
    """The key; that of the source without it."""
    server_side_encryption: Dynamic[Literal["AES256", "AWS_KMS", "NONE"] | None] = None
    """How the store encrypts the copy."""
    kms_key_id: Dynamic[Optional] = None
    """The key for ``AWS_KMS``; the account's own without it."""


class CopySpec(StoreSpec):
    """An object to copy, in place of what is at its destination; with *delete* the source is removed afterwards."""

    from_: Annotated[CopyFrom, Field(alias="from")]
    """What to copy."""
    to: CopyTo = CopyTo()
    """Where to."""
    delete: Dynamic[bool] = False
    """Remove the source afterwards."""


class Copy(AwsConnection, CopySpec):
    """Copy an object (Kestra's documentation of ``aws.s3.Copy``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.aws.s3.Copy",)


class MinioCopy(MinioConnection, CopySpec):
    """Copy an object (Kestra's documentation of ``minio.Copy``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.minio.Copy",)


class DeleteSpec(StoreSpec):
    """An object to remove, whatever is at its key; one that is not there is no error."""

    bucket: Dynamic[Required]
    """The bucket."""
    key: Dynamic[Required]
    """The key."""
    bypass_governance_retention: Dynamic[bool | None] = None
    """Remove it though it is locked in governance mode."""


class Delete(AwsConnection, DeleteSpec):
    """Remove an object (Kestra's documentation of ``aws.s3.Delete``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.aws.s3.Delete",)

    mfa: Dynamic[Optional] = None
    """The device and its code, where the bucket asks for them."""


class MinioDelete(MinioConnection, DeleteSpec):
    """Remove an object (Kestra's documentation of ``minio.Delete``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.minio.Delete",)


class DeleteListSpec(ListingSpec):
    """Objects to remove, *concurrent* at a time; with *error_on_empty* it is an error if there are none."""

    concurrent: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many at once."""
    error_on_empty: Dynamic[bool] = False
    """Fail if there are none."""


class DeleteList(AwsListing, DeleteListSpec):
    """Remove objects, at most *max_keys* (Kestra's documentation of ``aws.s3.DeleteList``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.aws.s3.DeleteList",)


class MinioDeleteList(MinioListing, DeleteListSpec):
    """Remove objects (Kestra's documentation of ``minio.DeleteList``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.minio.DeleteList",)


class CreateBucket(AwsConnection, StoreSpec):
    """Create a bucket in the connection's region (Kestra's documentation of ``aws.s3.CreateBucket``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.aws.s3.CreateBucket",)

    bucket: Dynamic[Required]
    """The bucket's name."""
    acl: Dynamic[Text | None] = None
    """A canned access list."""
    grant_full_control: Dynamic[Text | None] = None
    """Who may do everything."""
    grant_read: Dynamic[Text | None] = None
    """Who may list its objects."""
    grant_read_acp: Annotated[Dynamic[Text | None], Field(alias="grantReadACP")] = None
    """Who may read its access list."""
    grant_write: Dynamic[Text | None] = None
    """Who may write objects."""
    grant_write_acp: Annotated[Dynamic[Text | None], Field(alias="grantWriteACP")] = None
    """Who may write its access list."""
    object_lock_enabled_for_bucket: Dynamic[bool | None] = None
    """Let its objects be locked."""


class MinioCreateBucket(MinioConnection, StoreSpec):
    """Create a bucket unless there is one (Kestra's documentation of ``minio.CreateBucket``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.minio.CreateBucket",)

    bucket: Dynamic[Required]
    """The bucket's name."""
    object_lock_enabled_for_bucket: Dynamic[bool | None] = None
    """Let its objects be locked."""


async def run_copy(spec: Copy | MinioCopy, context: TaskContext) -> Result:
    """
    Do a `Copy` task: outputs ``bucket``, ``key`` and ``eTag`` of the copy.

    Raises:
        TaskError: the source would be deleted though it is its own copy.
    """
    source, to = spec.from_, spec.to
    bucket_name, key = to.bucket or source.bucket, to.key or source.key
    if spec.delete and (bucket_name, key) == (source.bucket, source.key):
        raise TaskError("the object would be copied onto itself and then deleted", "name another destination in 'to'")
    headers = encryption_headers(to.server_side_encryption, to.kms_key_id)
    async with context.stores(spec.connection(), source.bucket) as bucket:
        etag = await bucket.copy_as(source.key, bucket_name, key, version_id=source.version_id, headers=headers)
        if spec.delete:
            await bucket.remove(source.key)
    return Result(outputs={"bucket": bucket_name, "key": key, "eTag": etag})


async def run_delete(spec: Delete | MinioDelete, context: TaskContext) -> Result:
    """Do a `Delete` task: outputs ``bucket``, ``key``, ``versionId``, ``deleteMarker`` and ``requestCharged``."""
    headers = {
        "x-amz-bypass-governance-retention": "true" if spec.bypass_governance_retention else None,
        "x-amz-mfa": spec.mfa if isinstance(spec, Delete) else None,
    }
    async with context.stores(spec.connection(), spec.bucket) as bucket:
        removed = await bucket.remove(spec.key, headers)
    told = {
        "versionId": removed.version_id,
        "deleteMarker": removed.delete_marker,
        "requestCharged": removed.request_charged,
    }
    return Result(outputs={"bucket": spec.bucket, "key": spec.key, **told})


async def run_delete_list(spec: DeleteList | MinioDeleteList, context: TaskContext) -> Result:
    """
    Do a `DeleteList` task: outputs ``count`` and ``size``, of all objects together in bytes.

    Raises:
        TaskError: there are none, and *error_on_empty* is set.
    """
    async with context.stores(spec.connection(), spec.bucket) as bucket:
        count, size = await _deleted(spec, bucket)
    if not count and spec.error_on_empty:
        raise TaskError(f"no object of bucket '{spec.bucket}' matches", "errorOnEmpty: false accepts that")
    context.log("INFO", f"deleted {count} objects of {size} bytes")
    return Result(outputs={"count": count, "size": size})


async def _deleted(spec: DeleteListSpec, bucket: ObjectBucket) -> tuple[int, int]:
    """Delete what matches, as it is listed; gives how many objects that were, and their size."""
    limit = min(spec.limits.values(), default=None)
    count = size = 0
    batch: list[Listed] = []
    async for item in matching(spec, bucket):
        if count + len(batch) == limit:
            break
        batch.append(item)
        if len(batch) == (spec.concurrent or 1):
            count, size = count + len(batch), size + await _delete_all(bucket, batch)
            batch = []
    return count + len(batch), size + await _delete_all(bucket, batch)


async def _delete_all(bucket: ObjectBucket, batch: list[Listed]) -> int:
    """Delete these at once; gives their size. Raises what the first failure raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for item in batch:
                group.create_task(bucket.remove(item.key))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return sum(item.size for item in batch)


async def run_create_bucket(spec: CreateBucket, context: TaskContext) -> Result:
    """Do a `CreateBucket` task: outputs ``bucket`` and ``region``, which is where the store says the bucket is."""
    headers = {
        "x-amz-acl": spec.acl,
        "x-amz-grant-full-control": spec.grant_full_control,
        "x-amz-grant-read": spec.grant_read,
        "x-amz-grant-read-acp": spec.grant_read_acp,
        "x-amz-grant-write": spec.grant_write,
        "x-amz-grant-write-acp": spec.grant_write_acp,
        "x-amz-bucket-object-lock-enabled": "true" if spec.object_lock_enabled_for_bucket else None,
    }
    async with context.stores(spec.connection(), spec.bucket) as bucket:
        return Result(outputs={"bucket": spec.bucket, "region": await bucket.create(headers)})


async def run_create_minio_bucket(spec: MinioCreateBucket, context: TaskContext) -> Result:
    """Do a `MinioCreateBucket` task: its output is ``bucket``. Idempotent."""
    headers = {"x-amz-bucket-object-lock-enabled": "true" if spec.object_lock_enabled_for_bucket else None}
    async with context.stores(spec.connection(), spec.bucket) as bucket:
        if not await bucket.exists():
            await bucket.create(headers)
    return Result(outputs={"bucket": spec.bucket})
