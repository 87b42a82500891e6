"""Where objects go once their execution has ended, and how those that failed are tried and driven in again."""

import json
from typing import Any

from acceptance.driver import Daemon
from acceptance.flows import flow, log, shell, trigger

FAILING = "echo tried >> {ledger}; echo 'cannot read line 3' >&2; exit 1"
KEPT = {"action": "NONE", "moveTo": None, "maxKeys": 1}


def _failing(daemon: Daemon, objects: Any, **properties: Any) -> dict[str, Any]:
    watched = trigger(objects.bucket, **KEPT, **properties)
    return flow(shell("work", FAILING.format(ledger=daemon.ledger)), triggers=[watched])


async def test_success_deletes_the_source(daemon: Daemon, objects: Any) -> None:
    """With NONE and onSuccess DELETE the object leaves the bucket only after its execution, and may come again."""
    await objects.put("raw/a.csv")
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, **KEPT, onSuccess={"action": "DELETE"})]))
    assert await daemon.once() == 0
    assert await objects.keys() == []
    await objects.put("raw/a.csv")
    assert await daemon.once() == 0
    assert [item["state"] for item in await daemon.executions()] == ["SUCCESS", "SUCCESS"]


async def test_success_moves_on_from_the_archive(daemon: Daemon, objects: Any) -> None:
    """After MOVE the archived copy goes on to the place for successes, and its content with it."""
    await objects.put("raw/a.csv", b"one")
    done = {"moveTo": {"key": "done/"}}
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, onSuccess=done)]))
    assert await daemon.once() == 0
    assert await objects.keys() == ["done/a.csv"]
    assert await objects.get("done/a.csv") == b"one"


async def test_failure_stores_anew_what_the_action_deleted(daemon: Daemon, objects: Any) -> None:
    """After DELETE a failed object comes back from our own copy."""
    await objects.put("raw/a.csv", b"two")
    watched = trigger(objects.bucket, action="DELETE", moveTo=None, onFailure={"moveTo": {"key": "bad/"}})
    daemon.add_flow(flow(shell("work", "exit 1"), triggers=[watched]))
    assert await daemon.once() == 1
    assert await objects.keys() == ["bad/a.csv", "bad/a.csv.tidewaiter.json"]
    assert await objects.get("bad/a.csv") == b"two"


async def test_failure_is_explained_beside_the_object(daemon: Daemon, objects: Any) -> None:
    """The file beside a quarantined object tells its execution, the attempts and the end of the log."""
    await objects.put("raw/a.csv")
    daemon.add_flow(_failing(daemon, objects, onFailure={"moveTo": {"key": "bad/"}}, maxAttempts=3))
    assert await daemon.once() == 1
    assert daemon.done() == ["tried"] * 3
    told = json.loads(await objects.get("bad/a.csv.tidewaiter.json"))
    (item,) = await daemon.executions()
    assert (told["object"]["key"], told["execution"]["id"]) == ("raw/a.csv", item["id"])
    assert (told["execution"]["state"], told["execution"]["attempts"]) == ("FAILED", 3)
    assert any("cannot read line 3" in line for line in told["log"])
    assert told["retry"].split()[:3] == ["tidewaiter", "objects", "retry"]


async def test_others_go_on_while_one_is_tried_again(daemon: Daemon, objects: Any) -> None:
    """An object that keeps failing does not hold up those behind it."""
    await objects.put("raw/a.csv", b"poison")
    for name in "bcd":
        await objects.put(f"raw/{name}.csv")
    command = f"grep -q poison data && exit 1; echo fine >> {daemon.ledger}"
    work = shell("work", command, inputFiles={"data": "{{ trigger.objects[0].uri }}"})
    watched = trigger(objects.bucket, **KEPT, onFailure={"moveTo": {"key": "bad/"}}, maxAttempts=1000)
    daemon.add_flow(flow(work, triggers=[watched]))
    daemon.start()
    await daemon.ready()
    await daemon.until_ended(3)
    assert daemon.done() == ["fine"] * 3
    (poison,) = [item for item in await daemon.executions() if item["state"] != "SUCCESS"]
    assert poison["attempts"] >= 1


async def test_a_retry_repeats_what_failed_only(daemon: Daemon, objects: Any) -> None:
    """Tasks that had succeeded do not run again when the execution is tried again."""
    await objects.put("raw/a.csv")
    flaky = f"echo flaky >> {daemon.ledger}; test $(grep -c flaky {daemon.ledger}) -ge 3"
    tasks = (shell("first", f"echo first >> {daemon.ledger}"), shell("flaky", flaky))
    daemon.add_flow(flow(*tasks, triggers=[trigger(objects.bucket, maxAttempts=5)]))
    assert await daemon.once() == 0
    assert daemon.done() == ["first", "flaky", "flaky", "flaky"]
    (item,) = await daemon.executions()
    assert (item["state"], item["attempts"]) == ("SUCCESS", 3)


