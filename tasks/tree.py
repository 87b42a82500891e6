"""
All task types, and how they may be nested: the tasks that hold other tasks and decide which run, when and how often
(Kestra's flowable tasks, kestra.md §1.5). Data only: the daemon walks the tree (`tidewaiter.daemon.control_flow`).
"""

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from tidewaiter.config.fields import Id, Namespace, PositiveDuration, Text
from tidewaiter.config.flow import Labels, Output, TaskSpec
from tidewaiter.config.inputs import Input
from tidewaiter.config.spec import Dynamic, OneOf, Spec, misfit
from tidewaiter.tasks.files import InputFiles, NamespaceFiles, OutputFiles
from tidewaiter.tasks.runnable import RUNNABLE_SPECS
from tidewaiter.tasks.split import Cut
from tidewaiter.tasks.workcache import Cache

ANY_TASK = OneOf(lambda: (*RUNNABLE_SPECS, *FLOWABLES))
AnyTask = Annotated[TaskSpec, ANY_TASK]
"""One task of any type."""

AnyRunnable = Annotated[TaskSpec, OneOf(RUNNABLE_SPECS)]
"""One task that does work itself."""

Tasks = tuple[AnyTask, ...]
SomeTasks = Annotated[Tasks, Field(min_length=1)]

_CURRENT = "io.kestra.plugin.core.flow."
_FORMER = "io.kestra.core.tasks.flows."


def _names(*own: str) -> tuple[str, ...]:
    """Give the current names of a flowable task, then those before Kestra 0.18."""
    return (*(_CURRENT + name for name in own), *(_FORMER + name for name in own))


class FlowableSpec(TaskSpec):
    """
    What all of them have: *errors* run when a task inside has failed, *finally* in any case; neither changes that it
    has failed.
    """

    errors: Tasks = ()
    """What to do when a task inside has failed."""
    finally_: Tasks = Field((), alias="finally")
    """What to do in the end, whatever has happened."""

    def body(self) -> tuple[TaskSpec, ...]:
        """The tasks inside this one but for *errors* and *finally*, in order."""
        return ()

    def children(self) -> tuple[TaskSpec, ...]:
        """The tasks inside this one, in order."""
        return (*self.body(), *self.errors, *self.finally_)


class _WithTasks(FlowableSpec):
    tasks: SomeTasks
    """The tasks inside."""

    def body(self) -> tuple[TaskSpec, ...]:
        return self.tasks


class Sequential(_WithTasks):
    """Run tasks one after another."""

    NAMES: ClassVar[tuple[str, ...]] = _names("Sequential")


class AllowFailure(_WithTasks):
    """Run tasks one after another; when one fails, this one ends with a WARNING and the flow goes on."""

    NAMES: ClassVar[tuple[str, ...]] = _names("AllowFailure")


class Parallel(_WithTasks):
    """Run tasks at the same time, at most *concurrent* of them; 0 sets no limit."""

    NAMES: ClassVar[tuple[str, ...]] = _names("Parallel")

    concurrent: Annotated[int, Field(ge=0)] = 0
    """How many at once; 0 sets no limit."""


class If(FlowableSpec):
    """Run *then* if *condition* is true, else *else*. False are blank text, ``0``, ``-0`` and ``false``."""

    NAMES: ClassVar[tuple[str, ...]] = _names("If")

    condition: Dynamic[Text]
    """What decides; usually an expression."""
    then: SomeTasks
    """The tasks if it is true."""
    else_: Tasks = Field((), alias="else")
    """The tasks if it is not."""

    def body(self) -> tuple[TaskSpec, ...]:
        """The tasks of both branches."""
        return (*self.then, *self.else_)


class Switch(FlowableSpec):
    """Run the tasks of the case that *value* names, else *defaults*. With neither, it fails."""

    NAMES: ClassVar[tuple[str, ...]] = _names("Switch")

    value: Dynamic[Text]
    """What is compared with the names of the cases."""
    cases: dict[Text, Tasks] = Field(default_factory=dict)
    """Tasks by the value they are for."""
    defaults: Tasks = ()
    """The tasks for any other value."""

    @model_validator(mode="after")
    def _has_tasks(self) -> Self:
        if not self.body():
            raise misfit("cases", "no task in any case nor in 'defaults'", "give at least one case a task")
        return self

    def body(self) -> tuple[TaskSpec, ...]:
        """The tasks of all cases."""
        return (*chain.from_iterable(self.cases.values()), *self.defaults)


class ForEach(_WithTasks):
    """
    Run the tasks, one after another, for each of *values*. They see ``taskrun.value`` and ``taskrun.iteration``; their
    outputs are found under the value: ``outputs.task[taskrun.value]``.
    """

    NAMES: ClassVar[tuple[str, ...]] = _names("ForEach")

    values: Dynamic[Any]
    """The values: a list, or text that is one in JSON."""
    concurrency_limit: Annotated[int, Field(ge=0)] = 1
    """How many values at once; 0 sets no limit."""


