"""What a `WorkingDirectory` does before and after its tasks."""

from typing import Any

from tidewaiter.tasks.context import TaskContext
from tidewaiter.tasks.files import capture, place, place_namespace_files
from tidewaiter.tasks.tree import WorkingDirectory
from tidewaiter.tasks.workcache import restore, save


async def enter(spec: WorkingDirectory, context: TaskContext) -> None:
    """
    Fill the directory before the first task runs: what was kept, namespace files, then input files over them.

    Raises:
        TaskError: a file cannot be placed.
    """
    await restore(spec.cache, context)
    await place_namespace_files(spec.namespace_files, context)
    await place(spec.input_files, context)


async def leave(spec: WorkingDirectory, context: TaskContext, *, succeeded: bool) -> dict[str, Any]:
    """
    Give the outputs of the directory after its last task: the files that ``outputFiles`` names. If the tasks have
    *succeeded*, the files to be cached are kept.

    Raises:
        TaskError: a file cannot be kept.
    """
    outputs = {"outputFiles": await capture(spec.output_files, context)} if spec.output_files else {}
    if succeeded:
        await save(spec.cache, context)
    return outputs
