"""What `Bucket` promises, on real stores: each test states one promise of its docstrings."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.triggers.bucket import (
    Bucket,
    BucketError,
    DestinationExistsError,
    ObjectChangedError,
    ObjectGoneError,
    Removal,
    S3Object,
    Stored,
)

Put = Callable[..., Awaitable[S3Object]]
CONTENT = b"id;name\n1;Priel\n"


@pytest.fixture
def put(s3: Any, bucket: Bucket) -> Put:
    return putting(s3, bucket)


@pytest.fixture
def put_any(request: pytest.FixtureRequest, any_bucket: Bucket) -> Put:
    weak = request.node.callspec.params["any_bucket"] == "weak_bucket"
    return putting(request.getfixturevalue("weak_s3" if weak else "s3"), any_bucket)


def putting(client: Any, bucket: Bucket) -> Put:
    async def put(key: str, content: bytes = CONTENT, **properties: Any) -> S3Object:
        await client.put_object(Bucket=bucket.name, Key=key, Body=content, **properties)
        (listed,) = [listed for listed in await every(bucket, key) if listed.key == key]
        return listed

    return put


async def every(bucket: Bucket, prefix: str = "", **options: Any) -> list[S3Object]:
    return [listed async for page in bucket.list(prefix, **options) for listed in page.objects]


async def text(bucket: Bucket, key: str, folder: Path) -> bytes:
    (listed,) = await every(bucket, key)
    await bucket.read(listed, folder / "text")
    return (folder / "text").read_bytes()


async def test_lists_what_is_below_the_prefix(any_bucket: Bucket, put_any: Put) -> None:
    """A listing shows key, size and an ETag without quotes of the objects below the prefix, and no others."""
    await put_any("raw/a.csv")
    await put_any("other/b.csv")
    (listed,) = await every(any_bucket, "raw/")
    assert (listed.bucket, listed.key, listed.size) == (any_bucket.name, "raw/a.csv", len(CONTENT))
    assert listed.etag == hashlib.md5(CONTENT).hexdigest()
    assert listed.last_modified.utcoffset().total_seconds() == 0


async def test_lists_page_by_page_in_key_order(any_bucket: Bucket, put_any: Put) -> None:
    """Pages hold at most the page size; the last one, and no other, says that it is the last."""
    for number in range(5):
        await put_any(f"raw/{number}")
    pages = [page async for page in any_bucket.list("raw/", page_size=2)]
    assert [[listed.key[-1] for listed in page.objects] for page in pages] == [["0", "1"], ["2", "3"], ["4"]]
    assert [page.last for page in pages] == [False, False, True]


async def test_lists_an_empty_prefix_as_one_last_page(any_bucket: Bucket) -> None:
    """Nothing there is one complete, empty page."""
    assert [(page.objects, page.last) async for page in any_bucket.list("nothing/")] == [((), True)]


async def test_lists_from_after_a_key(bucket: Bucket, put: Put) -> None:
    """``start_after`` skips the keys up to and including it, on every page."""
    for number in range(5):
        await put(f"raw/{number}")
    assert [listed.key for listed in await every(bucket, "raw/", start_after="raw/1", page_size=2)] == [
        "raw/2",
        "raw/3",
        "raw/4",
    ]


async def test_lists_one_level_with_a_delimiter(bucket: Bucket, put: Put) -> None:
    """With a delimiter the objects of deeper levels are left out."""
    await put("raw/a")
    await put("raw/deep/b")
    assert [listed.key for listed in await every(bucket, "raw/", delimiter="/")] == ["raw/a"]


async def test_reads_the_listed_content(any_bucket: Bucket, put_any: Put, tmp_path: Path) -> None:
    """The file holds the content, and the answer its length and SHA-256."""
    listed = await put_any("raw/a.csv", ContentType="text/csv")
    stored = await any_bucket.read(listed, tmp_path / "data")
    assert (tmp_path / "data").read_bytes() == CONTENT
    assert (stored.size, stored.sha256, stored.etag) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), listed.etag)


async def test_reads_an_object_of_several_chunks(any_bucket: Bucket, put_any: Put, tmp_path: Path) -> None:
    """A body larger than any buffer arrives whole."""
    content = bytes(range(256)) * 40_000
    stored = await any_bucket.read(await put_any("raw/large", content), tmp_path / "data")
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "data").read_bytes() == content


async def test_reads_encoded_content_as_it_is_stored(bucket: Bucket, put: Put, tmp_path: Path) -> None:
    """A content encoding is the uploader's business: the bytes are not decoded on the way."""
    listed = await put("raw/a.gz", b"\x1f\x8b not really", ContentEncoding="gzip")
    await bucket.read(listed, tmp_path / "data")
    assert (tmp_path / "data").read_bytes() == b"\x1f\x8b not really"