class EachSequential(_WithTasks):
    """Run the tasks for each *value*, one after another (deprecated: `ForEach`)."""

    NAMES: ClassVar[tuple[str, ...]] = _names("EachSequential")

    value: Dynamic[Any]
    """The values: a list, or text that is one in JSON."""


class EachParallel(_WithTasks):
    """Run the tasks for each *value*, all at the same time, also those of one value (deprecated: `ForEach`)."""

    NAMES: ClassVar[tuple[str, ...]] = _names("EachParallel")

    value: Dynamic[Any]
    """The values: a list, or text that is one in JSON."""
    concurrent: Annotated[int, Field(ge=0)] = 0
    """How many at once; 0 sets no limit."""


class Loop(_WithTasks):
    """
    Run the tasks, one after another, for each of *values*. They see ``item.value``, ``item.index`` and, of a map,
    ``item.key``. What *outputs* give in each iteration is the output ``outputs``, a list.
    """

    NAMES: ClassVar[tuple[str, ...]] = (_CURRENT + "Loop",)

    values: Dynamic[Any]
    """The values: a list, a map, text that is one in JSON, or the URI of a file of lines."""
    concurrency_limit: Annotated[int, Field(ge=0)] = 1
    """How many values at once; 0 sets no limit."""
    outputs: tuple[Output, ...] = ()
    """What each iteration gives."""


class CheckFrequency(Spec):
    """How often a `LoopUntil` looks, and for how long."""

    interval: Dynamic[PositiveDuration] = Field("PT1S", validate_default=True)
    """How long to wait between two looks."""
    max_iterations: Dynamic[Annotated[int | None, Field(ge=1)]] = 100
    """How often to look at most."""
    max_duration: Dynamic[PositiveDuration | None] = Field("PT1H", validate_default=True)
    """How long to look at most."""


class LoopUntil(_WithTasks):
    """
    Run the tasks again and again until *condition* is true after them. When *checkFrequency* ends it before, that is a
    failure, unless *fail_on_max_reached* is false.
    """

    NAMES: ClassVar[tuple[str, ...]] = (_CURRENT + "LoopUntil", _CURRENT + "WaitFor", _FORMER + "WaitFor")

    condition: Dynamic[Text]
    """What ends it when it is true; it sees the outputs of the tasks."""
    check_frequency: CheckFrequency = Field(default_factory=CheckFrequency)
    """How often to look, and for how long."""
    fail_on_max_reached: bool = False
    """Fail if it never became true."""


class DagTask(Spec):
    """One task of a `Dag`, and the tasks that must have ended before it."""

    task: AnyTask
    """The task."""
    depends_on: tuple[str, ...] = ()
    """Ids of tasks of the same Dag."""


class Dag(FlowableSpec):
    """Run tasks as soon as those they depend on have ended, at most *concurrent* at once; 0 sets no limit."""

    NAMES: ClassVar[tuple[str, ...]] = _names("Dag")

    concurrent: Annotated[int, Field(ge=0)] = 0
    """How many at once; 0 sets no limit."""
    tasks: Annotated[tuple[DagTask, ...], Field(min_length=1)]
    """The tasks with what they depend on."""

    @model_validator(mode="after")
    def _has_order(self) -> Self:
        waiting = {item.task.id: set(item.depends_on) for item in self.tasks}
        for name, needed in waiting.items():
            if missing := sorted(needed - waiting.keys()):
                known = f"tasks of this Dag: {', '.join(waiting)}"
                raise misfit("tasks", f"task '{name}' depends on '{missing[0]}', which is not there", known)
        while ready := {name for name, needed in waiting.items() if not needed & waiting.keys()}:
            waiting = {name: needed for name, needed in waiting.items() if name not in ready}
        if waiting:
            raise misfit("tasks", f"cyclic dependency detected: {', '.join(sorted(waiting))}", "break the circle")
        return self

    def body(self) -> tuple[TaskSpec, ...]:
        """The tasks, as written."""
        return tuple(item.task for item in self.tasks)


class Pause(FlowableSpec):
    """
    Wait: for *pauseDuration* (before Kestra 0.23: *delay*), or else until somebody resumes the execution. *timeout*
    ends the waiting with a failure. *behavior* says how it goes on when the duration is over; *onResume* are inputs to
    be given by who resumes it. *tasks*, as in old flows, run after the pause.
    """

    NAMES: ClassVar[tuple[str, ...]] = _names("Pause")

    pause_duration: Annotated[
        Dynamic[PositiveDuration | None], Field(validation_alias=AliasChoices("pauseDuration", "delay"))
    ] = None
    """How long to wait."""
    behavior: Dynamic[Literal["RESUME", "WARN", "CANCEL", "FAIL"]] = "RESUME"
    """How it goes on when the duration is over."""
    on_resume: tuple[Input, ...] = ()
    """What who resumes it has to give; found in ``outputs.id.onResume``."""
    tasks: Tasks = ()
    """Tasks after the pause."""

    def body(self) -> tuple[TaskSpec, ...]:
        """The tasks after the pause."""
        return self.tasks


