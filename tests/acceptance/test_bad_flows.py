"""Mistakes in flow files: told with file, line, column and remedy, before anything is touched."""

import json
from typing import Any

import pytest
from acceptance.driver import Daemon
from acceptance.flows import flow, log, trigger

GOOD = """\
id: broken
namespace: acceptance
tasks:
  - id: log
    type: io.kestra.plugin.core.log.Log
    message: hello
triggers:
  - id: arrival
    type: io.kestra.plugin.aws.s3.Trigger
    bucket: somewhere
    prefix: raw/
    action: MOVE
    moveTo:
      key: archive/
    interval: PT1S
"""


def _mistake(old: str, new: str, line: int, column: int, *words: str) -> Any:
    return pytest.param(GOOD.replace(old, new), line, column, words, id=words[0])


MISTAKES = [
    _mistake("    message: hello", "    message: [hello", 7, 9, "expected", "']'"),
    _mistake("core.log.Log", "core.log.Lag", 5, 11, "io.kestra.plugin.core.log.Lag", "did you mean", "core.log.Log"),
    _mistake("    prefix:", "    prefx:", 11, 5, "prefx", "did you mean", "prefix"),
    _mistake("PT1S", "1 second", 15, 15, "1 second", "PT"),
    _mistake("    bucket: somewhere\n", "", 8, 5, "bucket", "missing"),
    _mistake("key: archive/", "key: raw/archive/", 8, 5, "moveTo.key 'raw/archive/'", "watched prefix", "outside"),
    _mistake("prefix: raw/", "prefix: raw/\n    prefix: row/", 12, 5, "prefix", "duplicate key"),
    _mistake("message: hello", "message: '{{ hello'", 6, 14, "hello", "}}"),
]


@pytest.mark.parametrize(("text", "line", "column", "words"), MISTAKES)
async def test_a_mistake(text: str, line: int, column: int, words: tuple[str, ...], daemon: Daemon) -> None:
    """``validate`` says where it is and what to do."""
    file = daemon.add_flow(text)
    said = await daemon.call("validate", str(daemon.flows))
    assert said.returncode == 2
    (message,) = said.stdout.splitlines()
    assert message.startswith(f"{file}:{line}:{column}: ")
    assert [word for word in words if word not in message] == []


async def test_other_flows_run(daemon: Daemon, objects: Any) -> None:
    """``run`` tells of every broken file the same as ``validate --json`` does, and serves the good one."""
    places = []
    for number, case in enumerate(MISTAKES):
        text, line, column, _ = case.values
        file = daemon.add_flow(text.replace("id: broken", f"id: broken-{number}"), f"{number}.yaml")
        places.append((str(file), line, column))
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]), "good.yaml")
    await objects.put("raw/a.csv")
    assert await daemon.once() == 1
    rejected = [(item["file"], item["line"], item["column"]) for item in daemon.logged("flow_rejected")]
    assert rejected == places
    assert [item["flowId"] for item in await daemon.executions()] == ["arrivals"]
    reported = json.loads((await daemon.call("validate", "--json", str(daemon.flows))).stdout)
    assert [(item["file"], e["line"], e["column"]) for item in reported for e in item["errors"]] == places
    assert [item["flowId"] for item in reported if item["valid"]] == ["arrivals"]


async def test_all_mistakes_at_once(daemon: Daemon) -> None:
    """A file with several mistakes is told all of them, in order of position."""
    text = GOOD.replace("core.log.Log", "core.log.Lag").replace("prefix:", "prefx:").replace("PT1S", "soon")
    daemon.add_flow(text)
    said = await daemon.call("validate", str(daemon.flows))
    assert [line.split(":")[1] for line in said.stdout.splitlines()] == ["5", "11", "15"]


async def test_duplicate_ids(daemon: Daemon) -> None:
    """Two tasks with one id, and two files with one flow id, are both rejected where the second stands."""
    again = "  - id: log\n    type: io.kestra.plugin.core.log.Log\n    message: again\ntriggers:"
    twice = GOOD.replace("triggers:", again)
    first = daemon.add_flow(GOOD, "a.yaml")
    second = daemon.add_flow(GOOD, "b.yaml")
    third = daemon.add_flow(twice.replace("id: broken", "id: twice"), "c.yaml")
    said = await daemon.call("validate", str(daemon.flows))
    assert said.returncode == 2
    of_flow, of_task = said.stdout.splitlines()
    assert of_flow.startswith(f"{second}:1:1: flow 'acceptance.broken' is defined in {first}")
    assert of_task.startswith(f"{third}:7:")
    assert "'log'" in of_task


