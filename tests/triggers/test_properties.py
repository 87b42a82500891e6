"""How an archived copy looks beside its object: what it keeps, and what it gets, on every way there."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws.bucket import PartSizes, S3Bucket
from tidewaiter.triggers.aws.clients import Clients
from tidewaiter.triggers.aws.headers import changing, describing
from tidewaiter.triggers.bucket import Encryption, ObjectProperties, S3Object, Stored

KEY, COPY = "raw/x.csv", "archive/x.csv"
MIB = 1024**2
OWN: dict[str, Any] = {
    "ContentType": "text/csv",
    "CacheControl": "no-cache",
    "ContentDisposition": "inline",
    "ContentEncoding": "gzip",
    "ContentLanguage": "de",
    "Expires": datetime(2030, 1, 1, tzinfo=UTC),
    "Metadata": {"from": "tide", "state": "new"},
}
TAGS = {"from": "the sea", "state": "new"}
GIVEN = ObjectProperties(
    storage_class="STANDARD_IA", tags={"state": "taken", "a+b": "c d"}, metadata={"State": "taken"}
)


@pytest.fixture(params=["whole", "parts"])
async def bucket(
    request: pytest.FixtureRequest, clients: Clients, connection: Connection, bucket_name: str
) -> AsyncIterator[S3Bucket]:
    """A bucket that sends everything in one request, or all but the smallest in parts."""
    small = PartSizes(copy_whole=MIB, copy_part=5 * MIB, upload_part=5 * MIB)
    async with clients(connection, bucket_name) as opened:
        yield S3Bucket(bucket_name, connection, opened._wire, small if request.param == "parts" else PartSizes())


@pytest.fixture
async def taken(bucket: S3Bucket, s3: Any, tmp_path: Path) -> tuple[S3Object, Path, Stored]:
    """An object with everything an uploader can say of it, and its download."""
    await s3.put_object(Bucket=bucket.name, Key=KEY, Body=b"x" * 6 * MIB, Tagging="from=the%20sea&state=new", **OWN)
    (listed,) = [listed async for page in bucket.list("raw/") for listed in page.objects]
    return listed, tmp_path / "data", await bucket.read(listed, tmp_path / "data")


async def look(s3: Any, bucket: S3Bucket) -> tuple[dict[str, Any], dict[str, str]]:
    """Give what describes the copy, and its tags, as another client sees them."""
    head = await s3.head_object(Bucket=bucket.name, Key=COPY)
    tags = await s3.get_object_tagging(Bucket=bucket.name, Key=COPY)
    shown = {name: head.get(name) for name in [*OWN, "StorageClass"]}
    return shown, {tag["Key"]: tag["Value"] for tag in tags["TagSet"]}


async def archive(way: str, bucket: S3Bucket, taken: Any, properties: ObjectProperties) -> None:
    listed, file, stored = taken
    if way == "copy":
        await bucket.copy(listed, bucket.name, COPY, properties=properties, like=stored)
    else:
        await bucket.upload(file, bucket.name, COPY, properties=properties, like=stored)


@pytest.mark.parametrize("way", ["copy", "upload"])
async def test_a_copy_keeps_what_describes_its_object(way: str, bucket: S3Bucket, taken: Any, s3: Any) -> None:
    """Metadata, tags and headers are those of the object, whichever way it comes to the archive."""
    await archive(way, bucket, taken, ObjectProperties())
    shown, tags = await look(s3, bucket)
    assert shown == {**OWN, "StorageClass": None}
    assert tags == TAGS


@pytest.mark.parametrize("way", ["copy", "upload"])
async def test_a_copy_gets_what_it_is_given(way: str, bucket: S3Bucket, taken: Any, s3: Any) -> None:
    """Storage class, tags and metadata are added; what is not given stays as it was."""
    await archive(way, bucket, taken, GIVEN)
    shown, tags = await look(s3, bucket)
    assert shown == {**OWN, "Metadata": {"from": "tide", "state": "taken"}, "StorageClass": "STANDARD_IA"}
    assert tags == {**TAGS, "state": "taken", "a+b": "c d"}


async def test_a_copy_without_a_download_keeps_it_too(bucket: S3Bucket, taken: Any, s3: Any) -> None:
    """Where nobody tells what describes the object, the store is asked."""
    await bucket.copy(taken[0], bucket.name, COPY)
    shown, tags = await look(s3, bucket)
    assert (shown["Metadata"], shown["CacheControl"], tags) == (OWN["Metadata"], "no-cache", TAGS)


async def test_a_download_tells_what_describes_the_object(taken: Any) -> None:
    """Headers, metadata and tags come along, and the time by the store's clock."""
    stored = taken[2]
    assert (stored.content_type, stored.metadata, stored.tags) == ("text/csv", OWN["Metadata"], TAGS)
    assert stored.headers == {
        "cache-control": "no-cache",
        "content-disposition": "inline",
        "content-encoding": "gzip",
        "content-language": "de",
        "expires": "Tue, 01 Jan 2030 00:00:00 GMT",
    }
    assert abs(datetime.now(UTC) - datetime.fromisoformat(stored.read_at)) < timedelta(minutes=1)


def test_a_copy_sends_only_what_changes() -> None:
    """COPY keeps metadata and tags by itself: they are not sent unless something is added to them."""
    stored = Stored(1, "", "", content_type="text/csv", metadata={"a": "1"}, tags={"b": "2"})
    assert {name for name, value in changing(ObjectProperties(), stored).items() if value} == set()
    tagged = changing(ObjectProperties(tags={"c": "3"}), stored)
    assert (tagged["x-amz-tagging"], tagged["x-amz-tagging-directive"]) == ("b=2&c=3", "REPLACE")
    assert "x-amz-metadata-directive" not in tagged


def test_encryption_is_asked_for_in_any_case() -> None:
    """A copy and an upload ask for the same encryption."""
    properties = ObjectProperties(Encryption("aws:kms", "key-1"))
    for headers in (changing(properties, None), describing(properties, None)):
        assert {name: value for name, value in headers.items() if value} == {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
        }
