"""Archiving and removing on real stores, first time and again after a crash."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.triggers.bucket import (
    Bucket,
    BucketError,
    Capabilities,
    DestinationExistsError,
    ObjectProperties,
    OnConflict,
    Removal,
    S3Object,
)
from tidewaiter.triggers.settle import Archived, Custody, Move, archive, check_capabilities, remove, suffixed

STRICT = Capabilities(delete_if_match=True, copy_source_if_match=True, copy_if_none_match=True, versioning=False)
WEAK = Capabilities(delete_if_match=False, copy_source_if_match=False, copy_if_none_match=False, versioning=False)
VERSIONED = replace(STRICT, delete_if_match=False, versioning=True)
MARKING = replace(STRICT, versioning=True)
CONTENT = b"id;name\n1;Priel\n"

Arrive = Callable[..., Awaitable[tuple[S3Object, Custody]]]


@pytest.fixture
def capabilities(request: pytest.FixtureRequest) -> Capabilities:
    """What the store of ``any_bucket`` can."""
    return WEAK if request.node.callspec.params["any_bucket"] == "weak_bucket" else STRICT


@pytest.fixture
def arrive(tmp_path: Path) -> Arrive:
    """Put an object and take it into custody, as the steps before do."""

    async def arrive(bucket: Bucket, key: str = "raw/x.csv", content: bytes = CONTENT) -> tuple[S3Object, Custody]:
        await put(bucket, key, content, tmp_path)
        (listed,) = [found async for page in bucket.list(key) for found in page.objects]
        stored = await bucket.read(listed, tmp_path / "custody")
        return replace(listed, version_id=stored.version_id), Custody("01ABC", tmp_path / "custody", stored)

    return arrive


async def put(bucket: Bucket, key: str, content: bytes, folder: Path) -> None:
    (folder / "put").write_bytes(content)
    await bucket.upload(folder / "put", bucket.name, key, overwrite=True)


async def contents(bucket: Bucket, folder: Path, prefix: str = "") -> dict[str, bytes]:
    found = {}
    async for page in bucket.list(prefix):
        for listed in page.objects:
            await bucket.read(listed, folder / "seen")
            found[listed.key] = (folder / "seen").read_bytes()
    return found


async def test_archives_at_the_destination(
    any_bucket: Bucket, capabilities: Capabilities, arrive: Arrive, tmp_path: Path
) -> None:
    """A free destination gets the content, and the answer says where it is."""
    listed, custody = await arrive(any_bucket)
    archived = await archive(
        any_bucket, listed, custody, Move(any_bucket.name, "archive/x.csv"), capabilities=capabilities
    )
    assert archived == Archived(any_bucket.name, "archive/x.csv", listed.etag)
    assert await contents(any_bucket, tmp_path, "archive/") == {"archive/x.csv": CONTENT}


async def test_archives_in_another_bucket(bucket: Bucket, arrive: Arrive, s3: Any) -> None:
    """The destination may be another bucket of the same store."""
    other = f"{bucket.name[:50]}-other"
    await s3.create_bucket(Bucket=other)
    listed, custody = await arrive(bucket)
    await archive(bucket, listed, custody, Move(other, "x.csv"), capabilities=STRICT)
    assert await bucket.head("x.csv", bucket=other)
    await s3.delete_bucket(Bucket=other)


async def test_archiving_again_finds_its_own_copy(
    any_bucket: Bucket, capabilities: Capabilities, arrive: Arrive, tmp_path: Path
) -> None:
    """After a lost reply or a crash the same call gives the same answer and makes no second copy."""
    listed, custody = await arrive(any_bucket)
    move = Move(any_bucket.name, "archive/x.csv")
    first = await archive(any_bucket, listed, custody, move, capabilities=capabilities)
    assert await archive(any_bucket, listed, custody, move, capabilities=capabilities) == first
    assert list(await contents(any_bucket, tmp_path, "archive/")) == ["archive/x.csv"]


async def test_other_content_is_never_overwritten(
    any_bucket: Bucket, capabilities: Capabilities, arrive: Arrive, tmp_path: Path
) -> None:
    """A taken name gets a sibling with the detection's id, again on repetition (kestra.md D1)."""
    await put(any_bucket, "archive/x.csv", b"precious", tmp_path)
    listed, custody = await arrive(any_bucket)
    for _repetition in range(2):
        archived = await archive(
            any_bucket, listed, custody, Move(any_bucket.name, "archive/x.csv"), capabilities=capabilities
        )
        assert archived.key == "archive/x~01ABC.csv"
    assert await contents(any_bucket, tmp_path, "archive/") == {
        "archive/x.csv": b"precious",
        "archive/x~01ABC.csv": CONTENT,
    }


