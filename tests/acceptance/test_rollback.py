"""A journal restored from a backup: the daemon refuses it, fsck puts back what storage proves, nothing runs twice."""

import json
import shutil
from typing import Any

from acceptance.driver import Daemon
from acceptance.flows import flow, shell, trigger


async def test_an_older_journal_is_refused_and_repaired(daemon: Daemon, objects: Any) -> None:
    """No object is lost or executed twice, whatever its trigger did with it; the trigger goes on with new ones."""
    ledger = shell("note", f'echo "$KEY" >> {daemon.ledger}', env={"KEY": "{{ trigger.objects[0].key }}"})
    reading = trigger(objects.bucket, id="reading", prefix="read/", action="NONE", moveTo=None)
    daemon.add_flow(flow(ledger, triggers=[trigger(objects.bucket), reading]))
    await objects.put("raw/before.csv", b"1")
    assert await daemon.once() == 0
    shutil.copy(daemon.state / "tidewaiter.db", daemon.folder / "copy.db")
    for key in ("raw/a.csv", "raw/b.csv", "read/c.csv"):
        await objects.put(key, b"2")
    assert await daemon.once() == 0
    assert sorted(daemon.done()) == ["raw/a.csv", "raw/b.csv", "raw/before.csv", "read/c.csv"]
    shutil.move(daemon.folder / "copy.db", daemon.state / "tidewaiter.db")

    assert await daemon.once() == 1
    assert "fsck --repair --accept-rollback" in daemon.last_words()
    assert "older than it once was" in (await daemon.call("executions", "list")).stderr
    found = await daemon.call("fsck", "--json")
    assert found.returncode == 1
    assert sorted(item["kind"] for item in json.loads(found.stdout)) == ["lost", "lost", "lost", "rollback"]
    assert (await daemon.call("fsck", "--repair")).returncode == 1
    assert (await daemon.call("fsck", "--repair", "--accept-rollback")).returncode == 0
    assert (await daemon.call("fsck")).returncode == 0

    await objects.put("raw/new.csv", b"3")
    assert await daemon.once() == 0
    assert sorted(daemon.done()) == ["raw/a.csv", "raw/b.csv", "raw/before.csv", "raw/new.csv", "read/c.csv"]
    names = ["a.csv", "b.csv", "before.csv", "new.csv"]
    assert await objects.keys() == [*(f"archive/{name}" for name in names), "read/c.csv"]
    executed = [(item["trigger"]["objects"][0]["key"], item["state"]) for item in await daemon.executions()]
    assert sorted(executed) == [
        ("raw/a.csv", "FAILED"), ("raw/b.csv", "FAILED"), ("raw/before.csv", "SUCCESS"), ("raw/new.csv", "SUCCESS"),
        ("read/c.csv", "FAILED"),
    ]  # fmt: skip


async def test_fsck_leaves_a_running_daemon_alone(daemon: Daemon, objects: Any) -> None:
    """It needs the state directory to itself."""
    daemon.add_flow(flow(shell("note", "true"), triggers=[trigger(objects.bucket)]))
    daemon.start()
    await daemon.ready()
    refused = await daemon.call("fsck")
    assert (refused.returncode, "another tidewaiter uses the state directory" in refused.stderr) == (1, True)
