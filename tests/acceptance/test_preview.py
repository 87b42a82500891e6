"""``tidewaiter plan`` and ``explain``: what the next look would do, told without doing it."""

import json
from typing import Any

from acceptance.driver import Daemon
from acceptance.flows import flow, log, shell, trigger

NOT_YET = {"minAge": "PT1H"}


async def _plan(daemon: Daemon, *arguments: str) -> dict[str, Any]:
    answer = await daemon.call("plan", "--json", "--flows", str(daemon.flows), *arguments)
    assert answer.returncode == 0, answer.stderr
    (found,) = json.loads(answer.stdout)
    return found


async def _explain(daemon: Daemon, key: str) -> dict[str, Any]:
    answer = await daemon.call("explain", "arrivals/arrival", key, "--json", "--flows", str(daemon.flows))
    assert answer.stdout, answer.stderr
    told = json.loads(answer.stdout)
    assert answer.returncode == (0 if told["fires"] else 1)
    return told


def _watching(daemon: Daemon, objects: Any, **properties: Any) -> None:
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, **properties)]))


async def test_the_plan_is_what_happens_then(daemon: Daemon, objects: Any) -> None:
    """Before the first run, batches and destinations are told, nothing is touched, and the run does just that."""
    for name in ("a.csv", "b.csv", "note.txt"):
        await objects.put(f"raw/{name}")
    _watching(daemon, objects, include=["*.csv"])
    before = await objects.keys()
    planned = await _plan(daemon)
    assert await objects.keys() == before
    assert not daemon.state.exists()
    claims = [claim for batch in planned["batches"] for claim in batch]
    assert [len(batch) for batch in planned["batches"]] == [1, 1]
    assert (planned["notMeant"], planned["action"]) == (1, "MOVE")
    assert await daemon.once() == 0
    moved = [item["trigger"]["objects"][0]["movedTo"]["key"] for item in await daemon.executions()]
    assert sorted(moved) == [claim["destination"]["key"] for claim in claims]
    assert (await _plan(daemon))["batches"] == []


async def test_a_plan_of_a_running_daemon_changes_nothing_in_its_journal(daemon: Daemon, objects: Any) -> None:
    """What waits by a rule is told with its reason; the trigger's figures stay as they were."""
    await objects.put("raw/a.csv")
    _watching(daemon, objects, **NOT_YET)
    daemon.start()
    await daemon.ready()
    await daemon.until_looked()
    planned = await _plan(daemon)
    (held,) = planned["held"]
    assert (held["key"], held["rule"], planned["batches"]) == ("raw/a.csv", "minAge", [])
    assert (await daemon.trigger())["detections"] == {}
    shown = await daemon.call("plan")
    assert "minAge PT1H lets it in" in shown.stdout


async def test_explains_what_rules_keep_out(daemon: Daemon, objects: Any) -> None:
    """One answer for each reason: out of sight, not there, too small, too young."""
    await objects.put("raw/small.csv", b"x")
    await objects.put("raw/young.csv")
    await objects.put("other/a.csv")
    _watching(daemon, objects, minSize="5 B", **NOT_YET)
    rules = {
        key: (await _explain(daemon, key))["rule"]
        for key in ("other/a.csv", "raw/no", "raw/small.csv", "raw/young.csv")
    }
    assert list(rules.values()) == ["prefix", "key", "minSize", "minAge"]


async def test_explains_what_was_processed(daemon: Daemon, objects: Any) -> None:
    """An object that stays in the bucket does not fire twice: the answer names its execution; a change fires."""
    await objects.put("raw/a.csv")
    _watching(daemon, objects, action="NONE", moveTo=None)
    assert (await _explain(daemon, "raw/a.csv"))["fires"]
    assert await daemon.once() == 0
    (item,) = await daemon.executions()
    told = await _explain(daemon, "raw/a.csv")
    assert (told["fires"], item["id"] in told["answer"], told["history"][0]["state"]) == (False, True, "DONE")
    await objects.put("raw/a.csv", b"changed")
    assert (await _explain(daemon, "raw/a.csv"))["fires"]


async def test_explains_what_is_parked(daemon: Daemon, objects: Any) -> None:
    """A key that must not be moved is told with the reason and the command to look again."""
    await objects.put("raw/a\tb.csv")
    _watching(daemon, objects)
    await daemon.once()
    told = await _explain(daemon, "raw/a\tb.csv")
    assert (told["fires"], "control characters" in told["answer"], "objects retry" in told["answer"]) == (
        False,
        True,
        True,
    )


async def test_explains_an_incomplete_set(daemon: Daemon, objects: Any) -> None:
    """An object of a set without its marker waits for it by name."""
    await objects.put("raw/day/a.csv")
    _watching(daemon, objects, doneFile="_SUCCESS", preservePath=True)
    told = await _explain(daemon, "raw/day/a.csv")
    assert (told["fires"], told["rule"], "_SUCCESS" in told["answer"]) == (False, "doneFile", True)
    await objects.put("raw/day/_SUCCESS", b"")
    assert (await _explain(daemon, "raw/day/a.csv"))["fires"]


async def test_explains_a_trigger_without_room(daemon: Daemon, objects: Any) -> None:
    """While earlier executions fill the look-ahead, the answer says so."""
    go = daemon.folder / "go"
    waits = shell("wait", f"until [ -e {go} ]; do sleep 0.05; done")
    daemon.add_flow(flow(waits, triggers=[trigger(objects.bucket, prefetch=1, action="NONE", moveTo=None)]))
    for name in "ab":
        await objects.put(f"raw/{name}.csv")
    daemon.start()
    await daemon.ready()
    await daemon.until(daemon.executions, "the first execution")
    told = await _explain(daemon, "raw/b.csv")
    assert (told["fires"], "ahead of it" in told["answer"]) == (False, True)
    go.touch()


async def test_a_trigger_nobody_has(daemon: Daemon, objects: Any) -> None:
    """Exit code 1, and how to name one."""
    _watching(daemon, objects)
    answer = await daemon.call("explain", "nope/nope", "raw/a", "--flows", str(daemon.flows))
    assert (answer.returncode, "no flow has a trigger 'nope/nope'" in answer.stderr) == (1, True)