async def test_a_conflict_may_be_an_error(
    any_bucket: Bucket, capabilities: Capabilities, arrive: Arrive, tmp_path: Path
) -> None:
    """With ``onConflict: fail`` nothing is stored beside the other content."""
    await put(any_bucket, "archive/x.csv", b"precious", tmp_path)
    listed, custody = await arrive(any_bucket)
    move = Move(any_bucket.name, "archive/x.csv", on_conflict="fail")
    with pytest.raises(DestinationExistsError, match=r"archive/x\.csv"):
        await archive(any_bucket, listed, custody, move, capabilities=capabilities)
    assert await contents(any_bucket, tmp_path, "archive/") == {"archive/x.csv": b"precious"}


async def test_a_taken_suffix_is_an_error(bucket: Bucket, arrive: Arrive, tmp_path: Path) -> None:
    """When other content has the name with the id, too, both are named, and stay."""
    taken = {"archive/x.csv": b"precious", "archive/x~01ABC.csv": b"precious, too"}
    for key, content in taken.items():
        await put(bucket, key, content, tmp_path)
    listed, custody = await arrive(bucket)
    with pytest.raises(DestinationExistsError, match=r"'archive/x\.csv' and at 'archive/x~01ABC\.csv'"):
        await archive(bucket, listed, custody, Move(bucket.name, "archive/x.csv"), capabilities=STRICT)
    assert await contents(bucket, tmp_path, "archive/") == taken


@pytest.mark.parametrize("policy", ["suffix", "identical"])
async def test_the_same_content_counts_as_archived(
    any_bucket: Bucket, capabilities: Capabilities, arrive: Arrive, tmp_path: Path, policy: OnConflict
) -> None:
    """Whoever put it there, and whenever: the content is where it should be."""
    await put(any_bucket, "archive/x.csv", CONTENT, tmp_path)
    listed, custody = await arrive(any_bucket)
    move = Move(any_bucket.name, "archive/x.csv", on_conflict=policy)
    archived = await archive(any_bucket, listed, _read_later(custody), move, capabilities=capabilities)
    assert archived.key == "archive/x.csv"
    assert list(await contents(any_bucket, tmp_path, "archive/")) == ["archive/x.csv"]


async def test_identical_refuses_other_content(bucket: Bucket, arrive: Arrive, tmp_path: Path) -> None:
    """With ``onConflict: identical`` other content at the destination is an error, and stays."""
    await put(bucket, "archive/x.csv", b"precious", tmp_path)
    listed, custody = await arrive(bucket)
    move = Move(bucket.name, "archive/x.csv", on_conflict="identical")
    with pytest.raises(DestinationExistsError) as caught:
        await archive(bucket, listed, custody, move, capabilities=STRICT)
    assert "onConflict: suffix" in (caught.value.hint or "")
    assert await contents(bucket, tmp_path, "archive/") == {"archive/x.csv": b"precious"}


async def test_fail_refuses_the_same_content(
    any_bucket: Bucket, capabilities: Capabilities, arrive: Arrive, tmp_path: Path
) -> None:
    """With ``onConflict: fail`` a destination that was taken before our download is an error, the same bytes, too."""
    await put(any_bucket, "archive/x.csv", CONTENT, tmp_path)
    listed, custody = await arrive(any_bucket)
    move = Move(any_bucket.name, "archive/x.csv", on_conflict="fail")
    with pytest.raises(DestinationExistsError):
        await archive(any_bucket, listed, _read_later(custody), move, capabilities=capabilities)


