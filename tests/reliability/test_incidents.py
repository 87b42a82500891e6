"""
What went wrong in public in systems that do the same work (reliability.md §1), asked of this one: one test for each, by
its issue number.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
from acceptance.flows import flow, log
from acceptance.flows import trigger as watching
from aiohttp import web
from faults.proxy import is_copy, is_delete, writes_below
from faults.storm import Fault, inflict
from reliability.experiment import Setting
from reliability.scene import QUICK, Scene, kept, md5, scene, sha256

A, B = b"content a", b"content b"


@pytest.fixture
async def place(setting: Setting) -> AsyncIterator[Scene]:
    async with scene(setting, "incident", **QUICK) as place:
        yield place


async def _sources(place: Scene) -> list[str]:
    """The keys that executions were started for, one entry for each."""
    return sorted(item["key"] for found in await place.daemon.executions() for item in found["trigger"]["objects"])


def _ask(place: Scene, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{place.daemon.state}/tidewaiter.db?mode=ro", uri=True)) as journal:
        return journal.execute(query).fetchall()


async def test_the_source_is_there_until_the_content_is_kept(place: Scene) -> None:
    """ClickHouse #111537: the source was deleted before the rows were on disk. Here the file and its execution are."""
    await place.objects.put("raw/a.csv", A)
    gate = place.proxy.hold(is_delete("raw/a.csv"))
    place.watch()
    place.daemon.start()
    await place.daemon.until(gate.reached.is_set, "the DELETE")
    assert sha256(A) in kept(place.daemon.state)
    assert _ask(place, "SELECT d.state, e.state FROM detection d JOIN execution e USING (batch_id)") == [
        ("COPIED", "CREATED")
    ]


async def test_a_delete_that_fails_is_not_taken_for_done(place: Scene) -> None:
    """ClickHouse #114421: a delete that failed was swallowed, and the file was taken in again later."""
    await place.objects.put("raw/a.csv", A)
    rule = place.proxy.deny(is_delete("raw/a.csv"))
    place.watch(action="DELETE", moveTo=None)
    place.daemon.start()
    await place.daemon.ready()
    await place.daemon.until_looked(2)
    assert (await place.daemon.trigger())["detections"] == {"STORED": 1}
    place.proxy.rules.remove(rule)
    assert await place.done(1, seconds=30)
    assert await _sources(place) == ["raw/a.csv"]


async def test_a_restart_in_an_outage_forgets_nothing(place: Scene) -> None:
    """ClickHouse #116294: one failed call at a restart wiped the registry, and all was taken in again."""
    await place.objects.put("raw/a.csv", A)
    place.watch(action="NONE", moveTo=None)
    assert await place.daemon.once() == 0
    rule = place.proxy.deny(lambda _request: True)
    assert await place.daemon.once() == 1
    place.proxy.rules.remove(rule)
    assert await place.daemon.once() == 0
    assert await _sources(place) == ["raw/a.csv"]


async def test_a_crash_forgets_nothing(place: Scene) -> None:
    """ClickHouse #112041: the registry was wiped when the database recovered."""
    await place.objects.put("raw/a.csv", A)
    place.watch(action="NONE", moveTo=None)
    place.daemon.start()
    await place.daemon.ready()
    await place.daemon.until_ended(1)
    place.daemon.kill()
    await place.objects.put("raw/b.csv", B)
    assert await place.daemon.once() == 0
    assert await _sources(place) == ["raw/a.csv", "raw/b.csv"]


async def test_an_object_that_appears_again_is_taken_again(place: Scene) -> None:
    """ClickHouse #114595: a stale cache passed over an object that came again under its key, with the same bytes."""
    place.watch(action="DELETE", moveTo=None)
    for _ in range(2):
        await place.objects.put("raw/a.csv", A)
        assert await place.daemon.once() == 0
    assert place.daemon.done() == [sha256(A)] * 2


async def test_objects_of_one_name_do_not_overwrite_each_other(place: Scene) -> None:
    """ClickHouse #114847, and Kestra's basename: a/x.csv and b/x.csv became one object at the destination."""
    await place.objects.put("raw/a/x.csv", A)
    await place.objects.put("raw/b/x.csv", B)
    place.watch()
    assert await place.daemon.once() == 0
    assert sorted((await place.archive()).values()) == sorted([md5(A), md5(B)])