async def test_gives_type_and_metadata_of_what_it_read(bucket: Bucket, put: Put, tmp_path: Path) -> None:
    """What the uploader said of the object comes along with the download."""
    stored = await bucket.read(
        await put("raw/a.csv", ContentType="text/csv", Metadata={"from": "tide"}), tmp_path / "data"
    )
    assert (stored.content_type, stored.metadata) == ("text/csv", {"from": "tide"})


async def test_refuses_to_read_other_content(any_bucket: Bucket, put_any: Put, tmp_path: Path) -> None:
    """An object overwritten since it was listed is not read in its place, even where the store ignores ``If-Match``."""
    listed = await put_any("raw/a.csv")
    await put_any("raw/a.csv", b"newer")
    with pytest.raises(ObjectChangedError):
        await any_bucket.read(listed, tmp_path / "data")
    assert not (tmp_path / "data").exists()


async def test_reports_a_vanished_object(any_bucket: Bucket, put_any: Put, tmp_path: Path) -> None:
    """Reading what somebody else removed is `ObjectGoneError`."""
    listed = await put_any("raw/a.csv")
    await any_bucket.delete_unconditionally("raw/a.csv")
    with pytest.raises(ObjectGoneError):
        await any_bucket.read(listed, tmp_path / "data")


async def test_repeats_a_download_over_its_remains(bucket: Bucket, put: Put, tmp_path: Path) -> None:
    """A file left by an interrupted download is replaced."""
    (tmp_path / "data").write_bytes(b"x" * 1000)
    await bucket.read(await put("raw/a.csv"), tmp_path / "data")
    assert (tmp_path / "data").read_bytes() == CONTENT


async def test_heads_an_object(any_bucket: Bucket, put_any: Put) -> None:
    """HEAD tells ETag and size."""
    listed = await put_any("raw/a.csv")
    head = await any_bucket.head("raw/a.csv")
    assert head is not None
    assert (head.etag, head.size) == (listed.etag, listed.size)


async def test_heads_nothing(any_bucket: Bucket) -> None:
    """HEAD of a free key is None, not an error."""
    assert await any_bucket.head("raw/none") is None


async def test_copies_the_listed_content(any_bucket: Bucket, put_any: Put, tmp_path: Path) -> None:
    """A copy has the same bytes, and its ETag is given."""
    etag = await any_bucket.copy(await put_any("raw/a.csv"), any_bucket.name, "archive/a.csv")
    assert etag == hashlib.md5(CONTENT).hexdigest()
    assert await text(any_bucket, "archive/a.csv", tmp_path) == CONTENT


async def test_copies_metadata_along(bucket: Bucket, put: Put) -> None:
    """A copy keeps the metadata of its source."""
    await bucket.copy(await put("raw/a.csv", Metadata={"from": "tide"}), bucket.name, "archive/a.csv")
    head = await bucket.head("archive/a.csv")
    assert head is not None
    assert head.metadata == {"from": "tide"}


async def test_refuses_to_copy_other_content(bucket: Bucket, put: Put) -> None:
    """An object overwritten since it was listed is not copied."""
    listed = await put("raw/a.csv")
    await put("raw/a.csv", b"newer")
    with pytest.raises(ObjectChangedError):
        await bucket.copy(listed, bucket.name, "archive/a.csv")
    assert await bucket.head("archive/a.csv") is None


async def test_reports_a_vanished_source(any_bucket: Bucket, put_any: Put) -> None:
    """Copying what somebody else removed is `ObjectGoneError`."""
    listed = await put_any("raw/a.csv")
    await any_bucket.delete_unconditionally("raw/a.csv")
    with pytest.raises(ObjectGoneError):
        await any_bucket.copy(listed, any_bucket.name, "archive/a.csv")


async def test_never_copies_over_an_object(bucket: Bucket, put: Put, tmp_path: Path) -> None:
    """A taken destination is `DestinationExistsError` and keeps its content."""
    await put("archive/a.csv", b"precious")
    with pytest.raises(DestinationExistsError):
        await bucket.copy(await put("raw/a.csv"), bucket.name, "archive/a.csv")
    assert await text(bucket, "archive/a.csv", tmp_path) == b"precious"


async def test_copies_over_an_object_when_told_to(any_bucket: Bucket, put_any: Put, tmp_path: Path) -> None:
    """``overwrite`` replaces the destination."""
    await put_any("archive/a.csv", b"old")
    await any_bucket.copy(await put_any("raw/a.csv"), any_bucket.name, "archive/a.csv", overwrite=True)
    assert await text(any_bucket, "archive/a.csv", tmp_path) == CONTENT


async def test_uploads_a_file(any_bucket: Bucket, tmp_path: Path) -> None:
    """A local file becomes an object with the same bytes."""
    (tmp_path / "local").write_bytes(CONTENT)
    assert (
        await any_bucket.upload(tmp_path / "local", any_bucket.name, "archive/a.csv")
        == hashlib.md5(CONTENT).hexdigest()
    )
    assert await text(any_bucket, "archive/a.csv", tmp_path) == CONTENT


