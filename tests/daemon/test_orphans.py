"""Unfinished uploads of our own are thrown away in time, and nobody else's ever."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from workshop.builders import item

from tidewaiter.config.connection import Connection
from tidewaiter.daemon.journal import Journal
from tidewaiter.daemon.journal.claims import Arrival, Claim
from tidewaiter.daemon.orphans import Orphans
from tidewaiter.daemon.records import Detection
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.s3 import MinioTrigger
from tidewaiter.triggers.settle import suffixed

# The store's clock may be a little ahead of ours.
AT_ONCE = timedelta(minutes=-1)


@pytest.fixture
def moving(connection: Connection, bucket_name: str) -> Callable[..., MinioTrigger]:
    """A trigger that moves objects to ``archive/``."""

    def moving(**properties: Any) -> MinioTrigger:
        return MinioTrigger(
            **{
                "id": "t", "type": "minio.Trigger", "bucket": bucket_name, "prefix": "raw/", "action": "MOVE",
                "move_to": {"key": "archive"}, "endpoint": connection.endpoint_url, "region": connection.region,
                "access_key_id": connection.access_key_id, "secret_key_id": connection.secret_key_id,
            } | properties
        )  # fmt: skip

    return moving


@pytest.fixture
async def begin(s3: Any, bucket_name: str) -> AsyncIterator[Callable]:
    """Begins uploads, and aborts in the end what is left of them."""

    async def begin(*keys: str) -> None:
        for key in keys:
            upload = await s3.create_multipart_upload(Bucket=bucket_name, Key=key)
            await s3.upload_part(
                Bucket=bucket_name, Key=key, UploadId=upload["UploadId"], PartNumber=1, Body=b"x" * 1024
            )

    yield begin
    for upload in (await s3.list_multipart_uploads(Bucket=bucket_name)).get("Uploads", []):
        await s3.abort_multipart_upload(Bucket=bucket_name, Key=upload["Key"], UploadId=upload["UploadId"])


async def left(s3: Any, bucket: str) -> list[str]:
    return [upload["Key"] for upload in (await s3.list_multipart_uploads(Bucket=bucket)).get("Uploads", [])]


async def claimed(intake: Any, bucket: str, key: str) -> Detection:
    """An object that is to be archived at *bucket*/*key*."""
    claim = Claim(Arrival(item(f"raw/{key}"), "CREATE"), (bucket, key))
    [detection] = await intake.journal.detections.claim(intake.source, [[claim]])
    return detection


async def test_our_own_are_aborted(
    intake: Any, journal: Journal, clients: Clients, s3: Any, bucket_name: str, moving: Callable, begin: Callable
) -> None:
    """Uploads to a destination of ours, under its name or that with the suffix, go; all others stay."""
    detection = await claimed(intake, bucket_name, "archive/a.csv")
    ours = ["archive/a.csv", suffixed("archive/a.csv", detection.id)]
    others = ["archive/b.csv", "archive/a~01JABCDEFGHJKMNPQRSTVWXYZ0.csv", suffixed("archive/c.csv", detection.id)]
    await begin(*ours, *others, "elsewhere/a.csv")
    await Orphans(journal, clients, lambda: [moving()], AT_ONCE).step()
    assert sorted(await left(s3, bucket_name)) == sorted([*others, "elsewhere/a.csv"])


async def test_a_destination_in_another_bucket_is_not_ours(
    intake: Any, journal: Journal, clients: Clients, s3: Any, bucket_name: str, moving: Callable, begin: Callable
) -> None:
    """The same key in another bucket is somebody else's."""
    await claimed(intake, "another-bucket", "archive/a.csv")
    await begin("archive/a.csv")
    await Orphans(journal, clients, lambda: [moving()], AT_ONCE).step()
    assert await left(s3, bucket_name) == ["archive/a.csv"]


async def test_young_ones_may_be_at_work(
    intake: Any, journal: Journal, clients: Clients, s3: Any, bucket_name: str, moving: Callable, begin: Callable
) -> None:
    """What began today may still be completed."""
    await claimed(intake, bucket_name, "archive/a.csv")
    await begin("archive/a.csv")
    assert await Orphans(journal, clients, lambda: [moving()]).step() == timedelta(days=1)
    assert await left(s3, bucket_name) == ["archive/a.csv"]


async def test_one_store_in_trouble_does_not_keep_others(
    intake: Any, journal: Journal, clients: Clients, s3: Any, bucket_name: str, moving: Callable, begin: Callable
) -> None:
    """A bucket that cannot be asked is left for the next time, and the rest is done."""
    await claimed(intake, bucket_name, "archive/a.csv")
    await begin("archive/a.csv")
    specs = [moving(bucket="no-such-bucket"), moving()]
    assert await Orphans(journal, clients, lambda: specs, AT_ONCE).step() == timedelta(days=1)
    assert await left(s3, bucket_name) == []
