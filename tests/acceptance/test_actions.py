"""What becomes of an object besides being moved away: tagged where it is, or gone with its version kept."""

from typing import Any

import pytest
from acceptance.driver import Daemon
from acceptance.flows import flow, log, trigger


async def _tags(objects: Any, key: str) -> dict[str, str]:
    found = await objects.client.get_object_tagging(Bucket=objects.bucket, Key=key)
    return {tag["Key"]: tag["Value"] for tag in found["TagSet"]}


def _tagging(objects: Any, **properties: Any) -> dict[str, Any]:
    tags = {"state": "taken", "by": "{{ flow.id }}"}
    return flow(log(), triggers=[trigger(objects.bucket, action="TAG", moveTo=None, tags=tags, **properties)])


async def test_tagged_objects_fire_once(daemon: Daemon, objects: Any) -> None:
    """TAG leaves the object where it is with tags on it, and starts one execution for each content."""
    await objects.put("raw/a.csv")
    daemon.add_flow(_tagging(objects))
    daemon.start()
    await daemon.ready()
    await daemon.until_ended(1)
    assert await _tags(objects, "raw/a.csv") == {"state": "taken", "by": "arrivals"}
    await daemon.until_looked(3)
    assert len(await daemon.executions()) == 1
    await objects.put("raw/a.csv", b"newer")
    await daemon.until_ended(2)
    assert await objects.get("raw/a.csv") == b"newer"
    assert (await _tags(objects, "raw/a.csv"))["state"] == "taken"


@pytest.fixture
async def versioned(objects: Any) -> None:
    """Let the bucket keep versions."""
    status = {"Status": "Enabled"}
    await objects.client.put_bucket_versioning(Bucket=objects.bucket, VersioningConfiguration=status)


async def _versions(objects: Any, key: str) -> tuple[int, int]:
    """How many versions and delete markers there are of *key*."""
    found = await objects.client.list_object_versions(Bucket=objects.bucket, Prefix=key)
    return len(found.get("Versions", [])), len(found.get("DeleteMarkers", []))


@pytest.mark.usefixtures("versioned")
@pytest.mark.parametrize(("keep", "left"), [(True, (1, 1)), (False, (0, 0))])
async def test_versions_are_kept_if_asked_for(daemon: Daemon, objects: Any, keep: bool, left: tuple[int, int]) -> None:
    """With ``keepVersions`` the version stays under a delete marker, else exactly that version is removed."""
    await objects.put("raw/a.csv")
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, action="DELETE", moveTo=None, keepVersions=keep)]))
    daemon.start()
    await daemon.ready()
    await daemon.until_ended(1)
    assert await objects.keys("raw/") == []
    assert await _versions(objects, "raw/a.csv") == left


async def test_versions_that_cannot_be_kept(daemon: Daemon, objects: Any) -> None:
    """A bucket without versions: the trigger says so before it takes anything."""
    await objects.put("raw/a.csv")
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, keepVersions=True)]))
    assert await daemon.once() == 1
    (record,) = daemon.logged("trigger_failing")
    assert (record["cause"], bool(record["hint"])) == ("NoDeleteMarkers", True)
    assert await objects.keys() == ["raw/a.csv"]


async def test_an_archived_copy_as_it_was_asked_for(daemon: Daemon, objects: Any) -> None:
    """Storage class, tags and metadata of the trigger are on the copy, beside the object's own."""
    own = {"Metadata": {"from": "tide"}, "Tagging": "lot=7"}
    await objects.client.put_object(Bucket=objects.bucket, Key="raw/a.csv", Body=b"x", **own)
    move = {"key": "archive/", "storageClass": "STANDARD_IA", "tags": {"state": "taken"}, "metadata": {"by": "tide"}}
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, moveTo=move)]))
    assert await daemon.once() == 0
    head = await objects.client.head_object(Bucket=objects.bucket, Key="archive/a.csv")
    assert (head["StorageClass"], head["Metadata"]) == ("STANDARD_IA", {"from": "tide", "by": "tide"})
    assert await _tags(objects, "archive/a.csv") == {"lot": "7", "state": "taken"}
