"""What the probe finds out about real stores, and what it leaves behind."""

import json
import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from faults.proxy import Proxy, is_delete, proxy_to
from stores.seaweedfs import Store

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import Bucket, BucketError, BucketUnavailableError
from tidewaiter.triggers.keys import is_probe
from tidewaiter.triggers.probe import probe
from tidewaiter.triggers.roundtrip import odd_keys

MOST_REQUESTS = 31


async def keys(bucket: Bucket) -> list[str]:
    return [listed.key async for page in bucket.list("") for listed in page.objects]


async def test_a_strict_store(bucket: Bucket) -> None:
    """SeaweedFS honours every condition."""
    seen = await bucket.probe("scratch/")
    assert (seen.delete_if_match, seen.copy_source_if_match, seen.copy_if_none_match) == (True, True, True)
    assert seen.versioning is False
    assert "SeaweedFS" in seen.server
    assert seen.keys == ("'//'", "'/../'")
    assert seen.detail == "keys that do not come back as written: '//', '/../'"


async def test_a_weak_store(weak_bucket: Bucket) -> None:
    """The store of rclone accepts every condition and honours none; the detail tells how that showed."""
    seen = await weak_bucket.probe("scratch/")
    assert (seen.delete_if_match, seen.copy_source_if_match, seen.copy_if_none_match) == (False, False, False)
    assert "was not refused" in seen.detail
    assert "DELETE If-Match" in seen.detail
    assert seen.keys == ("'//'", "'/../'")


async def test_nothing_is_left(any_bucket: Bucket) -> None:
    """Every probe object is removed, whatever the store can."""
    await any_bucket.probe("scratch/")
    assert await keys(any_bucket) == []


async def test_a_versioned_bucket(bucket: Bucket, s3: Any) -> None:
    """Versions and conditional markers are recognised, and neither versions nor delete markers are left."""
    await s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    seen = await bucket.probe("")
    assert (seen.versioning, seen.copy_source_if_match, seen.copy_if_none_match) == (True, True, True)
    assert seen.delete_if_match is True
    left = await s3.list_object_versions(Bucket=bucket.name)
    assert (left.get("Versions"), left.get("DeleteMarkers")) == (None, None)


@pytest.mark.parametrize("versioning", [False, True])
async def test_leftovers_of_a_killed_probe_are_removed(
    bucket: Bucket, s3: Any, versioning: bool, tmp_path: Path
) -> None:
    """What is old and has exactly the form of our names goes, with its version; all else stays."""
    if versioning:
        await s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    ours = [f"scratch/.tidewaiter-probe-0123456789abcdef{rest}" for rest in ("", "-copy", "-keys/a/b", "-keys/a\nb")]
    others = ["scratch/.tidewaiter-probe-0123456789abcdefx", "scratch/.tidewaiter-probe-notes", "scratch/a.csv"]
    others += ["other/.tidewaiter-probe-0123456789abcdef"]
    (tmp_path / "x").write_bytes(b"x")
    for key in [*ours, *others]:
        await bucket.upload(tmp_path / "x", bucket.name, key)
    await probe(bucket, "scratch/")
    assert set(await keys(bucket)) == {*ours, *others}, "they are not old enough yet"
    await probe(bucket, "scratch/", left_over=timedelta(seconds=-2))
    assert set(await keys(bucket)) == set(others)
    left = await s3.list_object_versions(Bucket=bucket.name)
    assert {version["Key"] for version in left["Versions"]} == set(others)


async def test_a_leftover_that_cannot_be_removed_is_told(
    proxy: Proxy, watched: Bucket, bucket: Bucket, tmp_path: Path
) -> None:
    """Somebody else's permissions on an old object of ours are no reason not to work."""
    old = "scratch/.tidewaiter-probe-0123456789abcdef"
    (tmp_path / "x").write_bytes(b"x")
    await bucket.upload(tmp_path / "x", bucket.name, old)
    proxy.deny(is_delete(old))
    seen = await probe(watched, "scratch/", left_over=timedelta(seconds=-2))
    assert seen.delete_if_match
    assert old in seen.detail
    assert await keys(bucket) == [old]


async def test_only_the_scratch_folder_is_touched(proxy: Proxy, watched: Bucket, bucket: Bucket) -> None:
    """Where nothing but the archive can be written, nothing else is asked for; and the probe stays small."""
    seen = await watched.probe("archive/")
    assert seen.delete_if_match
    changes = [unquote(path) for method, path in proxy.requests if method in {"PUT", "POST", "DELETE"}]
    assert all(path.startswith(f"/{bucket.name}/archive/.tidewaiter-probe-") for path in changes)
    assert len(proxy.requests) <= MOST_REQUESTS


async def test_a_folder_that_may_not_be_listed(proxy: Proxy, watched: Bucket, bucket: Bucket) -> None:
    """Without a listing nothing is known of odd keys; the rest is found out, and nothing is left."""
    proxy.deny(lambda request: "list-type" in request.query)
    seen = await watched.probe("scratch/")
    assert (seen.delete_if_match, len(seen.keys)) == (True, 5)
    assert "s3:ListBucket" in seen.detail or "AccessDenied" in seen.detail
    assert await keys(bucket) == []


def test_odd_keys_stay_in_their_folder() -> None:
    """Each key has one oddity, none leaves the folder, and the longest has 1024 bytes whatever the folder."""
    for folder in ("f/", "f" * 700 + "/", "é/"):
        odd = odd_keys(folder)
        assert all(posixpath.normpath(key).startswith(folder) for key in odd.values())
        assert len(odd["1024 bytes"].encode()) == 1024
        assert not any(part in {"", ".", ".."} for part in odd["1024 bytes"].split("/"))


@pytest.fixture
async def proxy(seaweedfs: Store) -> AsyncIterator[Proxy]:
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
async def watched(proxy: Proxy, clients: Clients, connection: Connection, bucket: Bucket) -> AsyncIterator[Bucket]:
    """The bucket as reached through the proxy."""
    async with clients(replace(connection, endpoint_url=proxy.endpoint_url), bucket.name) as opened:
        yield opened


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