@pytest.mark.parametrize("clock", [True, False], ids=["a clock", "no clock"])
async def test_fail_finds_its_own_copy(
    any_bucket: Bucket, capabilities: Capabilities, arrive: Arrive, *, clock: bool
) -> None:
    """A copy that is not older than our download is our own from before a crash; without a clock any is."""
    listed, custody = await arrive(any_bucket)
    custody = custody if clock else replace(custody, stored=replace(custody.stored, read_at=None))
    move = Move(any_bucket.name, "archive/x.csv", on_conflict="fail")
    first = await archive(any_bucket, listed, custody, move, capabilities=capabilities)
    assert await archive(any_bucket, listed, custody, move, capabilities=capabilities) == first


def _read_later(custody: Custody) -> Custody:
    """Let two seconds seem to have passed between what was put before and the download."""
    read_at = datetime.fromisoformat(custody.stored.read_at or "") + timedelta(seconds=2)
    return replace(custody, stored=replace(custody.stored, read_at=read_at.isoformat()))


async def test_the_archived_copy_gets_tags_beside_its_own(bucket: Bucket, arrive: Arrive) -> None:
    """Tags of ``moveTo`` are on the copy however it came there; the object's own are kept."""
    listed, custody = await arrive(bucket)
    custody = replace(custody, stored=replace(custody.stored, tags={"from": "tide"}))
    properties = ObjectProperties(tags={"state": "taken"})
    for capabilities, key in ((STRICT, "archive/copied"), (WEAK, "archive/uploaded")):
        move = Move(bucket.name, key, properties=properties)
        await archive(bucket, listed, custody, move, capabilities=capabilities)
        assert await bucket.tags(key) == {"from": "tide", "state": "taken"}


async def test_too_many_tags_for_a_copy_are_an_error(bucket: Bucket, arrive: Arrive, tmp_path: Path) -> None:
    """The object's own tags and those of ``moveTo`` must fit together; before that nothing is stored."""
    listed, custody = await arrive(bucket)
    custody = replace(custody, stored=replace(custody.stored, tags={f"t{number}": "" for number in range(10)}))
    move = Move(bucket.name, "archive/x.csv", properties=ObjectProperties(tags={"state": "taken"}))
    with pytest.raises(BucketError) as caught:
        await archive(bucket, listed, custody, move, capabilities=STRICT)
    assert caught.value.cause == "TooManyTags"
    assert await contents(bucket, tmp_path, "archive/") == {}


async def test_a_conflict_may_be_overwritten(
    any_bucket: Bucket, capabilities: Capabilities, arrive: Arrive, tmp_path: Path
) -> None:
    """With ``onConflict: overwrite`` the destination holds the new content."""
    await put(any_bucket, "archive/x.csv", b"old", tmp_path)
    listed, custody = await arrive(any_bucket)
    move = Move(any_bucket.name, "archive/x.csv", on_conflict="overwrite")
    await archive(any_bucket, listed, custody, move, capabilities=capabilities)
    assert await contents(any_bucket, tmp_path, "archive/") == {"archive/x.csv": CONTENT}


@pytest.mark.parametrize("newer", [b"newer content", None], ids=["replaced", "removed"])
async def test_the_content_in_custody_is_archived_whatever_the_source_holds_now(
    any_bucket: Bucket, capabilities: Capabilities, arrive: Arrive, tmp_path: Path, *, newer: bytes | None
) -> None:
    """What a flow processes is what is archived, even when the source was replaced or removed meanwhile."""
    listed, custody = await arrive(any_bucket)
    if newer is None:
        await any_bucket.delete_unconditionally(listed.key)
    else:
        await put(any_bucket, listed.key, newer, tmp_path)
    await archive(any_bucket, listed, custody, Move(any_bucket.name, "archive/x.csv"), capabilities=capabilities)
    assert await contents(any_bucket, tmp_path, "archive/") == {"archive/x.csv": CONTENT}


