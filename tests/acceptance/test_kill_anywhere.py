"""kill -9 of a daemon in the middle of a flow that has a bit of everything, again and again, at random moments."""

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from acceptance.driver import Daemon, user_environment
from workshop.yaml_tasks import say, shell, task

SEED = 20260522
KILLS = 15
LONGEST_SECONDS = 120


def noted(ledger: Path, identifier: str, name: str, **properties: Any) -> dict[str, Any]:
    """A task that works for a moment, then tells that it is done, in the same breath as it ends."""
    return shell(identifier, "sleep 0.2", f"echo {name} >> {ledger}", **properties)


def flows(ledger: Path) -> list[dict[str, Any]]:
    loop = "{{ parent.taskrun.value }}.{{ taskrun.value }}"
    inner = task("flow.ForEach", "inner", values=["x", "y"], tasks=[noted(ledger, "n", f"n.{loop}")])
    outer = task("flow.ForEach", "outer", values=["1", "2", "3", "4"], tasks=[inner], concurrencyLimit=2)
    tries = ledger.with_name("tries")
    flaky = shell("r", f"echo x >> {tries}", f"[ $(wc -l < {tries}) -ge 3 ]", f"echo r >> {ledger}")
    flaky["retry"] = {"type": "constant", "interval": "PT0.1S", "maxAttempts": 50}
    start = task("flow.Subflow", "s", namespace="demo", flowId="child", inputs={"x": "7"})
    together = task("flow.Parallel", "p", tasks=[flaky, start, noted(ledger, "q", "q")])
    placed = [noted(ledger, "w1", "w1"), shell("w2", "echo here > f"), shell("w3", f"cat f >> {ledger}")]
    directory = task("flow.WorkingDirectory", "w", tasks=placed)
    item = [noted(ledger, "i", "i{{ item.index }}"), say("v", "{{ item.value }}!")]
    items = task(
        "flow.Loop", "l", values=["a", "b"], tasks=item, outputs=[{"id": "o", "value": "{{ outputs.v.value }}"}]
    )
    give = "{{ outputs.s.outputs.y }} {{ outputs.l.outputs | toJson }} {{ outputs.n | keys | sort | join(',') }}"
    main = {
        "id": "main", "namespace": "demo", "tasks": [outer, together, directory, items],
        "finally": [noted(ledger, "f", "f")], "afterExecution": [noted(ledger, "z", "z")],
        "outputs": [{"id": "all", "value": give}],
    }  # fmt: skip
    child = {
        "id": "child", "namespace": "demo", "inputs": [{"id": "x", "type": "INT"}],
        "tasks": [noted(ledger, "c", "c{{ inputs.x }}")], "outputs": [{"id": "y", "value": "{{ inputs.x + 1 }}"}],
    }  # fmt: skip
    return [main, child]


async def carried_out(folder: Path, kills: int) -> tuple[dict[str, Any], Counter[str], int]:
    """Run the flow with so many kills; gives the execution, what its tasks told, and how often it was killed."""
    folder.mkdir()
    environment = user_environment(folder, "http://127.0.0.1:9", "a", "b") | {"TIDEWAITER_RETRY__CRASHES": "100"}
    daemon = Daemon(folder, environment)
    for flow in flows(daemon.ledger):
        daemon.add_flow(flow, f"{flow['id']}.yaml")
    chance, killed, end = random.Random(SEED), 0, time.monotonic() + LONGEST_SECONDS
    try:
        daemon.start()
        await daemon.ready()
        await daemon.call("executions", "start", "demo.main")
        for _ in range(kills):
            if any(item["flowId"] == "main" and item["endedAt"] for item in await daemon.executions()):
                break
            assert time.monotonic() < end
            time.sleep(chance.uniform(0.0, 0.35))
            daemon.kill()
            killed += 1
            daemon.start()
            await daemon.ready()
        await daemon.until_ended(2, seconds=60)
        await daemon.until(lambda: "z" in daemon.done(), "the last task to end")
        [main] = [item for item in await daemon.executions() if item["flowId"] == "main"]
        found = await daemon.ask(f"executions/{main['id']}")
        assert await daemon.stop() == 0
    finally:
        daemon.close()
    return found, Counter(daemon.done()), killed


def states(execution: dict[str, Any]) -> dict[str, str]:
    return {run["path"]: run["state"] for run in execution["taskRuns"]}


def attempts(execution: dict[str, Any]) -> int:
    return sum(run["attempts"] for run in execution["taskRuns"])


async def test_what_is_killed_ends_as_what_is_not(tmp_path: Path) -> None:
    """The same outputs and results; each task once for its success, and once more only where a kill hit it at work."""
    calm, told, _ = await carried_out(tmp_path / "calm", 0)
    found, again, killed = await carried_out(tmp_path / "killed", KILLS)
    assert (found["state"], found["outputs"]) == (calm["state"], calm["outputs"])
    assert states(found) == states(calm)
    assert again.keys() == told.keys()
    assert killed >= KILLS // 3
    # A task can tell more than once only where it was at work when a kill came: an attempt of its own each time.
    assert sum(again.values()) - sum(told.values()) <= attempts(found) - attempts(calm)
