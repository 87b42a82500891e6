"""What fires a trigger, and how often."""

import asyncio
import hashlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acceptance.driver import Daemon
from acceptance.flows import flow, hashing, log, trigger

OBJECTS = 200
MEBIBYTE = 1 << 20


def _sizes(seed: int) -> list[int]:
    """Sizes of 1 B to 50 MB: mostly small, as files that land in buckets are, and a few large ones."""
    chance = random.Random(seed)
    large = [50_000_000, *(chance.randrange(5_000_000, 30_000_000) for _ in range(6))]
    small = [1, *(int(10 ** chance.uniform(0, 6)) for _ in range(OBJECTS - len(large) - 1))]
    sizes = large + small
    chance.shuffle(sizes)
    return sizes


async def test_200_objects_under_nested_prefixes(
    daemon: Daemon, objects: Any, record_property: Callable[[str, object], None]
) -> None:
    """Each object has one execution with its bytes and one place in the archive, and the drain does not wait."""
    seed = random.randrange(1 << 32)
    record_property("seed", seed)
    chance = random.Random(seed)
    # One file name over and over: in the archive, without their folders, all want the same place.
    contents = {
        f"raw/{number % 7}/{number % 3}/{number}/data.csv"
        if number % 2
        else f"raw/{number % 5}/file {number}.csv": chance.randbytes(size)
        for number, size in enumerate(_sizes(seed))
    }
    daemon.add_flow(flow(hashing(), triggers=[trigger(objects.bucket, interval="PT1S")]))
    daemon.start()
    await daemon.ready()
    began = time.monotonic()
    slots = asyncio.Semaphore(8)

    async def drop(key: str, content: bytes) -> None:
        async with slots:
            await objects.put(key, content)

    await asyncio.gather(*(drop(key, content) for key, content in contents.items()))
    executions = await daemon.until_ended(OBJECTS, seconds=180)
    took = time.monotonic() - began
    assert len(executions) == OBJECTS
    assert {item["state"] for item in executions} == {"SUCCESS"}
    expected = {key: hashlib.sha256(content).hexdigest() for key, content in contents.items()}
    for item in executions:
        (arrived,) = item["trigger"]["objects"]
        details = await daemon.ask(f"executions/{item['id']}")
        assert details["taskRuns"][0]["outputs"]["vars"]["sha256"] == expected.pop(arrived["key"])
    assert not expected
    archived = await objects.keys("archive/")
    assert len(archived) == OBJECTS
    digests = [hashlib.sha256(await objects.get(key)).hexdigest() for key in archived]
    assert sorted(digests) == sorted(hashlib.sha256(content).hexdigest() for content in contents.values())
    assert await objects.keys("raw/") == []
    assert took < OBJECTS * 0.75, "hardly faster than an object every interval of a second"


async def test_folder_marker_does_not_starve(daemon: Daemon, objects: Any) -> None:
    """With maxKeys 1 and filter FILES, the marker that comes first in the listing takes nobody's place."""
    await objects.client.put_object(Bucket=objects.bucket, Key="raw/", Body=b"")
    await objects.put("raw/a.csv")
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    assert await daemon.once() == 0
    (item,) = await daemon.executions()
    assert [found["key"] for found in item["trigger"]["objects"]] == ["raw/a.csv"]


async def test_same_name_and_bytes_fire_again(daemon: Daemon, objects: Any) -> None:
    """A file that was archived fires again when the same file is dropped again."""
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    daemon.start()
    await daemon.ready()
    for number in (1, 2, 3):
        await objects.put("raw/same.csv", b"the same bytes")
        executions = await daemon.until_ended(number)
        assert [item["state"] for item in executions] == ["SUCCESS"] * number
    assert await objects.keys() == ["archive/same.csv"]


async def test_none_fires_once_per_version(daemon: Daemon, objects: Any, tmp_path: Path) -> None:
    """With action NONE each of 3,000 objects fires once, across restarts; one that is overwritten fires again."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(3000):
        (folder / f"{number:04}").write_text(str(number))
    await objects.put_folder(folder, "raw/")
    daemon.add_flow(
        flow(
            log("{{ trigger.objects | length }} objects"),
            triggers=[
                trigger(objects.bucket, action="NONE", moveTo=None, maxKeys=1000, maxFiles=1000, interval="PT1S")
            ],
        )
    )
    daemon.start()
    await daemon.ready()
    first = await daemon.until_ended(3, seconds=180)
    assert sorted(found["key"] for item in first for found in item["trigger"]["objects"]) == [
        f"raw/{number:04}" for number in range(3000)
    ]
    daemon.kill()
    daemon.start()
    await daemon.ready()
    await daemon.until_looked(2)
    assert len(await daemon.executions()) == 3
    await objects.put("raw/1234", b"something newer")
    (*_, update) = await daemon.until_ended(4)
    assert [(found["key"], found["changeType"]) for found in update["trigger"]["objects"]] == [("raw/1234", "UPDATE")]
    await daemon.until_looked(2)
    assert len(await daemon.executions()) == 4
