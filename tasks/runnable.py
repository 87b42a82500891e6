"""Every task type that does work itself, and the function behind it."""

from collections.abc import Mapping
from types import MappingProxyType

from tidewaiter.config.flow import TaskSpec
from tidewaiter.tasks import legacy, script
from tidewaiter.tasks.context import TaskType
from tidewaiter.tasks.files import LocalFiles, run_local_files
from tidewaiter.tasks.git import Clone, run_clone
from tidewaiter.tasks.log import Echo, Log, Return, run_echo, run_log, run_return

RUNNABLE: tuple[TaskType, ...] = (
    TaskType(Log, run_log),
    TaskType(Return, run_return),
    TaskType(Echo, run_echo),
    TaskType(LocalFiles, run_local_files),
    TaskType(Clone, run_clone),
    TaskType(script.Commands, script.run),
    TaskType(script.Script, script.run),
    TaskType(script.JbangScript, script.run),
    TaskType(script.PythonCommands, script.run),
    TaskType(script.PythonScript, script.run),
    TaskType(legacy.Bash, legacy.run_bash),
    TaskType(legacy.Python, legacy.run_python),
    TaskType(legacy.Node, legacy.run_node),
)
"""Every task type that does work itself."""

_BY_SPEC: Mapping[type, TaskType] = MappingProxyType({kind.spec: kind for kind in RUNNABLE})
RUNNABLE_SPECS = tuple(kind.spec for kind in RUNNABLE)
"""Their specs."""


def task_type(spec: TaskSpec) -> TaskType:
    """
    Give the task type that does *spec*.

    Raises:
        KeyError: *spec* is no task that does work itself, for example a `WorkingDirectory`.
    """
    return _BY_SPEC[type(spec)]
