"""How the daemon stops: it drains, then interrupts, and nothing it interrupts has failed."""

import signal
import time
from typing import Any

import pytest
from acceptance.driver import Daemon, processes_under
from acceptance.flows import flow, log, shell, trigger


def _slow(daemon: Daemon, bucket: str) -> dict[str, Any]:
    """A task that runs until the file ``go`` is there, and tells in the ledger when it begins and when it ends."""
    wait = f"until [ -e {daemon.folder}/go ]; do sleep 0.05; done"
    return flow(
        shell("slow", f"echo begin >> {daemon.ledger}", wait, f"echo end >> {daemon.ledger}"),
        log(),
        triggers=[trigger(bucket)],
    )


async def _busy(daemon: Daemon, objects: Any, *arguments: str) -> None:
    await objects.put("raw/a.csv")
    daemon.add_flow(_slow(daemon, objects.bucket))
    daemon.start(*arguments)
    await daemon.ready()
    await daemon.until(daemon.done, "the task to begin")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_drains(signum: int, daemon: Daemon, objects: Any) -> None:
    """What runs ends within the grace period; what arrives meanwhile is left in the bucket."""
    await _busy(daemon, objects)
    assert daemon.process is not None
    daemon.process.send_signal(signum)
    await daemon.until(lambda: daemon.logged("stopping"), "the daemon to begin stopping")
    await objects.put("raw/late.csv")
    (daemon.folder / "go").touch()
    assert await daemon.ended() == 0
    (item,) = await daemon.executions()
    assert (item["state"], item["attempts"]) == ("SUCCESS", 1)
    assert await objects.keys("raw/") == ["raw/late.csv"]


async def test_grace_exceeded(daemon: Daemon, objects: Any) -> None:
    """What takes longer than the grace period is queued again, not failed, not counted, and done at the next start."""
    await _busy(daemon, objects, "--grace-period", "PT0.3S")
    began = time.monotonic()
    assert await daemon.stop() == 0
    assert time.monotonic() - began < 10
    assert processes_under(daemon.state) == []
    (item,) = await daemon.executions()
    assert (item["state"], item["attempts"], item["error"]) == ("CREATED", 0, None)
    (daemon.folder / "go").touch()
    assert await daemon.once() == 0
    (item,) = await daemon.executions()
    assert (item["state"], item["attempts"]) == ("SUCCESS", 1)
    assert daemon.done() == ["begin", "begin", "end"]


async def test_second_signal(daemon: Daemon, objects: Any) -> None:
    """The second signal waits for nothing: exit code 130 at once, no program left, the work queued again."""
    await _busy(daemon, objects, "--grace-period", "PT5M")
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGTERM)
    await daemon.until(lambda: daemon.logged("stopping"), "the daemon to begin stopping")
    began = time.monotonic()
    assert await daemon.stop() == 130
    assert time.monotonic() - began < 8
    assert processes_under(daemon.state) == []
    (item,) = await daemon.executions()
    assert (item["state"], item["attempts"]) == ("CREATED", 0)


async def test_once(daemon: Daemon, objects: Any) -> None:
    """``--once`` does what has arrived, in order of the keys, and nothing the second time: 0 both times."""
    for number in range(5):
        await objects.put(f"raw/{number}.csv")
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, interval="PT1H")]))
    assert await daemon.once() == 0
    executions = sorted(await daemon.executions(), key=lambda item: item["startedAt"])
    assert [(item["trigger"]["objects"][0]["key"], item["state"]) for item in executions] == [
        (f"raw/{number}.csv", "SUCCESS") for number in range(5)
    ]
    assert await objects.keys("raw/") == []
    assert await daemon.once() == 0
    assert len(await daemon.executions()) == 5


async def test_once_tells_failures(daemon: Daemon, objects: Any) -> None:
    """``--once`` exits with 1 when one of several executions failed; the others are done all the same."""
    for name in ("bad", "good", "later"):
        await objects.put(f"raw/{name}")
    check = shell("check", 'test "$KEY" != raw/bad', env={"KEY": "{{ trigger.objects[0].key }}"})
    daemon.add_flow(flow(check, triggers=[trigger(objects.bucket)]))
    assert await daemon.once() == 1
    states = {item["trigger"]["objects"][0]["key"]: item["state"] for item in await daemon.executions()}
    assert states == {"raw/bad": "FAILED", "raw/good": "SUCCESS", "raw/later": "SUCCESS"}


async def test_one_daemon_per_state_directory(daemon: Daemon, objects: Any) -> None:
    """A second daemon on a state directory does not start, and says who is in the way; the first goes on."""
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    daemon.start()
    await daemon.ready()
    second = await daemon.call("run", "--flows", str(daemon.flows))
    assert second.returncode == 1
    assert f"another tidewaiter uses the state directory {daemon.state}" in second.stderr
    await objects.put("raw/a.csv")
    await daemon.until_ended(1)


async def test_command_line_beside_the_daemon_and_without(daemon: Daemon, objects: Any) -> None:
    """What is asked of a running daemon is answered alike when it has stopped."""
    await objects.put("raw/a.csv")
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    daemon.start()
    await daemon.ready()
    (item,) = await daemon.until_ended(1)
    asked = [("executions", "list", "--json"), ("executions", "show", item["id"], "--json")]
    running = [(await daemon.call(*arguments)).stdout for arguments in asked]
    assert await daemon.stop() == 0
    assert [(await daemon.call(*arguments)).stdout for arguments in asked] == running
