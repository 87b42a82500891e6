"""Copies and uploads in parts, with limits small enough to test."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from faults.proxy import proxy_to
from stores.seaweedfs import Store

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws.bucket import PartSizes, S3Bucket
from tidewaiter.triggers.aws.clients import Clients
from tidewaiter.triggers.aws.multipart import part_ranges
from tidewaiter.triggers.bucket import (
    BucketError,
    DestinationExistsError,
    MultipartUpload,
    ObjectChangedError,
    ObjectGoneError,
    S3Object,
)

MIB = 1024**2
CONTENT = bytes(range(256)) * (11 * MIB // 256) + b"end"


@pytest.fixture
async def bucket(clients: Clients, connection: Connection, bucket_name: str) -> AsyncIterator[S3Bucket]:
    """A bucket that takes 5 MiB for large."""
    async with clients(connection, bucket_name) as opened:
        yield S3Bucket(
            bucket_name, connection, opened._wire, PartSizes(copy_whole=MIB, copy_part=5 * MIB, upload_part=5 * MIB)
        )


@pytest.fixture
async def listed(bucket: S3Bucket, s3: Any) -> S3Object:
    await s3.put_object(
        Bucket=bucket.name, Key="raw/a", Body=CONTENT, ContentType="text/csv", Metadata={"from": "tide"}
    )
    (listed,) = [listed async for page in bucket.list("raw/") for listed in page.objects]
    return listed


async def unfinished(s3: Any, bucket: S3Bucket) -> list[Any]:
    return (await s3.list_multipart_uploads(Bucket=bucket.name)).get("Uploads", [])


def test_parts_cover_every_byte_once() -> None:
    """Parts are numbered from 1 and follow each other without gap or overlap."""
    assert list(part_ranges(11, 5)) == [(1, 0, 4), (2, 5, 9), (3, 10, 10)]


def test_parts_grow_when_there_would_be_too_many() -> None:
    """S3 takes 10,000 parts at most."""
    assert len(list(part_ranges(50 * 1024**4, 5 * MIB))) == 10_000


async def test_copies_in_parts(bucket: S3Bucket, listed: S3Object, s3: Any) -> None:
    """The copy has the same bytes, type and metadata."""
    etag = await bucket.copy(listed, bucket.name, "archive/a")
    copied = await bucket.download_digest(bucket.name, "archive/a")
    assert (copied.sha256, copied.content_type, copied.metadata) == (
        hashlib.sha256(CONTENT).hexdigest(), "text/csv", {"from": "tide"})  # fmt: skip
    assert etag.endswith("-3")
    assert await unfinished(s3, bucket) == []


async def test_unfinished_uploads_are_listed_and_aborted(bucket: S3Bucket, s3: Any) -> None:
    """Uploads below the prefix are shown with key, id and time; an aborted one is gone, and again is no error."""
    for key in ("archive/a+b é", "archive/b", "other/c"):
        await s3.create_multipart_upload(Bucket=bucket.name, Key=key)
    uploads = [upload async for upload in bucket.uploads("archive/")]
    assert {upload.key for upload in uploads} == {"archive/a+b é", "archive/b"}
    assert all(abs(datetime.now(UTC) - upload.initiated) < timedelta(minutes=1) for upload in uploads)
    for upload in uploads * 2:
        await bucket.abort_upload(upload)
    (other,) = [upload async for upload in bucket.uploads("")]
    assert other.key == "other/c"
    await bucket.abort_upload(other)


@pytest.mark.parametrize(
    "body",
    [
        "<Error><Code>InternalError</Code></Error>",
        "<ListMultipartUploadsResult><Upload><Key>archive/a</Key>",
        "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
    ],
)
async def test_half_a_list_of_uploads_is_an_error(
    clients: Clients, connection: Connection, seaweedfs: Store, bucket_name: str, body: str
) -> None:
    """An error inside a 200, a reply cut off, or another document tells nothing of uploads."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=body)

    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        proxy.rules.append(answer)
        async with clients(replace(connection, endpoint_url=proxy.endpoint_url), bucket_name) as bucket:
            with pytest.raises(BucketError):
                _ = [upload async for upload in bucket.uploads("archive/")]


async def test_an_upload_that_never_was_is_no_error(bucket: S3Bucket) -> None:
    """The store knows no such upload: it need not be aborted."""
    await bucket.abort_upload(MultipartUpload(bucket.name, "archive/a", "none", datetime.now(UTC)))


async def test_never_copies_parts_over_an_object(bucket: S3Bucket, listed: S3Object, s3: Any) -> None:
    """A taken destination is found out at the end, and the parts are thrown away."""
    await s3.put_object(Bucket=bucket.name, Key="archive/a", Body=b"precious")
    with pytest.raises(DestinationExistsError):
        await bucket.copy(listed, bucket.name, "archive/a")
    assert (await bucket.download_digest(bucket.name, "archive/a")).size == len(b"precious")
    assert await unfinished(s3, bucket) == []


async def test_never_copies_parts_of_other_content(bucket: S3Bucket, listed: S3Object, s3: Any) -> None:
    """Each part names the content it means; when that is replaced nothing is copied."""
    await s3.put_object(Bucket=bucket.name, Key="raw/a", Body=CONTENT[::-1])
    with pytest.raises(ObjectChangedError):
        await bucket.copy(listed, bucket.name, "archive/a")
    assert await bucket.head("archive/a") is None
    assert await unfinished(s3, bucket) == []


async def test_reports_a_vanished_large_source(bucket: S3Bucket, listed: S3Object) -> None:
    """Copying what somebody else removed is `ObjectGoneError`."""
    with pytest.raises(ObjectGoneError):
        await bucket.copy(replace(listed, key="raw/none"), bucket.name, "archive/a")


async def test_uploads_in_parts(bucket: S3Bucket, tmp_path: Path, s3: Any) -> None:
    """A large file becomes one object with the same bytes."""
    (tmp_path / "local").write_bytes(CONTENT)
    await bucket.upload(tmp_path / "local", bucket.name, "archive/a")
    uploaded = await bucket.download_digest(bucket.name, "archive/a")
    assert uploaded.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert await unfinished(s3, bucket) == []


async def test_never_uploads_parts_over_an_object(bucket: S3Bucket, tmp_path: Path, s3: Any) -> None:
    """A taken destination is refused for a large file, too."""
    (tmp_path / "local").write_bytes(CONTENT)
    await s3.put_object(Bucket=bucket.name, Key="archive/a", Body=b"precious")
    with pytest.raises(DestinationExistsError):
        await bucket.upload(tmp_path / "local", bucket.name, "archive/a")
    assert await unfinished(s3, bucket) == []
