"""What ten triggers cost that find nothing."""

import time

from bench.daemon import Daemon, serving
from bench.figure import Figure
from bench.flows import flow, trigger
from bench.process import cpu_seconds, resident_mebibytes
from bench.stage import BUCKET, Stage

_TRIGGERS = 10
_WINDOWS = 5
_SETTLING_SECONDS = 3


def measure(stage: Stage) -> list[Figure]:
    """Let ten flows look at empty prefixes each second, and read the process's CPU time and memory from /proc."""
    flows = [flow(f"idle{number}", trigger(BUCKET, f"idle/{number}/")) for number in range(_TRIGGERS)]
    daemon = Daemon(stage, stage.fresh("idle"), flows)
    with serving(daemon):
        daemon.until(lambda: all(item["lastPoll"] for item in daemon.ask("triggers")), "look", look_seconds=0.1)
        stage.progress(f"idle, {stage.sizes.seconds} s")
        time.sleep(_SETTLING_SECONDS)
        windows = [_window(daemon, stage.sizes.seconds / _WINDOWS) for _ in range(_WINDOWS)]
        _check(daemon)
    what = f"idle, {_TRIGGERS} triggers at 1 s"
    return [
        Figure(f"{what}: CPU", "% of a core", tuple(cpu for cpu, _ in windows), budget=2.0),
        Figure(
            f"{what}: memory, no web page", "MiB", tuple(memory for _, memory in windows), budget=65.0, note="VmRSS"
        ),
    ]


def _window(daemon: Daemon, seconds: float) -> tuple[float, float]:
    """Give the CPU use over a while in percent of one core, and the memory at its end."""
    begin, before = time.monotonic(), cpu_seconds(daemon.pid)
    time.sleep(seconds)
    used = cpu_seconds(daemon.pid) - before
    return 100 * used / (time.monotonic() - begin), resident_mebibytes(daemon.pid)


def _check(daemon: Daemon) -> None:
    """A trigger that cannot look is cheap, but not what is measured."""
    troubled = [item["name"] for item in daemon.ask("triggers") if item["state"] != "OK"]
    if troubled:
        raise RuntimeError(f"triggers in trouble: {troubled}\n{daemon.last_words()}")