async def test_what_is_gone_is_forgotten(place: Scene) -> None:
    """Beats #39116: the registry grew by a kilobyte for each object for ever. Two listings without it end an entry."""
    await place.objects.put("raw/a.csv", A)
    place.watch(action="NONE", moveTo=None)
    assert await place.daemon.once() == 0
    assert len(_ask(place, "SELECT * FROM seen")) == 1
    await place.objects.client.delete_object(Bucket=place.objects.bucket, Key="raw/a.csv")
    for _ in range(2):
        assert await place.daemon.once() == 0
    assert _ask(place, "SELECT * FROM seen") == []


async def test_two_triggers_on_a_bucket_keep_their_own_memory(place: Scene) -> None:
    """Beats #52721: inputs that shared a registry deleted each other's state, and took everything in again."""
    await place.objects.put("raw/a.csv", A)
    await place.objects.put("raw/b/b.csv", B)
    for name, prefix in (("whole", "raw/"), ("part", "raw/b/")):
        watched = watching(place.objects.bucket, prefix=prefix, action="NONE", moveTo=None)
        place.daemon.add_flow(flow(log(), triggers=[watched], name=name), f"{name}.yaml")
    for _ in range(3):
        assert await place.daemon.once() == 0
    assert await _sources(place) == ["raw/a.csv", "raw/b/b.csv", "raw/b/b.csv"]


async def test_nothing_is_done_before_its_action(place: Scene) -> None:
    """Beats #41070: objects were marked as done though the backup and the delete never ran."""
    await place.objects.put("raw/a.csv", A)
    rule = place.proxy.deny(writes_below(f"{place.objects.bucket}/archive/a.csv"))
    place.watch()
    place.daemon.start()
    await place.daemon.ready()
    await place.daemon.until_looked(2)
    assert (await place.daemon.trigger())["detections"] == {"STORED": 1}
    place.proxy.rules.remove(rule)
    assert await place.done(1, seconds=30)
    assert await place.archive() == {"archive/a.csv": md5(A)}


async def test_an_error_inside_a_200_is_an_error(place: Scene) -> None:
    """Litestream 0.3.13: errors for single keys inside a 200 were overlooked, and objects believed to be deleted."""
    await place.objects.put("raw/a.csv", A)
    place.watch()
    meant, failed = is_copy("raw/a.csv"), []

    async def first_fails(request: web.Request) -> web.StreamResponse | None:
        if failed or not meant(request):
            return None
        failed.append(request.path)
        return await inflict(Fault.ERROR_IN_200, request, place.proxy)

    place.proxy.rules.append(first_fails)
    place.daemon.start()
    await place.daemon.ready()
    assert await place.done(1, seconds=30)
    assert await place.archive() == {"archive/a.csv": md5(A)}
    assert len(failed) == 1


async def test_a_crash_after_the_action_leaves_an_execution(place: Scene) -> None:
    """Kestra: state and action come before the execution, so a crash in between loses it."""
    await place.objects.put("raw/a.csv", A)
    gate = place.proxy.hold(is_delete("raw/a.csv"))
    place.watch()
    place.daemon.start()
    await place.daemon.until(gate.reached.is_set, "the DELETE")
    place.daemon.kill()
    await place.objects.client.delete_object(Bucket=place.objects.bucket, Key="raw/a.csv")
    gate.open()
    assert await place.daemon.once() == 0
    assert (await _sources(place), place.daemon.done()) == (["raw/a.csv"], [sha256(A)])


async def test_a_limit_starves_nobody(place: Scene) -> None:
    """Kestra: maxKeys limited the listing, so without an action later keys were never seen."""
    for number in range(6):
        await place.objects.put(f"raw/{number}.csv", b"%d" % number)
    place.watch(action="NONE", moveTo=None, maxKeys=2, maxFiles=1)
    assert await place.daemon.once() == 0
    assert len(place.daemon.done()) == 6
