"""The faults themselves: each happens as it says, or it proves nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from acceptance.objects import Objects
from faults.listings import Listings
from faults.operation import Operation
from faults.proxy import Proxy, proxy_to
from faults.storm import Fault, LostReplies, Storm, faults_of
from stores.seaweedfs import Store

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import Bucket, BucketError, BucketUnavailableError

KEY = "raw/a.csv"
REFUSED = {Fault.ERROR, Fault.SLOW_DOWN, Fault.CONFLICT, Fault.EXPIRED, Fault.SKEWED, Fault.ERROR_IN_200}
EFFECTIVE = {Fault.RESET_AFTER, Fault.STALL}


@pytest.fixture
async def proxy(seaweedfs: Store) -> AsyncIterator[Proxy]:
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def objects(s3: Any, seaweedfs: Store, bucket_name: str) -> Objects:
    return Objects(s3, seaweedfs, bucket_name)


@pytest.fixture
async def behind(proxy: Proxy, connection: Connection, bucket_name: str) -> AsyncIterator[Bucket]:
    """The bucket as the product sees it through the proxy."""
    there = Connection(
        region=connection.region,
        endpoint_url=proxy.endpoint_url,
        access_key_id=connection.access_key_id,
        secret_key_id=connection.secret_key_id,
    )
    async with Clients({}) as clients, clients(there, bucket_name) as bucket:
        yield bucket


async def _listed(bucket: Bucket) -> Any:
    (found,) = [item async for page in bucket.list("raw/") for item in page.objects]
    return found


def _storm(proxy: Proxy, fault: Fault, operation: Operation) -> Storm:
    storm = Storm(proxy, 1, {operation: 1.0}, frozenset({fault}), stall_seconds=0.2)
    proxy.rules.append(storm)
    return storm


@pytest.mark.parametrize("fault", faults_of(Operation.COPY), ids=lambda fault: fault.name)
async def test_a_copy_meets_a_fault(fault: Fault, proxy: Proxy, behind: Bucket, objects: Objects) -> None:
    """The client sees a failure of the kind, and the store has copied only where the fault comes after the effect."""
    await objects.put(KEY)
    listed = await _listed(behind)
    storm = _storm(proxy, fault, Operation.COPY)
    expected = BucketError if fault in {Fault.EXPIRED, Fault.SKEWED} else BucketUnavailableError
    with pytest.raises(expected):
        await behind.copy(listed, objects.bucket, "archive/a.csv")
    assert await objects.keys("archive/") == (["archive/a.csv"] if fault in EFFECTIVE else [])
    assert storm.told() == {f"{fault}: CopyObject": 1}


@pytest.mark.parametrize("fault", faults_of(Operation.DELETE), ids=lambda fault: fault.name)
async def test_a_delete_meets_a_fault(fault: Fault, proxy: Proxy, behind: Bucket, objects: Objects) -> None:
    """A lost reply leaves the object gone; a refusal or an early reset leaves it there."""
    await objects.put(KEY)
    listed = await _listed(behind)
    storm = _storm(proxy, fault, Operation.DELETE)
    with pytest.raises(BucketError):
        await behind.delete(listed)
    assert await objects.keys() == ([] if fault in EFFECTIVE else [KEY])
    assert storm.told() == {f"{fault}: DeleteObject": 1}


@pytest.mark.parametrize("operation", [Operation.LIST, Operation.GET], ids=str)
async def test_a_body_is_cut_short(
    operation: Operation, proxy: Proxy, behind: Bucket, objects: Objects, tmp_path: Any
) -> None:
    """A body that ends in the middle is noticed, as a page and as an object."""
    await objects.put(KEY, b"x" * 100_000)
    listed = await _listed(behind)
    storm = _storm(proxy, Fault.TRUNCATED, operation)
    with pytest.raises(BucketUnavailableError):
        await (_listed(behind) if operation is Operation.LIST else behind.read(listed, tmp_path / "data"))
    assert storm.injected[Fault.TRUNCATED, operation] > 0
    assert not (tmp_path / "data").exists()


async def test_the_same_seed_chooses_the_same_faults(proxy: Proxy, behind: Bucket, objects: Objects) -> None:
    """What happens to the n-th request for a key follows from the seed."""
    seen = []
    for seed in (7, 7, 8):
        storm = Storm(proxy, seed, 0.5, frozenset({Fault.ERROR, Fault.SLOW_DOWN}))
        proxy.rules[:] = [storm]
        await asyncio.gather(*(behind.head(f"raw/{number}") for number in range(40)), return_exceptions=True)
        seen.append(storm.told())
    assert seen[0] == seen[1] != seen[2]
    assert 0.3 < sum(seen[0].values()) / len(proxy.requests) * 3 < 0.7


async def test_a_reply_is_lost_once_for_each_key(proxy: Proxy, behind: Bucket, objects: Objects) -> None:
    """The first copy is carried out and its reply lost; the second is answered."""
    await objects.put(KEY)
    listed = await _listed(behind)
    rule = LostReplies(proxy, frozenset({Operation.COPY}))
    proxy.rules.append(rule)
    with pytest.raises(BucketUnavailableError):
        await behind.copy(listed, objects.bucket, "archive/a.csv")
    assert await objects.keys("archive/") == ["archive/a.csv"]
    assert await behind.copy(listed, objects.bucket, "archive/a.csv", overwrite=True)
    assert rule.lost == {Operation.COPY: 1}


async def test_listings_are_kept(proxy: Proxy, behind: Bucket, objects: Objects) -> None:
    """Whatever a page showed is known afterwards, under the key's own name, and the client got the page."""
    await objects.put("raw/a b+é.csv")
    listings = Listings(proxy)
    proxy.rules.append(listings)
    listed = await _listed(behind)
    assert listings.showed == {(listed.key, listed.etag)} == {("raw/a b+é.csv", listed.etag)}


async def test_every_operation_is_recognised(proxy: Proxy, seaweedfs: Store, bucket_name: str) -> None:
    """What the S3 API calls it is what the proxy takes it for."""
    from_path = {
        ("GET", "?list-type=2"): Operation.LIST,
        ("GET", "?versioning="): Operation.VERSIONING,
        ("GET", "?uploads="): Operation.UPLOADS,
        ("GET", "/k"): Operation.GET,
        ("HEAD", "/k"): Operation.HEAD,
        ("PUT", "/k"): Operation.PUT,
        ("DELETE", "/k"): Operation.DELETE,
        ("POST", "/k?uploads="): Operation.CREATE_UPLOAD,
        ("PUT", "/k?partNumber=1&uploadId=u"): Operation.PART,
        ("POST", "/k?uploadId=u"): Operation.COMPLETE,
        ("DELETE", "/k?uploadId=u"): Operation.ABORT,
        ("GET", "/k?tagging="): Operation.GET_TAGS,
        ("PUT", "/k?tagging="): Operation.PUT_TAGS,
    }
    storm = Storm(proxy, 1, 1.0, frozenset({Fault.ERROR}))
    proxy.rules.append(storm)
    async with aiohttp.ClientSession() as session:
        for (method, path), operation in from_path.items():
            storm.injected.clear()
            async with session.request(method, f"{proxy.endpoint_url}/{bucket_name}{path}") as answer:
                assert answer.status == 500
            assert list(storm.injected) == [(Fault.ERROR, operation)]
