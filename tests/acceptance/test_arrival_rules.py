"""Arrival rules end to end: which objects start executions, together with which others, and where they go."""

from datetime import datetime, timedelta
from typing import Any

from acceptance.driver import Daemon
from acceptance.flows import flow, log, trigger


def arrived(executions: list[dict[str, Any]]) -> list[str]:
    """The keys of each execution, oldest first."""
    return [" ".join(found["key"] for found in item["trigger"]["objects"]) for item in executions]


def watching(daemon: Daemon, objects: Any, **properties: Any) -> None:
    rules = {"maxKeys": 100, "maxFiles": 100, "preservePath": True} | properties
    daemon.add_flow(flow(log("{{ trigger.objects | length }} objects"), triggers=[trigger(objects.bucket, **rules)]))


async def test_a_done_file_completes_a_set(daemon: Daemon, objects: Any) -> None:
    """Nothing fires before the marker is there; it is archived with its set, and is no object of the execution."""
    watching(daemon, objects, doneFile="_SUCCESS", pattern="raw/{day}/{name}.csv")
    for key in ("raw/mon/1.csv", "raw/mon/2.csv", "raw/tue/1.csv"):
        await objects.put(key)
    daemon.start()
    await daemon.ready()
    await daemon.until_looked(2)
    assert (await daemon.trigger())["held"] == {"doneFile": 3}
    await objects.put("raw/mon/_SUCCESS", b"")
    executions = await daemon.until_ended(1)
    assert arrived(executions) == ["raw/mon/1.csv raw/mon/2.csv"]
    assert [found["captures"] for found in executions[0]["trigger"]["objects"]] == [
        {"day": "mon", "name": "1"},
        {"day": "mon", "name": "2"},
    ]
    assert sorted(await objects.keys()) == [
        "archive/mon/1.csv", "archive/mon/2.csv", "archive/mon/_SUCCESS", "raw/tue/1.csv",
    ]  # fmt: skip


async def test_a_set_survives_a_kill(daemon: Daemon, objects: Any) -> None:
    """A marker that is claimed is seen through like any object: after a restart the set is whole and done once."""
    watching(daemon, objects, doneFile="_SUCCESS", maxKeys=3)
    for number in range(30):
        await objects.put(f"raw/{number:02}")
    await objects.put("raw/_SUCCESS")
    daemon.start()
    await daemon.until(lambda: daemon.logged("objects_claimed"), "the claims")
    daemon.kill()
    assert await daemon.once() == 0
    keys = sorted(key for text in arrived(await daemon.executions()) for key in text.split())
    assert keys == [f"raw/{number:02}" for number in range(30)]
    assert len(await objects.keys("archive/")) == 31
    assert await objects.keys("raw/") == []


async def test_a_manifest_completes_a_set(daemon: Daemon, objects: Any) -> None:
    """A set is what its manifest lists, and waits for the last of it; nothing else is taken."""
    watching(daemon, objects, manifest="*.manifest")
    await objects.put(
        "raw/day.manifest", b'{"entries": [{"url": "s3://%s/raw/a"}, {"url": "b"}]}' % objects.bucket.encode()
    )
    await objects.put("raw/a")
    await objects.put("raw/z")
    assert await daemon.once() == 0
    assert await daemon.executions() == []
    await objects.put("raw/b")
    assert await daemon.once() == 0
    assert arrived(await daemon.executions()) == ["raw/a raw/b"]
    assert sorted(await objects.keys()) == ["archive/a", "archive/b", "archive/day.manifest", "raw/z"]


async def test_a_hostile_manifest_is_trouble(daemon: Daemon, objects: Any) -> None:
    """Its set waits, and the trigger says why."""
    watching(daemon, objects, manifest="*.manifest")
    await objects.put("raw/day.manifest", b"a\n../../etc/passwd\n")
    await objects.put("raw/a")
    assert await daemon.once() == 1
    problem = (await daemon.trigger())["problem"]
    assert problem["cause"] == "Manifest"
    assert "'../../etc/passwd'" in problem["message"]
    assert len(await objects.keys("raw/")) == 2


async def test_groups_that_are_large_enough(daemon: Daemon, objects: Any) -> None:
    """Each execution has objects of one customer only, and not before there are enough."""
    watching(daemon, objects, pattern="raw/{customer}/{name}", groupBy="customer", minObjects=2)
    for key in ("raw/a/1", "raw/b/1", "raw/a/2"):
        await objects.put(key)
    assert await daemon.once() == 0
    assert arrived(await daemon.executions()) == ["raw/a/1 raw/a/2"]
    await objects.put("raw/b/2")
    assert await daemon.once() == 0
    assert arrived(await daemon.executions()) == ["raw/a/1 raw/a/2", "raw/b/1 raw/b/2"]