async def test_the_same_content_with_another_etag_is_recognised(bucket: Bucket, arrive: Arrive, s3: Any) -> None:
    """Where ETags do not compare, as after a copy in parts, the content itself is compared."""
    listed, custody = await arrive(bucket, content=b"x" * 6 * 1024**2)
    upload = await s3.create_multipart_upload(Bucket=bucket.name, Key="archive/x.csv")
    named = {"Bucket": bucket.name, "Key": "archive/x.csv", "UploadId": upload["UploadId"]}
    part = await s3.upload_part(**named, PartNumber=1, Body=custody.file.read_bytes())
    await s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    archived = await archive(bucket, listed, custody, Move(bucket.name, "archive/x.csv"), capabilities=STRICT)
    assert archived.key == "archive/x.csv"
    assert archived.etag != listed.etag


@pytest.mark.parametrize(
    ("key", "beside"),
    [
        ("a/x.csv", "a/x~ID.csv"), ("x", "x~ID"), ("a.d/x", "a.d/x~ID"), ("a/.hidden", "a/.hidden~ID"),
        ("x.tar.gz", "x.tar~ID.gz"), ("x.", "x~ID."),
    ],
)  # fmt: skip
def test_suffix_goes_before_the_extension(key: str, beside: str) -> None:
    """A sibling keeps the extension, so that patterns for it still match."""
    assert suffixed(key, "ID") == beside


async def test_removes_the_content_in_custody(bucket: Bucket, arrive: Arrive) -> None:
    """An unchanged source is removed; doing so again changes nothing."""
    listed, _custody = await arrive(bucket)
    assert await remove(bucket, listed, STRICT) is Removal.REMOVED
    assert await remove(bucket, listed, STRICT) in {Removal.ALREADY_GONE, Removal.REPLACED}


async def test_removes_nothing_else(bucket: Bucket, arrive: Arrive, tmp_path: Path) -> None:
    """A source replaced meanwhile stays, to be found by the next poll."""
    listed, _custody = await arrive(bucket)
    await put(bucket, listed.key, b"newer", tmp_path)
    assert await remove(bucket, listed, STRICT) is Removal.REPLACED
    assert await contents(bucket, tmp_path) == {listed.key: b"newer"}


async def test_refuses_to_remove_without_a_safe_means(weak_bucket: Bucket, arrive: Arrive, tmp_path: Path) -> None:
    """A store without conditions is not trusted with a delete unless the author accepts the risk."""
    listed, _custody = await arrive(weak_bucket)
    with pytest.raises(BucketError) as caught:
        await remove(weak_bucket, listed, WEAK)
    assert caught.value.cause == "UnsafeDelete"
    assert listed.key in await contents(weak_bucket, tmp_path)


async def test_removes_unsafely_when_told_to(weak_bucket: Bucket, arrive: Arrive) -> None:
    """With the author's consent a look comes first, then the delete."""
    listed, _custody = await arrive(weak_bucket)
    assert await remove(weak_bucket, listed, WEAK, allow_unconditional=True) is Removal.REMOVED
    assert await remove(weak_bucket, listed, WEAK, allow_unconditional=True) is Removal.ALREADY_GONE


async def test_looks_before_it_removes_unsafely(weak_bucket: Bucket, arrive: Arrive, tmp_path: Path) -> None:
    """What the look finds replaced is not deleted."""
    listed, _custody = await arrive(weak_bucket)
    await put(weak_bucket, listed.key, b"newer", tmp_path)
    assert await remove(weak_bucket, listed, WEAK, allow_unconditional=True) is Removal.REPLACED
    assert await contents(weak_bucket, tmp_path) == {listed.key: b"newer"}


async def versions(s3: Any, bucket: Bucket) -> list[str]:
    return [version["VersionId"] for version in (await s3.list_object_versions(Bucket=bucket.name)).get("Versions", [])]


async def set_versioning(s3: Any, bucket: Bucket, status: str) -> None:
    await s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": status})


