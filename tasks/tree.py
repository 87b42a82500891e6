"""All task types, and how they may be nested. Data only: the daemon walks the tree."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import OneOf
from tidewaiter.tasks import kv, legacy, script, storage
from tidewaiter.tasks.context import TaskContext, TaskType
from tidewaiter.tasks.execution import Assert, Fail, Labels, Sleep, run_assert, run_fail, run_labels, run_sleep
from tidewaiter.tasks.files import (
    InputFiles,
    LocalFiles,
    NamespaceFiles,
    OutputFiles,
    capture,
    place,
    place_namespace_files,
    run_local_files,
)
from tidewaiter.tasks.git import Clone, run_clone
from tidewaiter.tasks.http import Download, Request, run_download, run_request
from tidewaiter.tasks.items import DeduplicateItems, FilterItems, run_deduplicate_items, run_filter_items
from tidewaiter.tasks.log import Echo, Log, OutputValues, Return, run_echo, run_log, run_output_values, run_return
from tidewaiter.tasks.s3 import S3
from tidewaiter.tasks.split import Split, run_split
from tidewaiter.tasks.workcache import Cache, restore, save

RUNNABLE: tuple[TaskType, ...] = (
    TaskType(Log, run_log),
    TaskType(Return, run_return),
    TaskType(Echo, run_echo),
    TaskType(OutputValues, run_output_values),
    TaskType(Fail, run_fail),
    TaskType(Assert, run_assert),
    TaskType(Labels, run_labels),
    TaskType(Sleep, run_sleep),
    TaskType(LocalFiles, run_local_files),
    TaskType(storage.Write, storage.run_write),
    TaskType(storage.Concat, storage.run_concat),
    TaskType(storage.Size, storage.run_size),
    TaskType(storage.Delete, storage.run_delete),
    TaskType(storage.Reverse, storage.run_reverse),
    TaskType(Split, run_split),
    TaskType(DeduplicateItems, run_deduplicate_items),
    TaskType(FilterItems, run_filter_items),
    TaskType(Request, run_request),
    TaskType(Download, run_download),
    TaskType(kv.Set, kv.run_set),
    TaskType(kv.Get, kv.run_get),
    TaskType(kv.Delete, kv.run_delete),
    TaskType(kv.GetKeys, kv.run_get_keys),
    TaskType(Clone, run_clone),
    TaskType(script.Commands, script.run),
    TaskType(script.Script, script.run),
    TaskType(script.JbangScript, script.run),
    TaskType(script.PythonCommands, script.run),
    TaskType(script.PythonScript, script.run),
    TaskType(legacy.Bash, legacy.run_bash),
    TaskType(legacy.Python, legacy.run_python),
    TaskType(legacy.Node, legacy.run_node),
    *S3,
)
"""Every task type that does work itself."""

_BY_SPEC: Mapping[type, TaskType] = MappingProxyType({kind.spec: kind for kind in RUNNABLE})
_RUNNABLE_SPECS = tuple(kind.spec for kind in RUNNABLE)

AnyRunnable = Annotated[TaskSpec, OneOf(_RUNNABLE_SPECS)]
"""One task that does work itself."""


class WorkingDirectory(TaskSpec):
    """
    Run tasks one after another in the same directory (kestra.md §1.6).

    Order: `enter`, the tasks, `leave`, which also runs after a task has failed. *cache* keeps files for the next time.
    """

    NAMES: ClassVar[tuple[str, ...]] = (
        "io.kestra.plugin.core.flow.WorkingDirectory",
        "io.kestra.plugin.core.flow.Worker",
        "io.kestra.core.tasks.flows.WorkingDirectory",
        "io.kestra.core.tasks.flows.Worker",
    )

    tasks: Annotated[tuple[AnyRunnable, ...], Field(min_length=1)]
    input_files: InputFiles = None
    output_files: OutputFiles = ()
    namespace_files: NamespaceFiles | None = None
    cache: Cache | None = None

    def children(self) -> tuple[TaskSpec, ...]:
        """The tasks inside this one, in order."""
        return self.tasks


AnyTask = Annotated[TaskSpec, OneOf((*_RUNNABLE_SPECS, WorkingDirectory))]
"""One task of any type."""


def task_type(spec: TaskSpec) -> TaskType:
    """
    Give the task type that does *spec*.

    Raises:
        KeyError: *spec* is no task that does work itself, for example a `WorkingDirectory`.
    """
    return _BY_SPEC[type(spec)]


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