async def test_what_is_there_first_is_skipped(daemon: Daemon, objects: Any) -> None:
    """Once, not at every start: what arrives while the daemon is down is processed."""
    watching(daemon, objects, initial="skip")
    await objects.put("raw/old")
    assert await daemon.once() == 0
    assert await daemon.executions() == []
    await objects.put("raw/new")
    assert await daemon.once() == 0
    assert arrived(await daemon.executions()) == ["raw/new"]
    assert sorted(await objects.keys()) == ["archive/new", "raw/old"]


async def test_each_object_has_its_own_destination(daemon: Daemon, objects: Any) -> None:
    """Folder and name are made of the object's key; one that would lead elsewhere is parked, and stays."""
    move = {
        "key": "archive/{{ object.captures.customer }}/",
        "name": "{{ object.lastModified | date('yyyy') }}-{{ object.name }}",
    }
    watching(daemon, objects, pattern="raw/{customer}/{name}", moveTo=move, preservePath=None)
    for key in ("raw/acme/a.csv", "raw/...../b.csv", "raw/{{ 7*7 }}/c.csv"):
        await objects.put(key)
    daemon.add_flow(
        flow(
            log(),
            triggers=[
                trigger(objects.bucket, id="up", prefix="up/", moveTo={"key": "{{ object.name | slice(0, 2) }}"})
            ],
            name="hostile",
        ),
        "hostile.yaml",
    )
    await objects.put("up/...")
    assert await daemon.once() == 0
    year = (await daemon.executions())[0]["trigger"]["objects"][0]["lastModified"][:4]
    assert sorted(await objects.keys()) == [
        f"archive/...../{year}-b.csv", f"archive/acme/{year}-a.csv", f"archive/{{{{ 7*7 }}}}/{year}-c.csv", "up/...",
    ]  # fmt: skip
    parked = {item["id"]: item["detections"].get("PARKED", 0) for item in await daemon.ask("triggers")}
    assert parked == {"arrival": 0, "up": 1}


async def test_an_expression_decides_for_each_object(daemon: Daemon, objects: Any) -> None:
    """What it is true for is taken; where it fails, that object waits, the trigger says so, and others go on."""
    watching(daemon, objects, when="{{ object.name != 'no' and 10 / (object.size - 3) > 0 }}", maxKeys=1)
    await objects.put("raw/fails", b"123")
    await objects.put("raw/no", b"12345")
    for number in range(4):
        await objects.put(f"raw/yes{number}", b"12345")
    assert await daemon.once() == 1
    assert sorted(arrived(await daemon.executions())) == [f"raw/yes{number}" for number in range(4)]
    assert (await daemon.trigger())["problem"]["cause"] == "Expression"
    assert sorted(await objects.keys("raw/")) == ["raw/fails", "raw/no"]


async def test_a_look_comes_when_something_is_ready(daemon: Daemon, objects: Any) -> None:
    """With an interval of hours an object is taken as soon as it is old enough."""
    watching(daemon, objects, minAge="PT5S", interval="PT5H")
    daemon.start()
    await daemon.ready()
    await objects.put("raw/a")
    await daemon.call("triggers", "poll", "arrivals/arrival")
    [execution] = await daemon.until_ended(1)
    [found] = execution["trigger"]["objects"]
    created, changed = (datetime.fromisoformat(text) for text in (execution["createdAt"], found["lastModified"]))
    assert created - changed >= timedelta(seconds=5)


async def test_a_quiet_set(daemon: Daemon, objects: Any) -> None:
    """Objects are taken together when none of them was changed for a while."""
    watching(daemon, objects, quietFor="PT3S")
    daemon.start()
    await daemon.ready()
    for name in "abc":
        await objects.put(f"raw/{name}")
        await daemon.until_looked(2)
    assert arrived(await daemon.until_ended(1)) == ["raw/a raw/b raw/c"]


async def test_what_is_left_is_shown(daemon: Daemon, objects: Any) -> None:
    """``triggers list`` tells how many objects there was no room for, and what waits by which rule."""
    watching(daemon, objects, maxKeys=1, prefetch=1, exclude="*.tmp", minAge="PT2S")
    for number in range(5):
        await objects.put(f"raw/{number}")
    daemon.add_flow(
        flow(
            {"id": "stay", "type": "io.kestra.plugin.scripts.shell.Commands", "commands": ["sleep 600"],
             "taskRunner": {"type": "io.kestra.plugin.core.runner.Process"}},
            triggers=[trigger(objects.bucket, maxKeys=1, prefetch=1, minAge="PT2S")],
        )
    )  # fmt: skip
    daemon.start()
    await daemon.ready()
    found = await daemon.until(lambda: _with_backlog(daemon), "a backlog")
    assert found["backlog"]["objects"] > 0
    assert found["backlog"]["oldest"].endswith("Z")
    shown = (await daemon.call("triggers", "list")).stdout
    assert "BACKLOG" in shown
    assert ", oldest " in shown


async def _with_backlog(daemon: Daemon) -> dict[str, Any] | None:
    found = await daemon.trigger()
    return found if found["backlog"]["objects"] else None