async def test_removes_one_version(bucket: Bucket, arrive: Arrive, s3: Any, tmp_path: Path) -> None:
    """On a versioned bucket exactly the version in custody goes, even when the same bytes came again."""
    await set_versioning(s3, bucket, "Enabled")
    listed, _custody = await arrive(bucket)
    await put(bucket, listed.key, CONTENT, tmp_path)
    assert await remove(bucket, listed, VERSIONED) is Removal.REMOVED
    assert listed.version_id not in await versions(s3, bucket)
    assert await contents(bucket, tmp_path) == {listed.key: CONTENT}


async def test_a_null_version_is_no_identity(bucket: Bucket, arrive: Arrive, s3: Any, tmp_path: Path) -> None:
    """While versioning is suspended every upload is the version ``null``: the newer one must not go in its place."""
    await set_versioning(s3, bucket, "Suspended")
    listed, _custody = await arrive(bucket)
    listed = replace(listed, version_id="null")
    await put(bucket, listed.key, b"newer", tmp_path)
    assert await remove(bucket, listed, STRICT) is Removal.REPLACED
    assert await contents(bucket, tmp_path) == {listed.key: b"newer"}


async def test_keeps_the_version_under_a_marker(bucket: Bucket, arrive: Arrive, s3: Any) -> None:
    """With ``keepVersions`` the object is gone from listings and its version stays; again changes nothing."""
    await set_versioning(s3, bucket, "Enabled")
    listed, _custody = await arrive(bucket)
    assert await remove(bucket, listed, MARKING, keep_versions=True) is Removal.REMOVED
    assert await bucket.head(listed.key) is None
    assert await remove(bucket, listed, MARKING, keep_versions=True) is Removal.ALREADY_GONE
    assert await versions(s3, bucket) == [listed.version_id]
    assert len((await s3.list_object_versions(Bucket=bucket.name))["DeleteMarkers"]) == 1


async def test_never_hides_a_newer_version(bucket: Bucket, arrive: Arrive, s3: Any, tmp_path: Path) -> None:
    """With ``keepVersions`` a newer version stays in sight."""
    await set_versioning(s3, bucket, "Enabled")
    listed, _custody = await arrive(bucket)
    await put(bucket, listed.key, b"newer", tmp_path)
    assert await remove(bucket, listed, MARKING, keep_versions=True) is Removal.REPLACED
    assert await contents(bucket, tmp_path) == {listed.key: b"newer"}
    assert len(await versions(s3, bucket)) == 2


@pytest.mark.parametrize(("capabilities", "lacks"), [(VERSIONED, "If-Match"), (STRICT, "keeps no versions")])
async def test_versions_are_kept_safely_or_not_at_all(
    bucket: Bucket, arrive: Arrive, capabilities: Capabilities, lacks: str
) -> None:
    """Where a marker could hide a newer version, or no version would stay, nothing is removed, whoever consents."""
    listed, _custody = await arrive(bucket)
    with pytest.raises(BucketError, match=lacks) as caught:
        await remove(bucket, listed, capabilities, keep_versions=True, allow_unconditional=True)
    assert (caught.value.cause, bool(caught.value.hint)) == ("NoDeleteMarkers", True)
    with pytest.raises(BucketError, match=lacks):
        check_capabilities("MOVE", capabilities, allow_unconditional=True, keep_versions=True)
    assert await bucket.head(listed.key)


@pytest.mark.parametrize("action", ["MOVE", "DELETE"])
def test_unsafe_actions_are_refused_up_front(action: str) -> None:
    """Before anything is claimed, the error says what the store lacks and what to do."""
    with pytest.raises(BucketError, match=action) as caught:
        check_capabilities(action, WEAK, allow_unconditional=False)
    assert "allowUnconditionalDelete" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("action", "capabilities", "allowed"),
    [
        ("MOVE", STRICT, False),
        ("DELETE", VERSIONED, False),
        ("DELETE", WEAK, True),
    ],
)
def test_safe_actions_pass(action: str, capabilities: Capabilities, *, allowed: bool) -> None:
    """A condition, versions, or the author's consent."""
    check_capabilities(action, capabilities, allow_unconditional=allowed)