async def test_a_quarantined_object_is_driven_in_again(daemon: Daemon, objects: Any) -> None:
    """One command brings a failed object back to where it was found, where it is new; its explanation is gone."""
    await objects.put("raw/a.csv", b"three")
    daemon.add_flow(_failing(daemon, objects, onFailure={"moveTo": {"key": "bad/"}}))
    daemon.start()
    await daemon.ready()
    await daemon.until_ended(1)
    (bad,) = await daemon.until(lambda: daemon.ask("objects", state="QUARANTINED"), "the object in quarantine")
    done = {"action": "DELETE"}
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, **KEPT, onSuccess=done)]))
    await daemon.until(lambda: daemon.logged("flow_changed"), "the new flow to be served")
    answer = await daemon.call("objects", "retry", bad["id"])
    assert answer.returncode == 0, answer.stderr
    await daemon.until_ended(2)

    async def empty() -> bool:
        return await objects.keys() == []

    await daemon.until(empty, "the bucket to be empty")
    assert [item["state"] for item in await daemon.executions()] == ["FAILED", "SUCCESS"]


async def test_a_copy_that_two_objects_share_stays(daemon: Daemon, objects: Any) -> None:
    """Objects of the same name and bytes have one copy in the archive; the failure of one takes it from neither."""
    await objects.put("raw/x/a.csv")
    await objects.put("raw/y/a.csv")
    work = shell("work", 'case "$KEY" in raw/y/*) exit 1;; esac', env={"KEY": "{{ trigger.objects[0].key }}"})
    daemon.add_flow(flow(work, triggers=[trigger(objects.bucket, onFailure={"moveTo": {"key": "bad/"}})]))
    assert await daemon.once() == 1
    assert await objects.keys() == ["archive/a.csv", "bad/a.csv", "bad/a.csv.tidewaiter.json"]


async def test_the_same_name_comes_every_day(daemon: Daemon, objects: Any) -> None:
    """What went on from the archive has no copy there any more: the next object of its name goes on, too."""
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, onSuccess={"moveTo": {"key": "done/"}})]))
    for content in (b"monday", b"tuesday", b"monday"):
        await objects.put("raw/a.csv", content)
        assert await daemon.once() == 0
        assert await objects.keys("archive/") == []
    assert len(await objects.keys("done/")) == 2


async def test_what_another_trigger_archived_leaves_its_source(daemon: Daemon, objects: Any) -> None:
    """In a chain of triggers the archive of one is the source of the next, which removes it there after success."""
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    second = trigger(objects.bucket, prefix="archive/", **KEPT, onSuccess={"action": "DELETE"})
    daemon.add_flow(flow(log(), triggers=[second], name="second"), "second.yaml")
    await objects.put("raw/a.csv")
    daemon.start()
    await daemon.ready()
    await daemon.until_ended(2)

    async def empty() -> bool:
        return await objects.keys() == []

    await daemon.until(empty, "the archive to be empty")


async def test_a_single_run_takes_what_it_drives_in_again(daemon: Daemon, objects: Any) -> None:
    """Asked for while no daemon runs, the way back and the new execution are both part of the next 'run --once'."""
    await objects.put("raw/a.csv")
    daemon.add_flow(_failing(daemon, objects, onFailure={"moveTo": {"key": "bad/"}}, interval="PT1H"))
    assert await daemon.once() == 1
    answer = await daemon.call("objects", "retry", "--trigger", "arrivals/arrival")
    assert answer.returncode == 0, answer.stderr
    done = {"moveTo": {"key": "done/"}}
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, **KEPT, onSuccess=done, interval="PT1H")]))
    assert await daemon.once() == 0
    assert await objects.keys() == ["done/a.csv"]
    assert [item["state"] for item in await daemon.executions()] == ["FAILED", "SUCCESS"]


