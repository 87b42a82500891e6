"""Tags of objects: what a store takes and gives, and the action that sets them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from faults.proxy import Meant, Proxy, proxy_to
from stores.seaweedfs import Store

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import Bucket, BucketError, ObjectGoneError, Removal, S3Object
from tidewaiter.triggers.tags import problem, tag

KEY = "raw/x.csv"
ODD = {"a b+c=/@:._-": "é 1+1=2", "empty": ""}


async def put(bucket: Bucket, content: bytes, folder: Path, key: str = KEY) -> S3Object:
    (folder / "put").write_bytes(content)
    await bucket.upload(folder / "put", bucket.name, key, overwrite=True)
    head = await bucket.head(key)
    assert head is not None
    return S3Object(bucket.name, key, head.etag, head.size, head.last_modified, head.version_id)


async def test_tags_are_given_back(bucket: Bucket, tmp_path: Path) -> None:
    """What was set is read, whatever characters it is made of; the content is not touched."""
    listed = await put(bucket, b"x", tmp_path)
    await bucket.set_tags(KEY, ODD)
    assert await bucket.tags(KEY) == ODD
    head = await bucket.head(KEY)
    assert head is not None
    assert (head.etag, head.last_modified) == (listed.etag, listed.last_modified)


async def test_tags_are_replaced_as_a_whole(bucket: Bucket, tmp_path: Path) -> None:
    """Setting tags removes those that are not among them; the empty set removes all."""
    await put(bucket, b"x", tmp_path)
    await bucket.set_tags(KEY, {"a": "1"})
    await bucket.set_tags(KEY, {"b": "2"})
    assert await bucket.tags(KEY) == {"b": "2"}
    await bucket.set_tags(KEY, {})
    assert await bucket.tags(KEY) == {}


async def test_tags_of_nothing(bucket: Bucket) -> None:
    """Without an object there are no tags, and nothing to set them on."""
    with pytest.raises(ObjectGoneError):
        await bucket.tags("none")
    with pytest.raises(ObjectGoneError):
        await bucket.set_tags("none", {"a": "1"})


async def test_tags_of_one_version(bucket: Bucket, s3: Any, tmp_path: Path) -> None:
    """With a version id the tags are those of that version alone."""
    await versioned(s3, bucket)
    older = await put(bucket, b"older", tmp_path)
    await put(bucket, b"newer", tmp_path)
    await bucket.set_tags(KEY, {"a": "1"}, version_id=older.version_id)
    assert await bucket.tags(KEY, version_id=older.version_id) == {"a": "1"}
    assert await bucket.tags(KEY) == {}


@pytest.mark.parametrize("content", [b"x", b'<Tagging xmlns="x"><TagSet></TagSet></Tagging>', b"x" * (17 << 20)])
async def test_a_store_without_tags_is_found_out_in_time(weak_bucket: Bucket, tmp_path: Path, content: bytes) -> None:
    """Such a store would take the request for an upload: reading comes first, is an error, and the object stays."""
    listed = await put(weak_bucket, content, tmp_path)
    with pytest.raises(BucketError, match="no tags") as caught:
        await tag(weak_bucket, listed, {"state": "taken"})
    assert (caught.value.cause, bool(caught.value.hint)) == ("NotImplemented", True)
    head = await weak_bucket.head(KEY)
    assert head is not None
    assert head.etag == listed.etag


async def test_tagging_adds_to_what_is_there(bucket: Bucket, tmp_path: Path) -> None:
    """The object keeps its own tags; ours win over those of the same name, and again on repetition."""
    listed = await put(bucket, b"x", tmp_path)
    await bucket.set_tags(KEY, {"from": "tide", "state": "new"})
    for _repetition in range(2):
        assert await tag(bucket, listed, {"state": "taken"}) is None
        assert await bucket.tags(KEY) == {"from": "tide", "state": "taken"}


async def test_too_many_tags_are_an_error(bucket: Bucket, tmp_path: Path) -> None:
    """An object whose own tags leave no room is named, with a way out, and keeps them."""
    listed = await put(bucket, b"x", tmp_path)
    own = {f"t{number}": "" for number in range(10)}
    await bucket.set_tags(KEY, own)
    with pytest.raises(BucketError, match=r"raw/x\.csv") as caught:
        await tag(bucket, listed, {"state": "taken"})
    assert (caught.value.cause, bool(caught.value.hint)) == ("TooManyTags", True)
    assert await bucket.tags(KEY) == own


async def test_only_the_content_in_custody_is_tagged(bucket: Bucket, tmp_path: Path) -> None:
    """What was uploaded in its place since keeps its own tags."""
    listed = await put(bucket, b"x", tmp_path)
    await put(bucket, b"newer", tmp_path)
    await bucket.set_tags(KEY, {"from": "tide"})
    assert await tag(bucket, listed, {"state": "taken"}) is Removal.REPLACED
    assert await bucket.tags(KEY) == {"from": "tide"}


async def test_what_is_gone_cannot_be_tagged(bucket: Bucket, tmp_path: Path) -> None:
    """Somebody else removed it: there is nothing left to do."""
    listed = await put(bucket, b"x", tmp_path)
    await bucket.delete_unconditionally(KEY)
    assert await tag(bucket, listed, {"state": "taken"}) is Removal.ALREADY_GONE


async def test_the_version_in_custody_is_tagged(bucket: Bucket, s3: Any, tmp_path: Path) -> None:
    """Where versions are kept the right one is tagged, although the key holds newer content."""
    await versioned(s3, bucket)
    listed = await put(bucket, b"x", tmp_path)
    await put(bucket, b"newer", tmp_path)
    assert await tag(bucket, listed, {"state": "taken"}) is None
    assert await bucket.tags(KEY, version_id=listed.version_id) == {"state": "taken"}
    assert await bucket.tags(KEY) == {}


async def test_a_null_version_is_no_identity(bucket: Bucket, s3: Any, tmp_path: Path) -> None:
    """While versioning is suspended each upload is the version ``null``: the next content is not tagged for it."""
    await s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Suspended"})
    listed = replace(await put(bucket, b"x", tmp_path), version_id="null")
    await put(bucket, b"newer", tmp_path)
    assert await tag(bucket, listed, {"state": "taken"}) is Removal.REPLACED
    assert await bucket.tags(KEY) == {}


@pytest.fixture
async def proxy(seaweedfs: Store) -> AsyncIterator[Proxy]:
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
async def watched(proxy: Proxy, clients: Clients, connection: Connection, bucket_name: str) -> AsyncIterator[Bucket]:
    """The bucket as reached through the proxy."""
    async with clients(replace(connection, endpoint_url=proxy.endpoint_url), bucket_name) as opened:
        yield opened


def is_tagging(method: str) -> Meant:
    return lambda request: request.method == method and "tagging" in request.query_string


async def test_tags_that_hit_the_next_content_are_taken_off(
    proxy: Proxy, watched: Bucket, bucket: Bucket, tmp_path: Path
) -> None:
    """An upload between our look and our request gets our tags; that shows afterwards, and they go again."""
    listed = await put(bucket, b"x", tmp_path)

    async def overwrite(request: web.Request) -> None:
        if is_tagging("PUT")(request):
            proxy.rules.remove(overwrite)
            await put(bucket, b"newer", tmp_path)

    proxy.rules.append(overwrite)
    assert await tag(watched, listed, {"state": "taken"}) is Removal.REPLACED
    assert await bucket.tags(KEY) == {}
    head = await bucket.head(KEY)
    assert head is not None
    assert head.size == len(b"newer")


async def test_a_forbidden_tag_names_the_permission(proxy: Proxy, watched: Bucket, tmp_path: Path) -> None:
    """403 says which permission is missing, for reading and for setting."""
    listed = await put(watched, b"x", tmp_path)
    for method, permission in (("PUT", "s3:PutObjectTagging"), ("GET", "s3:GetObjectTagging")):
        proxy.deny(is_tagging(method))
        with pytest.raises(BucketError) as caught:
            await tag(watched, listed, {"state": "taken"})
        assert permission in (caught.value.hint or "")


@pytest.mark.parametrize("body", ["<Error><Code>InternalError</Code></Error>", "<Tagging><TagSet>", "<html/>", ""])
async def test_half_a_reply_is_no_set_of_tags(proxy: Proxy, watched: Bucket, tmp_path: Path, body: str) -> None:
    """An error inside a 200, a reply cut off, or another page: never "no tags", and nothing is set."""
    listed = await put(watched, b"x", tmp_path)

    async def answer(request: web.Request) -> web.Response | None:
        return web.Response(text=body) if is_tagging("GET")(request) else None

    proxy.rules.append(answer)
    with pytest.raises(BucketError):
        await tag(watched, listed, {"state": "taken"})
    assert not any(method == "PUT" and "tagging" in path for method, path in proxy.requests)


async def test_an_error_inside_a_200_is_an_error(proxy: Proxy, watched: Bucket, tmp_path: Path) -> None:
    """A store that says 200 and then that it failed has not tagged."""
    await put(watched, b"x", tmp_path)

    async def answer(request: web.Request) -> web.Response | None:
        body = "<Error><Code>InternalError</Code></Error>"
        return web.Response(text=body) if is_tagging("PUT")(request) else None

    proxy.rules.append(answer)
    with pytest.raises(BucketError) as caught:
        await watched.set_tags(KEY, {"a": "1"})
    assert caught.value.cause == "InternalError"


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({f"t{number}": "" for number in range(11)}, "at most 10"), ({"": "x"}, "does not fit"),
        ({"n" * 129: "x"}, "does not fit"), ({"n": "v" * 257}, "does not fit"), ({"aws:x": "y"}, "reserved"),
        ({"n": "a\nb"}, "a character other than"), ({"n": "<&>"}, "a character other than"),
    ],
)  # fmt: skip
def test_what_no_store_takes_is_told(tags: dict[str, str], said: str) -> None:
    """The limits of S3 are known before anything is sent."""
    assert said in (problem(tags) or "")


@pytest.mark.parametrize("tags", [{}, {"n" * 128: "v" * 256}, ODD, {f"t{number}": "" for number in range(10)}])
def test_what_stores_take_is_no_problem(tags: dict[str, str]) -> None:
    """Tags at the limits are fine."""
    assert problem(tags) is None


async def versioned(s3: Any, bucket: Bucket) -> None:
    await s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
