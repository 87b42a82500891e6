"""How long the program takes to be of use."""

import json

from bench.daemon import Daemon
from bench.figure import Figure
from bench.flows import flow, trigger
from bench.process import Ended, cpu_seconds
from bench.stage import BUCKET, Stage

_FLOW = flow("startup", trigger(BUCKET, "startup/"))


def measure(stage: Stage) -> list[Figure]:
    """Start a daemon again and again until it says ``ready``, and check one flow by ``tidewaiter validate``."""
    stage.progress(f"start-up, {stage.sizes.starts} times")
    starts = [_start(stage, number) for number in range(stage.sizes.starts)]
    checks = [_validate(stage, number) for number in range(stage.sizes.starts)]
    return [
        Figure("start to ready", "s", tuple(wall for wall, _ in starts), budget=1.0),
        Figure("start to ready, CPU", "s", tuple(cpu for _, cpu in starts)),
        Figure("validate of one flow", "s", tuple(ended.wall for ended in checks), budget=0.4),
        Figure("validate of one flow, CPU", "s", tuple(ended.cpu for ended in checks)),
    ]


def _start(stage: Stage, number: int) -> tuple[float, float]:
    daemon = Daemon(stage, stage.fresh("startup", f"round-{number}"), [_FLOW])
    try:
        return daemon.start(), cpu_seconds(daemon.pid)
    finally:
        daemon.stop()


def _validate(stage: Stage, number: int) -> Ended:
    folder = stage.fresh("validate", f"round-{number}")
    file = folder / "flow.yaml"
    file.write_text(json.dumps(_FLOW, indent=1))
    return stage.measured([str(stage.program), "validate", str(file)], folder, "validate")