async def test_new_content_at_the_key_is_not_touched(daemon: Daemon, objects: Any) -> None:
    """Overwritten while its execution ran: the old content is quarantined, the new one is taken for itself."""
    await objects.put("raw/a.csv", b"old")
    gate = daemon.folder / "gate"
    work = shell(
        "work",
        f"grep -q old data || exit 0; touch {gate}.reached; while [ ! -e {gate} ]; do sleep 0.05; done; exit 1",
        inputFiles={"data": "{{ trigger.objects[0].uri }}"},
    )
    daemon.add_flow(
        flow(
            work,
            triggers=[trigger(objects.bucket, **KEPT, allowConcurrent=True, onFailure={"moveTo": {"key": "bad/"}})],
        )
    )
    daemon.start()
    await daemon.ready()
    await daemon.until((daemon.folder / "gate.reached").exists, "the task to run")
    await objects.put("raw/a.csv", b"new")
    await daemon.until_ended(1)
    gate.touch()
    await daemon.until_ended(2)
    await daemon.until(lambda: daemon.ask("objects", state="QUARANTINED"), "the object in quarantine")
    assert await objects.get("bad/a.csv") == b"old"
    assert await objects.get("raw/a.csv") == b"new"


async def test_an_explanation_takes_nobodys_place(daemon: Daemon, objects: Any) -> None:
    """What has the name of the file beside a quarantined object stays, also when the object is driven in again."""
    await objects.put("bad/a.csv.tidewaiter.json", b"precious")
    await objects.put("raw/a.csv", b"four")
    daemon.add_flow(_failing(daemon, objects, onFailure={"moveTo": {"key": "bad/"}}))
    daemon.start()
    await daemon.ready()
    (bad,) = await daemon.until(lambda: daemon.ask("objects", state="QUARANTINED"), "the object in quarantine")
    beside = f"bad/a.csv.tidewaiter~{bad['id']}.json"
    assert await objects.keys("bad/") == ["bad/a.csv", "bad/a.csv.tidewaiter.json", beside]
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, **KEPT)]))
    await daemon.until(lambda: daemon.logged("flow_changed"), "the new flow to be served")
    answer = await daemon.call("objects", "retry", bad["id"])
    assert answer.returncode == 0, answer.stderr

    async def back() -> bool:
        return await objects.keys() == ["bad/a.csv.tidewaiter.json", "raw/a.csv"]

    await daemon.until(back, "the object to be back")
    assert await objects.get("bad/a.csv.tidewaiter.json") == b"precious"


async def test_what_was_never_archived_is_not_removed_from_the_archive(daemon: Daemon, objects: Any) -> None:
    """An object that gave way to newer content while its destination was taken leaves to others what is there."""
    daemon.environment["TIDEWAITER_RETRY__ACTION_TIMEOUT"] = "PT0.5S"
    await objects.put("archive/a.csv", b"precious")
    await objects.put("raw/a.csv", b"old")
    daemon.add_flow(
        flow(log(), triggers=[trigger(objects.bucket, onConflict="fail", onSuccess={"moveTo": {"key": "done/"}})])
    )
    daemon.start()
    await daemon.ready()
    await daemon.until_ended(1)
    await objects.put("raw/a.csv", b"new")

    async def routed() -> bool:
        return any((item["route"] or {}).get("state") == "DONE" for item in await daemon.ask("objects"))

    await daemon.until(routed, "the old content to go where it should")
    assert await objects.get("done/a.csv") == b"old"
    assert await objects.get("archive/a.csv") == b"precious"


async def test_an_old_version_does_not_come_back_to_light(daemon: Daemon, objects: Any) -> None:
    """In a versioned bucket an object is removed from below what was uploaded over it: it would be new once more."""
    versioning = {"Bucket": objects.bucket, "VersioningConfiguration": {"Status": "Enabled"}}
    await objects.client.put_bucket_versioning(**versioning)
    await objects.put("raw/a.csv", b"old")
    gate = daemon.folder / "gate"
    work = shell(
        "work",
        f"cat data >> {daemon.ledger}; echo >> {daemon.ledger}",
        f"grep -q old data || exit 0; while [ ! -e {gate} ]; do sleep 0.05; done",
        inputFiles={"data": "{{ trigger.objects[0].uri }}"},
    )
    watched = trigger(objects.bucket, **KEPT, allowConcurrent=True, onSuccess={"action": "DELETE"})
    daemon.add_flow(flow(work, triggers=[watched]))
    daemon.start()
    await daemon.ready()
    await daemon.until(lambda: daemon.done() == ["old"], "the task to run")
    # Its own route finds it below the new content, whose route comes after it.
    await objects.put("raw/a.csv", b"new")
    gate.touch()
    await daemon.until_ended(2)

    async def empty() -> bool:
        answer = await objects.client.list_object_versions(Bucket=objects.bucket, Prefix="raw/")
        return not answer.get("Versions")

    await daemon.until(empty, "every version to be gone")
    await daemon.until_looked(2)
    assert daemon.done() == ["old", "new"]
