"""What a task adds to the program that it runs."""

import itertools
from datetime import datetime
from pathlib import Path

from bench.daemon import Daemon
from bench.figure import Figure
from bench.flows import flow, shell, trigger
from bench.process import run
from bench.stage import BUCKET, Stage

_COMMAND = "true"
_PREFIX = "shell/"


def measure(stage: Stage) -> list[Figure]:
    """
    Run many ``shell.Commands`` tasks in one execution, and the bare ``sh -c`` as often. A task takes from its
    ``startedAt`` to that of the next: the commits before and after it are part of it.
    """
    stage.progress(f"shell, {stage.sizes.tasks} tasks")
    folder = stage.fresh("shell")
    bare = _bare(stage, folder)
    tasks = _tasks(stage, folder)
    over = tuple(1000 * (task - shell_alone) for task, shell_alone in zip(tasks, bare, strict=True))
    return [
        Figure("a shell.Commands task, over a bare sh -c", "ms", over, budget=10.0, note=_note(bare)),
    ]


def _note(bare: list[float]) -> str:
    return f"sh -c alone: {1000 * sorted(bare)[len(bare) // 2]:.1f} ms; a task is counted to the start of the next"


def _bare(stage: Stage, folder: Path) -> list[float]:
    """Give the seconds of each bare command, in the environment that measured programs see."""
    command = ["sh", "-c", _COMMAND]
    stage.note(command)
    return [run(command, stage.environment, folder, folder / "sh.log").wall for _ in range(stage.sizes.tasks - 1)]


def _tasks(stage: Stage, folder: Path) -> list[float]:
    """Give the seconds from each task's start to the next one's."""
    source = folder / "object"
    source.write_bytes(b"one object")
    stage.prepare(folder, "cp", str(source), f"s3://{BUCKET}/{_PREFIX}object")
    tasks = [shell(f"task{number}", _COMMAND) for number in range(stage.sizes.tasks)]
    daemon = Daemon(stage, folder, [flow("shell", trigger(BUCKET, _PREFIX), *tasks)], ["--once"])
    try:
        daemon.start()
        daemon.ended()
    finally:
        daemon.stop()
    (execution,) = daemon.executions()
    runs = daemon.ask(f"executions/{execution['id']}")["taskRuns"]
    starts = [datetime.fromisoformat(item["startedAt"]).timestamp() for item in runs]
    return [following - begin for begin, following in itertools.pairwise(starts)]