class Subflow(TaskSpec):
    """
    Start an execution of another flow. With *wait* this task ends when that does, and has failed if that has and
    *transmit_failed* is set. Its outputs are ``executionId``, ``state`` and the flow's ``outputs``.
    """

    NAMES: ClassVar[tuple[str, ...]] = (_CURRENT + "Subflow", _CURRENT + "Flow", _FORMER + "Subflow", _FORMER + "Flow")
    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **TaskSpec.IGNORED,
            "restartBehavior": "an execution that is tried again runs the failed subflow anew",
            "inheritConcurrency": "a waiting execution never keeps its subflow from starting",
        }
    )

    namespace: Dynamic[Namespace]
    """The namespace of the flow."""
    flow_id: Dynamic[Id]
    """The id of the flow."""
    revision: Dynamic[int | None] = None
    """Has no effect but for readers: the flow in force is started."""
    inputs: Dynamic[dict[str, Any] | None] = None
    """What its inputs are given."""
    labels: Dynamic[Labels | None] = None
    """Labels of its execution."""
    inherit_labels: Dynamic[bool] = False
    """Give its execution the labels of this one, too."""
    wait: Dynamic[bool] = True
    """Wait for its end."""
    transmit_failed: Dynamic[bool] = True
    """Fail if it has failed."""
    outputs: Dynamic[dict[str, Any] | None] = None
    """Outputs of this task, which see ``outputs`` of the flow; an older way."""
    schedule_date: Dynamic[Text | None] = None
    """When it is to start; at once without it."""


class PerBatch(Spec):
    """What a `ForEachItem` gives to the execution of one batch."""

    inputs: Dynamic[dict[str, Any]]
    labels: Dynamic[Labels]
    inherit_labels: bool


class ForEachItem(FlowableSpec):
    """
    Divide the file *items* into batches, of one line each unless *batch* says otherwise, and start an execution of
    another flow for each; in *inputs* and *labels* ``taskrun.items`` is the batch's URI and ``taskrun.iteration`` its
    number. Outputs are ``numberOfBatches``,
    ``iterations`` (executions by state) and ``subflowOutputs``, the URI of a file with the outputs of each, a line of
    JSON each.
    """

    NAMES: ClassVar[tuple[str, ...]] = _names("ForEachItem")
    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**TaskSpec.IGNORED, "restartBehavior": Subflow.IGNORED["restartBehavior"]}
    )

    items: Dynamic[Text]
    """The URI of the file."""
    batch: Cut = Field(default_factory=Cut)
    """How it is divided."""
    namespace: Dynamic[Namespace]
    """The namespace of the flow."""
    flow_id: Dynamic[Id]
    """The id of the flow."""
    revision: Dynamic[int | None] = None
    """Has no effect but for readers: the flow in force is started."""
    inputs: dict[str, Any] = Field(default_factory=dict)
    """What its inputs are given, rendered for each batch."""
    labels: Labels = Field(default_factory=dict)
    """Labels of its executions, rendered for each batch."""
    inherit_labels: Dynamic[bool] = False
    """Give its executions the labels of this one, too."""
    wait: Dynamic[bool] = True
    """Wait for their end."""
    transmit_failed: Dynamic[bool] = True
    """Fail if one of them has failed."""
    schedule_date: Dynamic[Text | None] = None
    """When they are to start; at once without it."""


class WorkingDirectory(FlowableSpec):
    """
    Run tasks one after another in the same directory (kestra.md §1.6).

    Its files are placed before the first of them and captured after the last, also when one has failed. Those that
    match *cache* are kept for the next execution if none has.
    """

    NAMES: ClassVar[tuple[str, ...]] = _names("WorkingDirectory", "Worker")

    tasks: Annotated[tuple[AnyRunnable, ...], Field(min_length=1)]
    """The tasks, one after another; only such as do work themselves."""
    input_files: InputFiles = None
    """Path in the directory → URI of a file, or the content itself; or text that is such a map in JSON."""
    output_files: OutputFiles = ()
    """Globs for the files to keep; they are found in ``outputs.id.outputFiles`` by their paths."""
    namespace_files: NamespaceFiles | None = None
    """Files of the flow's namespace to have in the directory."""
    cache: Cache | None = None
    """Files to keep from one execution to the next."""

    def body(self) -> tuple[TaskSpec, ...]:
        """The tasks inside this one, in order."""
        return self.tasks


FLOWABLES: tuple[type[TaskSpec], ...] = (
    Sequential,
    Parallel,
    If,
    Switch,
    ForEach,
    EachSequential,
    EachParallel,
    Loop,
    LoopUntil,
    AllowFailure,
    Dag,
    Pause,
    Subflow,
    ForEachItem,
    WorkingDirectory,
)
"""Every task type that holds or starts other work."""
