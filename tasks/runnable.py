"""Every task type that does work itself, and the function behind it."""

from collections.abc import Mapping
from types import MappingProxyType

from tidewaiter.config.flow import TaskSpec
from tidewaiter.tasks import kv, legacy, script, storage
from tidewaiter.tasks.context import TaskType
from tidewaiter.tasks.execution import Assert, Fail, Labels, Sleep, run_assert, run_fail, run_labels, run_sleep
from tidewaiter.tasks.files import LocalFiles, run_local_files
from tidewaiter.tasks.git import Clone, run_clone
from tidewaiter.tasks.http import Download, Request, run_download, run_request
from tidewaiter.tasks.items import DeduplicateItems, FilterItems, run_deduplicate_items, run_filter_items
from tidewaiter.tasks.log import Echo, Log, OutputValues, Return, run_echo, run_log, run_output_values, run_return
from tidewaiter.tasks.s3 import S3
from tidewaiter.tasks.split import Split, run_split

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
RUNNABLE_SPECS = tuple(kind.spec for kind in RUNNABLE)
"""Their specs."""


def is_runnable(spec: TaskSpec) -> bool:
    """Tell whether *spec* does work itself."""
    return type(spec) in _BY_SPEC


def task_type(spec: TaskSpec) -> TaskType:
    """
    Give the task type that does *spec*.

    Raises:
        KeyError: *spec* is no task that does work itself, for example a `WorkingDirectory`.
    """
    return _BY_SPEC[type(spec)]
