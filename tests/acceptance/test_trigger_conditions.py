"""Conditions and ``stopAfter`` of triggers that watch a bucket."""

from typing import Any

from acceptance.driver import Daemon
from acceptance.flows import flow, log, trigger

EXPRESSION = "io.kestra.plugin.core.condition.Expression"


def watching(daemon: Daemon, objects: Any, expression: str) -> None:
    condition = {"type": EXPRESSION, "expression": expression}
    daemon.add_flow(flow(log(), triggers=[trigger(objects.bucket, conditions=[condition])]))


async def test_a_trigger_does_not_look_while_a_condition_does_not_hold(daemon: Daemon, objects: Any) -> None:
    """Objects stay where they are until it does."""
    await objects.put("raw/a.csv")
    watching(daemon, objects, "{{ trigger.date is not defined }}")
    daemon.start()
    await daemon.ready()

    async def unmet() -> bool:
        return (await daemon.trigger())["state"] == "UNMET"

    await daemon.until(unmet, "the trigger to wait")
    assert await objects.keys() == ["raw/a.csv"]
    watching(daemon, objects, "{{ trigger.date is defined }}")
    await daemon.until_ended(1)
    assert await objects.keys() == ["archive/a.csv"]


async def test_once_does_not_wait_for_a_condition(daemon: Daemon, objects: Any) -> None:
    """It ends, and nothing has been taken."""
    await objects.put("raw/a.csv")
    watching(daemon, objects, "false")
    assert await daemon.once() == 0
    assert await objects.keys() == ["raw/a.csv"]


async def test_a_condition_that_cannot_be_told_fails_closed(daemon: Daemon, objects: Any) -> None:
    """Nothing is taken, and the list of triggers says why."""
    await objects.put("raw/a.csv")
    watching(daemon, objects, "{{ nothing.here }}")
    assert await daemon.once() == 1
    assert await objects.keys() == ["raw/a.csv"]
    assert "undefined variable" in (await daemon.call("triggers", "list", "--json")).stdout


async def test_stop_after_ends_the_taking_of_objects(daemon: Daemon, objects: Any) -> None:
    """After the execution that fails nothing new is claimed, until somebody resumes the trigger."""
    daemon.add_flow(flow(log("{{ nothing.here }}"), triggers=[trigger(objects.bucket, stopAfter=["FAILED"])]))
    await objects.put("raw/a.csv")
    daemon.start()
    await daemon.ready()
    await daemon.until_ended(1)
    await objects.put("raw/b.csv")
    [found] = await daemon.ask("triggers")

    assert found["state"] == "PAUSED"
    assert found["problem"]["cause"] == "Stopped"
    assert "raw/b.csv" in await objects.keys()
    await daemon.call("triggers", "resume", "arrivals/arrival")
    assert len(await daemon.until_ended(2)) == 2