async def test_a_broken_edit_keeps_the_flow(daemon: Daemon, objects: Any) -> None:
    """A running flow goes on as it was when its file is broken, and takes the next good edit without a restart."""
    daemon.environment["TIDEWAITER_RELOAD_INTERVAL"] = "PT0.1S"
    good = flow(log("first edition"), triggers=[trigger(objects.bucket)])
    daemon.add_flow(good)
    daemon.start()
    await daemon.ready()
    daemon.add_flow(json.dumps(good).replace('"tasks"', '"taks"'))
    (rejected, *_) = await daemon.until(lambda: daemon.logged("flow_rejected"), "the edit to be rejected")
    assert rejected["file"].endswith("flow.yaml")
    shown = await daemon.trigger()
    assert (shown["state"], shown["problem"]["cause"], shown["bucket"]) == ("ERROR", "FlowRejected", objects.bucket)
    assert f"flow.yaml:{rejected['line']}:{rejected['column']}: " in shown["problem"]["message"]
    assert shown["problem"]["message"].endswith("the flow as it was before stays in service")
    await objects.put("raw/1.csv")
    (first,) = await daemon.until_ended(1)
    assert await daemon.task_log(first["id"]) == "first edition"
    daemon.add_flow(flow(log("third edition"), triggers=[trigger(objects.bucket, prefix="new/")]))

    async def serves_new() -> bool:
        return (await daemon.trigger())["prefix"] == "new/"

    await daemon.until(serves_new, "the edit to be served")
    assert (await daemon.trigger())["state"] == "OK"
    assert [len(daemon.logged(event)) for event in ("flow_loaded", "flow_changed", "flow_removed")] == [1, 1, 0]
    await objects.put("new/2.csv")
    (_, second) = await daemon.until_ended(2)
    assert await daemon.task_log(second["id"]) == "third edition"
    assert second["flowRevision"] == first["flowRevision"] + 1


async def test_a_flow_that_was_never_right_is_listed(daemon: Daemon) -> None:
    """Its file stands beside the triggers, with place, mistake and remedy; nothing else is known of it."""
    file = daemon.add_flow(GOOD.replace("prefix:", "prefx:"))
    daemon.start()
    await daemon.ready()
    shown = await daemon.trigger()
    assert (shown["name"], shown["state"], shown["id"], shown["detections"]) == (str(file), "ERROR", None, {})
    said = await daemon.call("triggers", "list")
    assert said.returncode == 0
    assert f"{file}:11:5: unknown property 'prefx'" in said.stdout
    assert "did you mean 'prefix'?" in said.stdout


async def test_flows_come_and_go(daemon: Daemon, objects: Any) -> None:
    """A flow file that is added is served, one that is removed no longer is, while the daemon runs."""
    daemon.environment["TIDEWAITER_RELOAD_INTERVAL"] = "PT0.1S"
    daemon.start()
    await daemon.ready()
    file = daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket)]))
    await objects.put("raw/1.csv")
    await daemon.until_ended(1)
    file.unlink()

    async def serves_none() -> bool:
        return not await daemon.ask("triggers")

    await daemon.until(serves_none, "the trigger to go")
    assert [record["flow"] for record in daemon.logged("flow_removed")] == ["acceptance.arrivals"]
    await objects.put("raw/2.csv")
    assert [item["state"] for item in await daemon.executions()] == ["SUCCESS"]
    assert await objects.keys("raw/") == ["raw/2.csv"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--flows", "nowhere"), ("nowhere", "no such file or folder")),
        (("--config", "nowhere.yaml"), ("nowhere.yaml", "cannot be read")),
        (("--grace-period", "soon"), ("grace_period", "soon")),
    ],
)
async def test_wrong_settings(arguments: tuple[str, ...], words: tuple[str, ...], daemon: Daemon) -> None:
    """The daemon does not start on settings that make no sense, and says which."""
    daemon.start(*arguments)
    assert await daemon.ended() == 2
    assert [word for word in words if word not in daemon.last_words()] == []