async def test_uploads_with_the_description_of_a_download(bucket: Bucket, tmp_path: Path) -> None:
    """``like`` gives the object the type and metadata of the download it stands for."""
    (tmp_path / "local").write_bytes(CONTENT)
    like = Stored(len(CONTENT), "", "", content_type="text/csv", metadata={"from": "tide"})
    await bucket.upload(tmp_path / "local", bucket.name, "archive/a.csv", like=like)
    head = await bucket.head("archive/a.csv")
    assert head is not None
    assert head.metadata == {"from": "tide"}


async def test_never_uploads_over_an_object(bucket: Bucket, put: Put, tmp_path: Path) -> None:
    """A taken destination is `DestinationExistsError` and keeps its content."""
    await put("archive/a.csv", b"precious")
    (tmp_path / "local").write_bytes(CONTENT)
    with pytest.raises(DestinationExistsError):
        await bucket.upload(tmp_path / "local", bucket.name, "archive/a.csv")
    assert await text(bucket, "archive/a.csv", tmp_path) == b"precious"


async def test_digests_an_object(any_bucket: Bucket, put_any: Put) -> None:
    """Length and SHA-256 are taken over the whole content."""
    await put_any("raw/a.csv")
    taken = await any_bucket.download_digest(any_bucket.name, "raw/a.csv")
    assert (taken.size, taken.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


async def test_deletes_the_listed_content(any_bucket: Bucket, put_any: Put) -> None:
    """An unchanged object is removed."""
    assert await any_bucket.delete(await put_any("raw/a.csv")) is Removal.REMOVED
    assert await any_bucket.head("raw/a.csv") is None


async def test_never_deletes_other_content(bucket: Bucket, put: Put, tmp_path: Path) -> None:
    """An object overwritten since it was listed stays."""
    listed = await put("raw/a.csv")
    await put("raw/a.csv", b"newer")
    assert await bucket.delete(listed) is Removal.REPLACED
    assert await text(bucket, "raw/a.csv", tmp_path) == b"newer"


async def test_deletes_again_without_harm(any_bucket: Bucket, put_any: Put) -> None:
    """Repeating a delete after a lost reply is no error."""
    listed = await put_any("raw/a.csv")
    await any_bucket.delete(listed)
    assert await any_bucket.delete(listed) in set(Removal)


async def test_deletes_whatever_is_there(any_bucket: Bucket, put_any: Put) -> None:
    """The unconditional delete removes the object, and a free key is no error."""
    await put_any("raw/a.csv")
    await any_bucket.delete_unconditionally("raw/a.csv")
    await any_bucket.delete_unconditionally("raw/a.csv")
    assert await any_bucket.head("raw/a.csv") is None


async def test_tells_that_no_versions_are_kept(any_bucket: Bucket) -> None:
    """A plain bucket keeps no versions."""
    assert await any_bucket.versioning() is False


class TestVersions:
    """A bucket that keeps versions."""

    @pytest.fixture(autouse=True)
    async def versioned(self, s3: Any, bucket_name: str) -> None:
        await s3.put_bucket_versioning(Bucket=bucket_name, VersioningConfiguration={"Status": "Enabled"})

    async def test_tells_that_versions_are_kept(self, bucket: Bucket) -> None:
        """A versioned bucket says so."""
        assert await bucket.versioning() is True

    async def test_deletes_exactly_the_version_it_read(self, bucket: Bucket, put: Put, tmp_path: Path, s3: Any) -> None:
        """With the version id of the download the delete is exact: a newer version, even of the same bytes, stays."""
        listed = await put("raw/a.csv")
        stored = await bucket.read(listed, tmp_path / "data")
        await put("raw/a.csv")
        assert await bucket.delete(replace(listed, version_id=stored.version_id)) is Removal.REMOVED
        versions = await s3.list_object_versions(Bucket=bucket.name)
        assert stored.version_id not in [version["VersionId"] for version in versions["Versions"]]
        assert await text(bucket, "raw/a.csv", tmp_path) == CONTENT

    async def test_copies_exactly_the_version_it_read(self, bucket: Bucket, put: Put, tmp_path: Path) -> None:
        """With the version id the copy is exact, although the key holds newer content."""
        listed = await put("raw/a.csv")
        stored = await bucket.read(listed, tmp_path / "data")
        await put("raw/a.csv", b"newer")
        await bucket.copy(replace(listed, version_id=stored.version_id), bucket.name, "archive/a.csv")
        assert await text(bucket, "archive/a.csv", tmp_path) == CONTENT


async def test_names_a_missing_bucket(clients: Any, connection: Any) -> None:
    """A bucket that is not there is `BucketError` with the cause, the name and something to do."""
    async with clients(connection, "no-such-bucket") as bucket:
        with pytest.raises(BucketError) as caught:
            await every(bucket)
    assert caught.value.cause == "NoSuchBucket"
    assert "no-such-bucket" in caught.value.message
    assert caught.value.hint
