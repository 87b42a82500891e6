"""Manifests: what they may look like, and what hostile ones come to."""

import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.config.errors import StorageError
from tidewaiter.triggers.bucket import Bucket, S3Object
from tidewaiter.triggers.manifests import MAX_BYTES, ManifestError, Manifests, members

MANIFEST = S3Object("b-1", "raw/day/x.manifest", "e", 1, datetime(2026, 5, 1, tzinfo=UTC))


def read(content: str | bytes) -> list[str]:
    return sorted(members(content if isinstance(content, bytes) else content.encode(), MANIFEST, "raw/"))


@pytest.mark.parametrize(
    "content",
    [
        "a.csv\nb/c.csv\n",
        "\ufeffa.csv\r\n\r\n  b/c.csv",
        '["a.csv", "b/c.csv"]',
        ' {"files": ["a.csv", "b/c.csv"], "made": "2026"}',
        '{"entries": [{"url": "s3://b-1/raw/day/a.csv", "mandatory": true}, {"url": "b/c.csv"}]}',
        "a.csv\ns3://b-1/raw/day/b/c.csv\nx.manifest",
    ],
)
def test_forms(content: str) -> None:
    """Text, a list, and the two usual shapes of JSON say the same; the manifest itself is no member."""
    assert read(content) == ["raw/day/a.csv", "raw/day/b/c.csv"]


def test_a_url_may_name_another_folder() -> None:
    """Absolute names reach everything below the prefix."""
    assert read("s3://b-1/raw/other/a") == ["raw/other/a"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "it lists no object"),
        ("[]", "it lists no object"),
        ("x.manifest", "it lists no object"),
        ("../../secret", "it names '../../secret': its key has a '.' or '..'"),
        ("s3://b-1/other/a", "'s3://b-1/other/a', which is not below the prefix 'raw/'"),
        ("s3://b-2/raw/a", "it names 's3://b-2/raw/a' in another bucket"),
        ('["a\\u0000b"]', "control characters"),
        ("[1]", "1 names no object"),
        ('[{"path": "a"}]', "names no object"),
        ('[""]', "names no object"),
        ('{"items": []}', "neither a list of names, nor one under 'entries' or 'files'"),
        ('{"files": "a"}', "neither a list"),
        ('{"files": ["a"', "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_what_cannot_be_used(content: str | bytes, problem: str) -> None:
    """Each mistake, and each attempt to reach something else, is told as what it is."""
    with pytest.raises(ManifestError) as caught:
        read(content)
    assert problem in caught.value.message
    assert caught.value.message.startswith("manifest 'raw/day/x.manifest' in bucket 'b-1' cannot be used: ")


@pytest.fixture
def put(bucket: Bucket, s3: Any) -> Callable:
    """Put an object and give it as it is listed."""

    async def put(key: str, content: bytes) -> S3Object:
        await s3.put_object(Bucket=bucket.name, Key=key, Body=content)
        pages = [page async for page in bucket.list(key)]
        return pages[0].objects[0]

    return put


async def test_reading(bucket: Bucket, put: Callable) -> None:
    """What a manifest of the store says is read, and one that is too large is not even fetched."""
    small = await put("raw/a.manifest", b"1\n2\n")
    large = await put("raw/b.manifest", b"x" * (MAX_BYTES + 1))
    said = await Manifests().read(bucket, "raw/", [small, large], ["raw/1", "raw/9"])
    assert said["raw/a.manifest"] == {"raw/1", "raw/2"}
    assert "more than 1 MiB" in str(said["raw/b.manifest"])


async def test_only_what_is_needed_is_read(bucket: Bucket, put: Callable) -> None:
    """When every waiting object is accounted for, further manifests are let be."""
    listed = [await put(f"raw/{name}.manifest", json.dumps([name]).encode()) for name in "ab"]
    assert list(await Manifests().read(bucket, "raw/", listed, ["raw/a"])) == ["raw/a.manifest"]


async def test_each_content_is_read_once(bucket: Bucket, put: Callable, s3: Any) -> None:
    """A manifest that was read is remembered by its content; one that has gone before is left out."""
    manifests, listed = Manifests(), await put("raw/a.manifest", b"1\n2\n")
    assert await manifests.read(bucket, "raw/", [listed], ["raw/1"])
    await s3.delete_object(Bucket=bucket.name, Key=listed.key)
    assert await manifests.read(bucket, "raw/", [listed], ["raw/1"])
    assert await Manifests().read(bucket, "raw/", [listed], ["raw/1"]) == {}


async def test_the_listing_tells_the_time_of_the_store(bucket: Bucket, put: Callable) -> None:
    """Ages are measured by the clock that wrote the times of change."""
    item = await put("raw/a", b"x")
    [page] = [page async for page in bucket.list("raw/")]
    assert page.at is not None
    assert abs((page.at - item.last_modified).total_seconds()) < 60


async def test_no_place_to_read_into(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A temporary folder that is full or gone is trouble of this trigger, and not the end of the daemon."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(StorageError):
        await Manifests().read(bucket, "raw/", [MANIFEST], {"raw/day/a.csv"})
