"""``kill -9`` of the daemon at the moments that matter: nothing is lost, nothing finished is done again."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acceptance.driver import Daemon, processes_under
from acceptance.flows import flow, log, shell, trigger
from faults.proxy import is_delete, proxy_to
from stores.seaweedfs import Store

OBJECTS = 24
KILLS = 3


def _ledger_flow(daemon: Daemon, bucket: str, *middle: dict[str, Any]) -> dict[str, Any]:
    """A task before, *middle*, and a task after; each of the two writes its name into the ledger."""
    first, last = (shell(name, f"echo {name} >> {daemon.ledger}") for name in ("first", "last"))
    return flow(first, *middle, last, triggers=[trigger(bucket)])


async def _exactly_one(daemon: Daemon, objects: Any, key: str, content: bytes) -> dict[str, Any]:
    """Check what must hold after any kill: one execution, successful, and the object archived once."""
    await daemon.until_ended(1)
    await daemon.until_looked(2)
    item = await daemon.execution()
    assert item["state"] == "SUCCESS"
    assert [found["key"] for found in item["trigger"]["objects"]] == [f"raw/{key}"]
    assert await objects.keys() == [f"archive/{key}"]
    assert await objects.get(f"archive/{key}") == content
    return item


async def test_killed_while_reading(daemon: Daemon, objects: Any) -> None:
    """Half of a big object on the disk is thrown away; the object is read again and processed once."""
    content = os.urandom(48 << 20)
    await objects.put("raw/big.bin", content)
    daemon.add_flow(_ledger_flow(daemon, objects.bucket))
    daemon.start()
    await daemon.until(lambda: _some(daemon.state, "data.tmp"), "the object being read")
    daemon.kill()
    assert _some(daemon.state, "data.tmp")
    assert await daemon.executions() == []
    daemon.start()
    await daemon.ready()
    await _exactly_one(daemon, objects, "big.bin", content)
    assert not _some(daemon.state, "data.tmp")
    assert daemon.done() == ["first", "last"]


def _some(folder: Path, name: str) -> list[Path]:
    return list(folder.rglob(name)) if folder.exists() else []


async def test_killed_between_copy_and_delete(daemons: Callable[..., Daemon], seaweedfs: Store, objects: Any) -> None:
    """The copy in the archive is recognised as ours, the source is removed, and one execution follows."""
    await objects.put("raw/a.csv", b"content")
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        gate = proxy.hold(is_delete("raw/a.csv"))
        daemon = daemons(seaweedfs, AWS_ENDPOINT_URL=proxy.endpoint_url)
        daemon.add_flow(_ledger_flow(daemon, objects.bucket))
        daemon.start()
        await daemon.until(gate.reached.is_set, "the DELETE")
        daemon.kill()
        assert await objects.keys() == ["archive/a.csv", "raw/a.csv"]
        assert daemon.done() == []
        proxy.rules.clear()
        daemon.start()
        await daemon.ready()
        await _exactly_one(daemon, objects, "a.csv", b"content")
    assert daemon.done() == ["first", "last"]


async def test_killed_between_read_and_copy(daemons: Callable[..., Daemon], seaweedfs: Store, objects: Any) -> None:
    """Once it is stored here an object has its execution, even if it was removed from the bucket meanwhile."""
    await objects.put("raw/a.csv", b"content")
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        gate = proxy.hold(lambda request: "archive/a.csv" in request.path)
        daemon = daemons(seaweedfs, AWS_ENDPOINT_URL=proxy.endpoint_url)
        daemon.add_flow(_ledger_flow(daemon, objects.bucket))
        daemon.start()
        await daemon.until(gate.reached.is_set, "the COPY")
        daemon.kill()
        await objects.client.delete_object(Bucket=objects.bucket, Key="raw/a.csv")
        proxy.rules.clear()
        daemon.start()
        await daemon.ready()
        await _exactly_one(daemon, objects, "a.csv", b"content")
    assert daemon.done() == ["first", "last"]


async def test_killed_while_a_task_runs(daemon: Daemon, objects: Any) -> None:
    """Only the interrupted task runs once more, after every process of its first run is dead; nothing else does."""
    slow = shell(
        "slow",
        "echo slow >> $LEDGER",
        # The second run goes through, but tells whether a process of the first is still there.
        'if [ "$ATTEMPT" = 1 ]; then setsid sleep 300 & echo $! > $LEDGER.pid; sleep 300; fi',
        # A zombie, for which nobody has waited yet, has no command line any more.
        "if grep -q sleep /proc/$(cat $LEDGER.pid)/cmdline; then echo orphan >> $LEDGER; fi",
        env={"LEDGER": str(daemon.ledger)},
        warningOnStdErr=False,
    )
    await objects.put("raw/a.csv", b"content")
    daemon.add_flow(_ledger_flow(daemon, objects.bucket, slow))
    daemon.start()
    await daemon.ready()
    await daemon.until(daemon.ledger.with_suffix(".pid").exists, "the slow task to run")
    daemon.kill()
    assert len(processes_under(daemon.state)) >= 3
    daemon.start()
    await daemon.ready()
    item = await _exactly_one(daemon, objects, "a.csv", b"content")
    assert daemon.done() == ["first", "slow", "slow", "last"]
    assert [(run["taskId"], run["state"], run["attempts"]) for run in item["taskRuns"]] == [
        ("first", "SUCCESS", 1),
        ("slow", "SUCCESS", 2),
        ("last", "SUCCESS", 1),
    ]
    assert processes_under(daemon.state) == []


async def test_killed_inside_a_working_directory(daemon: Daemon, objects: Any) -> None:
    """Files that finished tasks left in the working directory are still there for the task that runs again."""
    slow = shell(
        "slow",
        'if [ "$ATTEMPT" = 1 ]; then touch $LEDGER; sleep 300; fi',
        "cat kept > $LEDGER",
        env={"LEDGER": str(daemon.ledger)},
    )
    directory = {
        "id": "wdir",
        "type": "io.kestra.plugin.core.flow.WorkingDirectory",
        "tasks": [shell("keep", "echo $ATTEMPT > kept"), slow],
    }
    await objects.put("raw/a.csv")
    daemon.add_flow(flow(directory, triggers=[trigger(objects.bucket)]))
    daemon.start()
    await daemon.ready()
    await daemon.until(daemon.ledger.exists, "the slow task to run")
    daemon.kill()
    assert await daemon.once() == 0
    assert daemon.done() == ["1"]


async def test_killed_again_and_again(daemon: Daemon, objects: Any) -> None:
    """Killed after every few executions while objects are on their way, each object has its one execution."""
    daemon.add_flow(
        flow(
            shell("note", f"echo $KEY $ATTEMPT >> {daemon.ledger}", env={"KEY": "{{ trigger.objects[0].key }}"}),
            log(),
            triggers=[trigger(objects.bucket)],
        )
    )
    keys = [f"raw/{number:02}" for number in range(OBJECTS)]
    for key in keys:
        await objects.put(key, key.encode())
    for round_ in range(1, KILLS + 1):
        daemon.start()
        await daemon.ready()
        await daemon.until(lambda least=6 * round_: len(daemon.done()) >= least, "some executions")
        daemon.kill()
    assert await daemon.once() == 0
    executions = await daemon.executions()
    assert sorted(item["trigger"]["objects"][0]["key"] for item in executions) == keys
    assert {item["state"] for item in executions} == {"SUCCESS"}
    assert sorted({line.split()[0] for line in daemon.done()}) == keys
    # A kill may hit a task before its line or after it; that task runs once more, and no other.
    repeated = [line for line in daemon.done() if not line.endswith(" 1")]
    assert len(set(daemon.done())) == len(daemon.done()) <= len(keys) + len(repeated)
    assert len(repeated) <= KILLS
    assert sorted(await objects.keys()) == [f"archive/{number:02}" for number in range(OBJECTS)]


async def test_room_that_comes_during_the_first_look(
    daemons: Callable[..., Daemon], seaweedfs: Store, objects: Any, tmp_path: Path
) -> None:
    """Recovered executions that end while the store is still being asked make room for a look at once."""
    go = tmp_path / "go"
    waits = shell("wait", f"until [ -e {go} ]; do sleep 0.05; done")
    await objects.put("raw/a.csv")
    await objects.put("raw/b.csv")
    async with proxy_to(seaweedfs.endpoint_url) as proxy:
        daemon = daemons(seaweedfs, AWS_ENDPOINT_URL=proxy.endpoint_url)
        daemon.add_flow(flow(waits, triggers=[trigger(objects.bucket, interval="PT1H")]))
        daemon.start()
        await daemon.ready()
        await daemon.until(lambda: _settled(daemon, 2), "two executions that may run")
        daemon.kill()
        gate = proxy.hold(lambda _request: True)
        daemon.start("--once")
        await daemon.until(gate.reached.is_set, "the look")
        go.touch()
        await daemon.until_ended(2)
        gate.open()
        assert await daemon.ended(15) == 0


async def _settled(daemon: Daemon, number: int) -> bool:
    """Whether *number* objects are through with their action, so that their executions may run."""
    return (await daemon.trigger())["detections"].get("DONE") == number
