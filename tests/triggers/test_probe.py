"""What the probe finds out about real stores, and what it leaves behind."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import Bucket, BucketError, BucketUnavailableError, Connection
from tidewaiter.triggers.keys import is_probe


async def keys(bucket: Bucket) -> list[str]:
    return [listed.key async for page in bucket.list("") for listed in page.objects]


async def test_a_strict_store(bucket: Bucket) -> None:
    """SeaweedFS honours every condition."""
    seen = await bucket.probe("scratch/")
    assert (seen.delete_if_match, seen.copy_source_if_match, seen.copy_if_none_match) == (True, True, True)
    assert seen.versioning is False
    assert "SeaweedFS" in seen.server
    assert seen.detail == ""


async def test_a_weak_store(weak_bucket: Bucket) -> None:
    """The store of rclone accepts every condition and honours none; the detail tells how that showed."""
    seen = await weak_bucket.probe("scratch/")
    assert (seen.delete_if_match, seen.copy_source_if_match, seen.copy_if_none_match) == (False, False, False)
    assert "was not refused" in seen.detail
    assert "DELETE If-Match" in seen.detail


async def test_nothing_is_left(any_bucket: Bucket) -> None:
    """Every probe object is removed, whatever the store can."""
    await any_bucket.probe("scratch/")
    assert await keys(any_bucket) == []


async def test_a_versioned_bucket(bucket: Bucket, s3: Any) -> None:
    """Versions are recognised, and neither versions nor delete markers are left."""
    await s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    seen = await bucket.probe("")
    assert (seen.versioning, seen.copy_source_if_match, seen.copy_if_none_match) == (True, True, True)
    left = await s3.list_object_versions(Bucket=bucket.name)
    assert (left.get("Versions"), left.get("DeleteMarkers")) == (None, None)


@pytest.fixture
def forbid(s3: Any, bucket: Bucket) -> Callable[[str], Awaitable[None]]:
    """Forbid one kind of request to everybody."""

    async def forbid(action: str) -> None:
        denied = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": f"arn:aws:s3:::{bucket.name}/*"}
        policy = {"Version": "2012-10-17", "Statement": [denied]}
        await s3.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(policy))

    return forbid


async def test_a_forbidden_probe_names_the_permission(bucket: Bucket, forbid: Callable) -> None:
    """A probe that must not write says which permission it needs."""
    await forbid("s3:PutObject")
    with pytest.raises(BucketError) as caught:
        await bucket.probe("scratch/")
    assert caught.value.cause == "AccessDenied"
    assert "s3:PutObject" in (caught.value.hint or "")


async def test_remains_of_a_probe_are_recognisable(bucket: Bucket, forbid: Callable) -> None:
    """What a probe could not remove is an error, and known to be ours."""
    await forbid("s3:DeleteObject")
    with pytest.raises(BucketError) as caught:
        await bucket.probe("scratch/")
    assert caught.value.cause == "AccessDenied"
    left = await keys(bucket)
    assert left
    assert all(is_probe(key) for key in left)


async def test_a_store_that_is_down_is_not_a_weak_store(clients: Clients) -> None:
    """No answer is no finding."""
    connection = Connection("us-east-1", "http://127.0.0.1:9", "key", "secret")
    async with clients(connection, "b-1") as bucket:
        with pytest.raises(BucketUnavailableError):
            await bucket.probe("scratch/")
