"""What a `WorkingDirectory` does before and after its tasks."""

from typing import Any

from tidewaiter.tasks.context import TaskContext
from tidewaiter.tasks.files import capture, place, place_namespace_files
from tidewaiter.tasks.tree import WorkingDirectory


async def enter(spec: WorkingDirectory, context: TaskContext) -> None:
    """
    Fill the directory before the first task runs: namespace files, then input files over them.

    Raises:
        TaskError: a file cannot be placed.
    """
    await place_namespace_files(spec.namespace_files, context)
    await place(spec.input_files, context)


async def leave(spec: WorkingDirectory, context: TaskContext) -> dict[str, Any]:
    """
    Give the outputs of the directory after its last task: the files that ``outputFiles`` names.

    Raises:
        TaskError: a file cannot be kept.
    """
    return {"outputFiles": await capture(spec.output_files, context)} if spec.output_files else {}
